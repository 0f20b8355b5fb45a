import numpy as np
import pytest
from numba import njit

from skllmrec._kernels.als import vector_registers as v
from skllmrec._kernels.als.row_solver import empty_rows


@njit
def use_vectors(x, y, out, sums):
    lanes, row = v.n_lanes(x), 0
    v.prefetch(x, 0)
    a, b = v.load(x, 1), v.load(y, 3)  # not at multiples of a cache line
    results = (
        v.add(a, b),
        v.subtract(a, b),
        v.multiply(a, b),
        v.divide(a, b),
        v.add_product(a, a, b),
        v.spread(y[0]),
        v.zeros(x),
    )
    for result in results:
        v.store(out, row * lanes, result)
        row += 1
    numbers = v.load4(y, 2)
    v.store(out, row * lanes, v.spread0(numbers))
    v.store(out, (row + 1) * lanes, v.spread1(numbers))
    v.store(out, (row + 2) * lanes, v.spread2(numbers))
    v.store(out, (row + 3) * lanes, v.spread3(numbers))
    four = v.totals(a, b, v.multiply(a, b), v.zeros(x))
    sums[0], sums[1], sums[2] = v.total(a), v.total(v.add(four, v.zeros4(x))), lanes
    v.store(out, (row + 4) * lanes, v.spread0(four))
    v.store(out, (row + 5) * lanes, v.spread1(four))
    v.store(out, (row + 6) * lanes, v.spread2(four))
    v.store(out, (row + 7) * lanes, v.spread3(four))


@pytest.mark.parametrize(("dtype", "lanes"), [(np.float32, 16), (np.float64, 8)])
def test_every_operation_is_that_of_numpy(dtype, lanes):
    rng = np.random.default_rng(0)
    x, y = (rng.uniform(1, 2, 20).astype(dtype) for _ in range(2))
    out, sums = np.full((15, lanes), np.nan, dtype), np.zeros(3)
    use_vectors(x, y, out.ravel(), sums)
    a, b = x[1 : 1 + lanes], y[3 : 3 + lanes]
    same = np.ones(lanes)
    expected = [a + b, a - b, a * b, a / b, a + a * b, y[0] * same, 0 * same]
    expected += [y[position] * same for position in range(2, 6)]
    expected += [total * same for total in (a.sum(), b.sum(), a @ b, 0)]
    tolerance = 20 * np.finfo(dtype).eps
    np.testing.assert_allclose(out, np.array(expected), rtol=tolerance)
    np.testing.assert_allclose(sums, [a.sum(), a.sum() + b.sum() + a @ b, lanes], rtol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_columns", [1, 8, 16, 17, 65])
def test_rows_start_at_cache_lines(dtype, n_columns):
    table = empty_rows(7, n_columns, dtype)
    assert table.flags.c_contiguous
    assert table.shape[0] == 7
    assert 0 <= (table.shape[1] - n_columns) * table.itemsize < 64
    assert all(row.ctypes.data % 64 == 0 for row in table)
    table[:] = 3  # writable, all of it
