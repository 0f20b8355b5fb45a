"""Judges against a naive ranking and against scikit-learn."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_matrix
from sklearn.metrics import ndcg_score, r2_score
from tuning_data import make_catalogue

from skllmrec.language_models._held_out import make_judge, ridge
from skllmrec.language_models._targets import Targets


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
