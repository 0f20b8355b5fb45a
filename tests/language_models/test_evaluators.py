"""Judges against a naive ranking and against scikit-learn."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_matrix
from sklearn.metrics import ndcg_score, r2_score
from tuning_data import make_catalogue

from skllmrec.language_models.fine_tuning._evaluators import Evidence, make_judge, ridge
from skllmrec.language_models.fine_tuning._targets import Targets


def make(seed=0, n=60, d=5):
    rng = np.random.default_rng(seed)
    _, liked, kinds = make_catalogue(n, seed=seed)
    vectors = rng.normal(size=(n, d)) + kinds[:, None]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = rng.permutation(n)
    return vectors.astype(np.float32), csr_matrix(liked, dtype=bool), kinds, np.sort(order[20:]), np.sort(order[:20])


@pytest.mark.parametrize(("seed", "better"), [(0, "ridge"), (1, "ridge"), (2, "cosine"), (3, "cosine")])
def test_ranking_is_that_of_a_loop_over_users(seed, better):
    vectors, liked, _, fitted, held_out = make(seed)
    dense = liked.toarray().astype(float)
    dense[np.ix_(fitted, range(5))] = 0  # users of whom nothing is known
    liked = csr_matrix(dense, dtype=bool)
    judge = make_judge(Targets("interactions", liked), fitted, held_out, seed=0)
    centred = vectors - vectors[fitted].mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    u, s, vt = np.linalg.svd(dense[fitted], full_matrices=False)
    to_factors = ridge(centred[fitted], u * np.sqrt(s), np.log1p(dense[fitted].sum(axis=1)), 0)
    found = {"cosine": [], "ridge": []}
    for user, row in enumerate(dense.T):
        if row[fitted].any() and row[held_out].any():
            profile = row[fitted] @ centred[fitted]
            found["cosine"].append(ndcg_score([row[held_out]], [centred[held_out] @ profile], k=20))
            scores = to_factors.predict(centred[held_out]) @ (vt[:, user] * np.sqrt(s))
            found["ridge"].append(ndcg_score([row[held_out]], [scores], k=20))
    assert judge.n_judged == len(found["cosine"]) < 60
    assert max(found, key=lambda name: np.mean(found[name])) == better
    assert_allclose(judge(vectors), max(found.values(), key=np.mean), rtol=1e-4)


def naive_scores(vectors, liked, fitted, chosen):
    """NDCG@20 of some held-out items by the cosine to the mean of the user's items, averaged over who likes any."""
    centred = vectors - vectors[fitted].mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    dense = liked.toarray().astype(float)
    return np.mean(
        [
            ndcg_score([row[chosen]], [centred[chosen] @ (row[fitted] @ centred[fitted])], k=20)
            for row in dense.T
            if row[fitted].any() and row[chosen].any()
        ]
    )


def test_halves_are_judged_as_if_they_were_all():
    vectors, liked, _, fitted, held_out = make(2)  # where the cosine is the better one
    evidence = make_judge(Targets("interactions", liked), fitted, held_out, seed=7).evidence(vectors)
    rng = np.random.default_rng(7)
    for score in evidence.halves:
        half = held_out[np.sort(rng.permutation(20)[:10])]
        assert_allclose(score, naive_scores(vectors, liked, fitted, half), rtol=1e-5)
    assert_allclose(evidence.values.mean(), naive_scores(vectors, liked, fitted, held_out), rtol=1e-5)


def test_a_score_beats_another_by_two_standard_errors():
    noise = np.tile([0.5, -0.5], 50)  # of 100 values: a standard error of 0.05
    base = Evidence(np.zeros(100))
    assert Evidence(noise + 0.101).beats(base)
    assert not Evidence(noise + 0.099).beats(base)
    assert not base.beats(base)


def test_items_that_all_users_share_make_a_score_unsure():
    # the gain of every user is the same, but it comes from a few items: halves differ by 0.12, with the users' 0.13
    users, halves = np.tile([0.5, -0.5], 50), np.tile([0.12, -0.12], 16)
    base = Evidence(np.zeros(100), np.zeros(32))
    assert not Evidence(users + 0.259, halves + 0.2).beats(base)
    assert Evidence(users + 0.261, halves + 0.2).beats(base)


@pytest.mark.parametrize("seed", range(3))
def test_the_spread_over_halves_is_that_over_samples_of_items(seed):
    # values of items drawn from a population: the mean of n has a standard deviation of 1 / sqrt(n)
    rng, n = np.random.default_rng(seed), 400
    population = rng.normal(size=n)
    halves = np.array([population[rng.permutation(n)[: n // 2]].mean() for _ in range(2000)])
    assert abs(halves.std() * np.sqrt(n) - population.std()) < 0.1


def test_numbers_are_judged_by_their_variance():
    vectors, _, kinds, fitted, held_out = make()
    numbers = kinds[:, None] * [1.0, 3.0] + vectors[:, :2]
    judge = make_judge(Targets("numbers", numbers), fitted, held_out, seed=0)
    predicted = ridge(vectors[fitted], numbers[fitted], None, 0).predict(vectors[held_out])
    errors = ((predicted - numbers[held_out]) ** 2).sum(axis=1)
    assert_allclose(judge(vectors), 1 - errors / numbers[fitted].var(axis=0).sum())
    assert judge(vectors).mean() > 0.3
    assert abs(judge(vectors).mean() - r2_score(numbers[held_out], predicted, multioutput="variance_weighted")) < 0.2


def test_labels_are_judged_by_accuracy():
    vectors, _, kinds, fitted, held_out = make()
    judge = make_judge(Targets("labels", kinds), fitted, held_out, seed=0)
    values = judge(vectors)
    assert set(values) <= {0.0, 1.0} and len(values) == len(held_out) and values.mean() > 0.6
    right = np.eye(2)[kinds]
    assert judge(right.astype(np.float32)).all()


def test_of_many_users_a_sample_is_judged():
    rng = np.random.default_rng(0)
    liked = csr_matrix(rng.random((40, 3000)) < 0.2)
    judges = [make_judge(Targets("interactions", liked), np.arange(30), np.arange(30, 40), seed) for seed in (0, 0, 1)]
    vectors = rng.normal(size=(40, 4)).astype(np.float32)
    assert [judge.n_judged for judge in judges] == [2048] * 3
    values = [judge(vectors) for judge in judges]
    assert (values[0] == values[1]).all() and (values[0] != values[2]).any()
