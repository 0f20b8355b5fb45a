"""A matrix of users and items is no X: it is refused, sparse or dense, and the error names the way."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from skllmrec import interactions_from_matrix
from skllmrec.recommenders import BlendRecommender, FeatureMFRecommender, PopularityRecommender

_rng = np.random.default_rng(0)
RATINGS = _rng.integers(1, 6, (60, 40)) * (_rng.random((60, 40)) < 0.2).astype(np.float64)
MODELS = {
    "popularity": PopularityRecommender(feedback="explicit"),
    "FeatureMF": FeatureMFRecommender(2, feedback="explicit"),
    "blend": BlendRecommender(
        [("a", PopularityRecommender(feedback="explicit")), ("b", FeatureMFRecommender(2, feedback="explicit"))]
    ),
}
DENSE = {
    "floats": RATINGS,
    "integers": RATINGS.astype(int),
    "NaN": np.where(RATINGS == 0, np.nan, RATINGS),
    "binary": (RATINGS > 0).astype(np.float32),
    "frame": pd.DataFrame(RATINGS),
    "small": sparse.random_array((8, 5), density=0.3, rng=0).toarray(),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csr_array, sparse.coo_matrix, sparse.csc_array])
def test_sparse(model, form):
    with pytest.raises(TypeError, match=r"X is a sparse matrix of shape \(60, 40\).*interactions_from_matrix"):
        model.fit(form(RATINGS), np.ones(60))


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("X", DENSE.values(), ids=DENSE)
def test_dense(model, X):
    with pytest.raises(ValueError, match=r"looks like a matrix of users and items.*interactions_from_matrix"):
        model.fit(X, np.ones(len(X)))


def test_sparse_later():
    model = PopularityRecommender(feedback="explicit").fit(*interactions_from_matrix(RATINGS))
    for method in (model.predict, model.partial_fit):
        with pytest.raises(TypeError, match="interactions_from_matrix"):
            method(sparse.csr_array(RATINGS))


def test_the_remedy_works():
    X, y = interactions_from_matrix(sparse.csr_array(RATINGS))
    model = FeatureMFRecommender(2, feedback="explicit").fit(X, y)
    assert (model.seen_.toarray() > 0).sum() == (RATINGS > 0).sum()
    assert model.recommend([0], 3)[0].shape == (1, 3)


def test_rows_with_more_columns_are_taken():
    users, items = np.nonzero(RATINGS)
    flags = np.zeros((len(users), 3))
    PopularityRecommender().fit(np.column_stack([users, items, flags]), np.ones(len(users)))
    one_user = np.column_stack([np.zeros(20), np.arange(20), np.zeros((20, 3))])
    PopularityRecommender(feedback="explicit").fit(one_user, np.arange(20.0))
