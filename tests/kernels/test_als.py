import threading
import time

import numpy as np
import pytest
from fresh_process import run_python
from scipy import sparse
from threadpoolctl import threadpool_info, threadpool_limits

from skllmrec._kernels.als.row_solver import solve_rows, solve_rows_exactly, squared_error
from skllmrec._kernels.threads import count_threads, even_chunks, map_chunks, map_rows, serial_blas, split_rows


def random_problem(seed, n_rows=23, n_columns=31, d=5, density=0.3, dtype=np.float64):
    """Random half sweep, with rows of every length from none to all."""
    rng = np.random.default_rng(seed)
    mask = rng.random((n_rows, n_columns)) < density
    mask[0], mask[1] = False, True
    weights = sparse.csr_matrix(mask * rng.uniform(0.5, 3, mask.shape))
    terms = {
        "start": rng.normal(size=(n_rows, d)),
        "prior": rng.normal(size=(n_rows, d)),
        "ridge": rng.uniform(0.1, 2, n_rows),
        "unobserved_weight": 0.3,
        "offsets": rng.normal(size=n_columns),
    }
    return weights, rng.normal(size=weights.nnz), rng.normal(size=(n_columns, d)).astype(dtype), terms


def normal_equations(weights, targets, factors, start, prior, ridge, unobserved_weight, offsets):
    """Row by row, as in the docstring."""
    solution = prior.copy()
    for u in range(len(prior)):
        entries = slice(weights.indptr[u], weights.indptr[u + 1])
        q, w = factors[weights.indices[entries]].astype(float), weights.data[entries]
        if len(w) == 0:
            continue
        t = targets[entries] - offsets[weights.indices[entries]]
        left = (q.T * w) @ q + unobserved_weight * factors.T @ factors + ridge[u] * np.eye(q.shape[1])
        solution[u] = np.linalg.solve(left, q.T @ (w * t) + ridge[u] * prior[u])
    return solution


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("change", [{}, {"unobserved_weight": 0.0}])
def test_exact_solution_equals_the_normal_equations(seed, change):
    weights, targets, factors, terms = random_problem(seed)
    terms |= change
    expected = normal_equations(weights, targets, factors, **terms)
    np.testing.assert_allclose(solve_rows_exactly(weights, targets, factors, **terms), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("d", [1, 3, 16, 65])
def test_any_number_of_factors(d):
    weights, targets, factors, terms = random_problem(0, d=d)
    expected = normal_equations(weights, targets, factors, **terms)
    np.testing.assert_allclose(solve_rows_exactly(weights, targets, factors, **terms), expected, rtol=1e-8, atol=1e-10)


def test_sweeps_approach_the_exact_solution_step_by_step():
    weights, targets, factors, terms = random_problem(0, d=16)
    exact = solve_rows_exactly(weights, targets, factors, **terms)
    errors = [np.abs(solve_rows(weights, targets, factors, n_steps=n, **terms) - exact).max() for n in (1, 3, 9, 27)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2] > 8 * errors[3]
    # warm start: many short calls do what one long call does
    for _ in range(20):
        terms["start"] = solve_rows(weights, targets, factors, **terms)
    np.testing.assert_allclose(terms["start"], exact, atol=1e-5)  # the gradient is below `tol`


def test_single_precision():
    weights, targets, factors, terms = random_problem(1, dtype=np.float32)
    solution = solve_rows(weights, targets, factors, n_steps=50, **terms)
    assert solution.dtype == np.float32
    expected = normal_equations(weights, targets, factors, **terms)
    np.testing.assert_allclose(solution, expected, atol=1e-4)


def test_an_empty_row_becomes_its_prior_and_inputs_stay():
    weights, targets, factors, terms = random_problem(2)
    before = {name: np.copy(value) for name, value in terms.items()}
    solution = solve_rows(weights, targets, factors, **terms)
    np.testing.assert_allclose(solution[0], terms["prior"][0])
    for name, value in before.items():
        np.testing.assert_array_equal(terms[name], value)


def test_no_ridge_and_no_data_stay_finite():
    weights = sparse.csr_matrix(np.ones((2, 1)))
    zeros = np.zeros((2, 3))
    terms = {"start": zeros, "prior": zeros, "ridge": np.zeros(2)}
    for factors in (np.zeros((1, 3)), np.ones((1, 3))):
        assert np.isfinite(solve_rows_exactly(weights, np.ones(2), factors, **terms)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_number_of_threads_changes_nothing(dtype):
    weights, targets, factors, terms = random_problem(3, n_rows=2700, n_columns=200, dtype=dtype)
    assert weights.nnz > 2**17  # else there is one chunk
    one, three = (solve_rows(weights, targets, factors, n_threads=n, **terms) for n in (1, 3))
    np.testing.assert_array_equal(one, three)


def test_squared_error_is_the_sum_over_stored_entries():
    weights, targets, factors, terms = random_problem(4)
    rng = np.random.default_rng(0)
    rows, row_offsets = rng.normal(size=terms["prior"].shape), rng.normal(size=len(terms["prior"]))
    loss = squared_error(weights, targets, rows, factors, row_offsets, terms["offsets"])
    full = sparse.csr_matrix((targets, weights.indices, weights.indptr), weights.shape).toarray()
    residual = full - rows @ factors.T - row_offsets[:, None] - terms["offsets"]
    np.testing.assert_allclose(loss, (weights.toarray() * residual**2).sum(axis=1))


@pytest.mark.parametrize("n_chunks", [1, 2, 7, 1000])
def test_chunks_cover_the_rows_in_order_and_share_the_work(n_chunks):
    lengths = np.random.default_rng(0).integers(0, 200, 300)
    indptr = np.r_[0, np.cumsum(lengths)]
    chunks = split_rows(indptr, n_chunks)
    assert [a for a, _ in chunks] == [0, *[b for _, b in chunks[:-1]]]
    assert chunks[-1][1] == 300
    assert len(chunks) <= n_chunks
    if n_chunks == 7:
        work = [indptr[b] - indptr[a] for a, b in chunks]
        assert max(work) < 1.5 * min(work)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_chunks_depend_on_the_work_alone(n_threads):
    indptr, seen = np.arange(0, 200_000, 40), []
    map_rows(lambda first, last: seen.append((first, last)), indptr, n_threads)
    assert sorted(seen) == split_rows(indptr, len(seen))
    assert len(seen) == (48 * 4999) // 2**16 > 1
    map_chunks(lambda first, last: seen.append(last - first), [], n_threads)  # nothing to do


@pytest.mark.parametrize(("n_rows", "row_cost"), [(0, 1), (5, 8), (50_000, 8), (70_001, 16), (1_000_003, 1)])
def test_even_rows_are_cut_like_rows_of_equal_length(n_rows, row_cost):
    chunks = even_chunks(n_rows, row_cost)
    n_chunks = max(1, n_rows * (row_cost + 8) // 2**16)
    assert chunks == split_rows(np.arange(n_rows + 1) * row_cost, n_chunks)
    assert sum(last - first for first, last in chunks) == n_rows


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_each_chunk_is_handled_once_by_as_many_threads_as_asked(n_threads):
    seen, meeting = [], threading.Barrier(n_threads)

    def handle(first, last):
        meeting.wait(timeout=60)  # all threads are here at once, or this fails
        seen.append((first, last, threading.get_ident()))

    chunks = [(number, number + 1) for number in range(3 * n_threads)]
    map_chunks(handle, chunks, n_threads)
    assert sorted(chunk for *chunk, _ in seen) == [list(chunk) for chunk in chunks]
    assert len({ident for *_, ident in seen}) == n_threads
    assert threading.get_ident() in {ident for *_, ident in seen}


@pytest.mark.parametrize("fails_in_caller", [True, False])
def test_after_an_error_no_other_chunk_is_begun(fails_in_caller):
    caller, begun, failed = threading.get_ident(), [], threading.Event()

    def fail(first, last):
        begun.append(first)
        if (threading.get_ident() == caller) == fails_in_caller:
            failed.set()
            raise ZeroDivisionError(first)
        failed.wait(timeout=60)
        time.sleep(0.05)  # what is left has been dropped by then

    with pytest.raises(ZeroDivisionError):
        map_chunks(fail, [(number, number + 1) for number in range(50)], 2)
    assert len(begun) <= 3


def test_blas_is_serial_inside_and_as_before_after_overlapping_blocks():
    def n_threads():
        return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

    with threadpool_limits(2, user_api="blas"):
        before, first = n_threads(), serial_blas()
        first.__enter__()
        with serial_blas():
            assert set(n_threads()) == {1}
            first.__exit__(None, None, None)  # the other block ends first
            assert set(n_threads()) == {1}
        assert n_threads() == before
        with pytest.raises(ZeroDivisionError), serial_blas():
            raise ZeroDivisionError
        assert n_threads() == before


def test_a_prior_of_zeros_need_not_be_written_down():
    weights, targets, factors, terms = random_problem(5, d=7)
    zeros = solve_rows(weights, targets, factors, **{**terms, "prior": np.zeros_like(terms["prior"])})
    np.testing.assert_array_equal(solve_rows(weights, targets, factors, **{**terms, "prior": None}), zeros)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_steps", [1, 2, 3])
def test_steps_are_those_of_conjugate_gradients(dtype, n_steps):
    weights, targets, factors, terms = random_problem(6, d=16, dtype=dtype)
    solution = solve_rows(weights, targets, factors, n_steps=n_steps, tol=0.0, **terms)
    values, rotation = np.linalg.eigh(factors.T.astype(float) @ factors)  # the preconditioner depends on the basis
    for u in range(1, weights.shape[0]):
        entries = slice(weights.indptr[u], weights.indptr[u + 1])
        q, w = factors[weights.indices[entries]].astype(float) @ rotation, weights.data[entries]
        A = (q.T * w) @ q + np.diag(terms["unobserved_weight"] * values + terms["ridge"][u])
        t = targets[entries] - terms["offsets"][weights.indices[entries]]
        b = q.T @ (w * t) + terms["ridge"][u] * (terms["prior"][u] @ rotation)
        x = terms["start"][u] @ rotation
        residual = b - A @ x
        direction = residual / np.diag(A)
        for _ in range(n_steps):
            gain = residual @ (residual / np.diag(A))
            length = gain / (direction @ A @ direction)
            x, residual = x + length * direction, residual - length * A @ direction
            direction = residual / np.diag(A) + residual @ (residual / np.diag(A)) / gain * direction
        np.testing.assert_allclose(solution[u], rotation @ x, rtol=1e-3, atol=1e-4 if dtype == np.float32 else 1e-9)


def test_an_error_in_a_thread_is_raised():
    def fail(first, last):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        map_rows(fail, np.arange(0, 90_000, 100), n_threads=2)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [({"OMP_NUM_THREADS": "3"}, 3), ({"NUMBA_NUM_THREADS": "2", "OMP_NUM_THREADS": "3"}, 2)],
)
def test_thread_count_follows_the_environment(monkeypatch, variables, expected):
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert count_threads() >= 1
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert count_threads() == expected


def test_importing_the_kernels_does_not_import_numba():
    run_python("import skllmrec._kernels.als.feature_als, sys; sys.exit('numba' in sys.modules)")
