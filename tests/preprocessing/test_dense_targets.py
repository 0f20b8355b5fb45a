"""DenseTargets: the dense y it makes, and that it is transparent otherwise."""

import pickle

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array, random_array
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.cross_decomposition import PLSRegression
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skllmrec.preprocessing import DenseTargets
from skllmrec.preprocessing._dense_targets import dense_targets


class Recorder(TransformerMixin, BaseEstimator):
    """Remembers the y it is given."""

    def fit(self, X, y=None):
        self.y_ = y
        return self

    def transform(self, X):
        return X


@pytest.fixture(params=[0, 1, 2])
def rng(request):
    return np.random.default_rng(request.param)


@pytest.fixture
def targets(rng):
    return random_array((30, 50), density=0.2, random_state=rng, data_sampler=lambda size: 1 + rng.random(size)).tocsr()


@pytest.mark.parametrize("n_components", [2, 5, 30])
def test_targets_are_u_s_of_the_svd(targets, n_components):
    y = dense_targets(targets, n_components, random_state=0)
    left, singular_values, _ = np.linalg.svd(targets.toarray(), full_matrices=False)
    assert y.shape == (30, n_components)
    expected = (left * singular_values)[:, :n_components]
    signs = np.sign((expected * y).sum(axis=0))
    assert_allclose(y, expected * signs, atol=1e-2)  # the spectrum of noise is flat: the hardest case
    assert (y[np.abs(y).argmax(axis=0), np.arange(n_components)] > 0).all()


def test_least_squares_on_them_is_that_on_all_targets(rng, targets):
    X = rng.normal(size=(30, 4))
    y = dense_targets(targets, 30, random_state=0)
    _, _, right = np.linalg.svd(targets.toarray(), full_matrices=False)
    loadings = np.linalg.lstsq(y, targets.toarray(), rcond=None)[0]  # V', with the signs of y
    assert_allclose(np.abs(loadings @ right.T), np.eye(30), atol=1e-5)
    assert_allclose(
        LinearRegression().fit(X, y).predict(X) @ loadings,
        LinearRegression().fit(X, targets.toarray()).predict(X),
        atol=1e-6,
    )


def test_components_are_clipped_and_one_is_1d(targets):
    X = np.zeros((30, 2))
    wide = DenseTargets(Recorder(), n_components=1000).fit(X, targets)
    assert wide.estimator_.y_.shape == (30, 30) and wide.n_components_ == 30
    single = DenseTargets(Recorder(), n_components=1).fit(X, targets)
    assert single.estimator_.y_.shape == (30,) and single.n_components_ == 1
    lone_row = DenseTargets(Recorder()).fit(X[:1], targets[:1])
    assert lone_row.estimator_.y_.shape == (1,)


def test_integer_and_empty_targets(targets):
    counts = csr_array((targets > 0).astype(np.int64))
    y = dense_targets(counts, 3, random_state=0)
    assert y.dtype == np.float64
    assert_array_equal(dense_targets(csr_array((4, 5)), 3, random_state=0), np.zeros((4, 3)))


def test_dense_targets_are_handed_on(rng):
    X = np.zeros((6, 2))
    for y in (rng.normal(size=6), rng.normal(size=(6, 3))):
        assert DenseTargets(Recorder(), n_components=2).fit(X, y).estimator_.y_ is y


def test_fits_are_equal_bit_by_bit(targets):
    X = np.zeros((30, 2))
    first, second = (DenseTargets(Recorder(), 4).fit(X, targets).estimator_.y_ for _ in range(2))
    assert_array_equal(first, second)


def test_pls_learns_from_sparse_targets(rng, targets):
    X = rng.normal(size=(30, 8))
    pls = DenseTargets(PLSRegression(n_components=3), n_components=6)
    fitted = pls.fit_transform(X, targets)
    alone = PLSRegression(n_components=3).fit(X, dense_targets(targets, 6, random_state=0))
    assert_allclose(fitted, alone.transform(X))
    assert_allclose(pls.transform(X[:5]), alone.transform(X[:5]))
    assert pls.n_features_in_ == 8


def test_selects_the_words_that_tell_who_likes_an_item():
    texts = [f"{kind} {noun}" for kind in ("war", "love") for noun in ("film", "drama", "tale", "saga")]
    rng = np.random.default_rng(0)
    targets = csr_array(rng.random((8, 40)) < np.repeat([[0.8], [0.2]], 4, axis=0), dtype=float)
    encoder = make_pipeline(TfidfVectorizer(), DenseTargets(SelectKBest(f_regression, k=2), n_components=1))
    features = encoder.fit_transform(texts, targets)
    assert features.shape == (8, 2)
    assert encoder.get_feature_names_out().tolist() == ["love", "war"]


def test_fit_transform_is_that_of_the_transformer(rng, targets):
    class CrossFitted(Recorder):
        def fit_transform(self, X, y):
            return self.fit(X, y).transform(X) + 1

    X = rng.normal(size=(30, 2))
    encoder = DenseTargets(CrossFitted())
    assert_array_equal(encoder.fit_transform(X, targets), X + 1)
    assert_array_equal(encoder.transform(X), X)


def test_conventions(rng, targets):
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(rng.normal(size=(30, 3)), columns=["a", "b", "c"])
    scaler = DenseTargets(SelectKBest(f_regression, k=2), 1).fit(X, targets)
    assert scaler.feature_names_in_.tolist() == ["a", "b", "c"]
    assert scaler.get_params()["estimator__k"] == 2
    assert clone(scaler).set_params(estimator__k=1, n_components=3).estimator.k == 1
    assert scaler.estimator_.k == 2
    assert not hasattr(scaler.estimator, "scores_")
    frame = scaler.set_output(transform="pandas").transform(X)
    assert list(frame.columns) == list(scaler.get_feature_names_out())
    with sklearn.config_context(transform_output="polars"):
        assert DenseTargets(StandardScaler()).fit_transform(X, targets).columns == ["a", "b", "c"]
    assert_array_equal(pickle.loads(pickle.dumps(scaler)).transform(X), frame)  # noqa: S301 - our own bytes
    scaler.fit(X.to_numpy(), targets)
    assert not hasattr(scaler, "feature_names_in_")
    assert not hasattr(DenseTargets(Recorder()), "get_feature_names_out")


def test_errors(targets):
    X = np.zeros((30, 2))
    with pytest.raises(ValueError, match="y is None"):
        DenseTargets(Recorder()).fit(X, None)
    with pytest.raises(ValueError, match="n_components"):
        DenseTargets(Recorder(), n_components=0).fit(X, targets)
    with pytest.raises(ValueError, match="estimator"):
        DenseTargets("pls").fit(X, targets)


@parametrize_with_checks([DenseTargets(StandardScaler()), DenseTargets(PLSRegression(1))])
def test_sklearn_checks(estimator, check):
    check(estimator)
