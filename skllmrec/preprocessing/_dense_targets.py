"""DenseTargets: fits a supervised scikit-learn transformer on sparse targets."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, MetaEstimatorMixin, TransformerMixin, clone
from sklearn.utils.extmath import randomized_svd
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skllmrec._format import VersionedStateMixin
from skllmrec._sklearn import HasMethods, Interval, fit_context, get_tags, num_rows
from skllmrec._typing import Array, CsrMatrix, Estimator, FloatArray, Ids, RandomState


def dense_targets(targets: CsrMatrix, n_components: int, random_state: RandomState = None) -> FloatArray:
    """Compress sparse targets to U S of their truncated SVD.

    With ``targets = U S V'``, the rows of U S have the same inner products as the rows of the best rank-k
    approximation of the targets. A least-squares fit to U S is therefore equivalent to one to that approximation.

    Parameters
    ----------
    targets : sparse matrix of shape (n_rows, n_others)
        Ratings or weights; entries that are not stored are 0. They are not centred, so that they stay sparse.
    n_components : int
        Number of components k; clipped to min(n_rows, n_others).
    random_state : int, RandomState instance or None, default=None
        Seed of the starting vectors of the randomised SVD.

    Returns
    -------
    ndarray of shape (n_rows, k), or (n_rows,) if k is 1
        float64, columns in the order of decreasing singular values. The entry of largest magnitude of each left
        singular vector is positive.

    References
    ----------
    .. [1] N. Halko, P.-G. Martinsson, J. A. Tropp (2011), "Finding structure with randomness: probabilistic
       algorithms for constructing approximate matrix decompositions", SIAM Review 53(2).

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> targets = csr_array([[3.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    >>> dense_targets(targets, 2).round(3) + 0.0
    array([[3., 0.],
           [0., 2.],
           [0., 0.]])
    """
    n_components = min(n_components, *targets.shape)
    left, singular_values, _ = randomized_svd(
        targets.astype(np.float64), n_components, n_iter=7, flip_sign=True, random_state=random_state
    )
    y = left * singular_values
    return y[:, 0] if n_components == 1 else y


def _estimator_has(name):
    return lambda self: hasattr(getattr(self, "estimator_", self.estimator), name)


class DenseTargets(MetaEstimatorMixin, TransformerMixin, VersionedStateMixin, BaseEstimator):
    """Fit a supervised scikit-learn transformer that requires a dense y on sparse targets.

    Recommenders pass the interactions to their encoders as targets: a sparse matrix with one row per user or item of
    the table. ``PLSRegression``, ``SelectKBest`` and others require a dense y. This wrapper fits them on U S of the
    truncated SVD of the targets, a y of `n_components` columns. A single component is passed as a 1-D y, which
    univariate selection requires. A dense y is passed unchanged.

    Parameters
    ----------
    estimator : transformer
        A scikit-learn transformer whose ``fit(X, y)`` requires a dense y. It is cloned.
    n_components : int, default=16
        Number of components of the targets; clipped to their smaller dimension.
    random_state : int, RandomState instance or None, default=0
        Seed of the starting vectors of the randomised SVD. The result hardly depends on it; with the default, two
        fits give identical results.

    Attributes
    ----------
    estimator_ : transformer
        The fitted clone.
    n_components_ : int
        Number of columns of the y that it was fitted on (1 for a 1-D y).
    n_features_in_ : int
        Number of features seen by `fit`, if the transformer has this attribute.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, if the transformer has this attribute.

    References
    ----------
    .. [1] N. Halko, P.-G. Martinsson, J. A. Tropp (2011), "Finding structure with randomness: probabilistic
       algorithms for constructing approximate matrix decompositions", SIAM Review 53(2).

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.feature_selection import SelectKBest, f_regression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skllmrec.preprocessing import DenseTargets
    >>> texts = ["war film", "war drama", "love film", "love drama"]
    >>> targets = csr_array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    >>> select = DenseTargets(SelectKBest(f_regression, k=2), n_components=1)
    >>> encoder = make_pipeline(TfidfVectorizer(), select).fit(texts, targets)
    >>> encoder.get_feature_names_out()
    array(['love', 'war'], dtype=object)
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "transform"])],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator: Estimator, n_components: int = 16, *, random_state: RandomState = 0) -> None:
        self.estimator = estimator
        self.n_components = n_components
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any) -> Self:
        """Fit a clone of the transformer on the compressed targets.

        Parameters
        ----------
        X : input of the transformer, with n_rows rows
            Features of the users or items.
        y : sparse matrix of shape (n_rows, n_others), or array-like of shape (n_rows,) or (n_rows, n_outputs)
            The targets; dense ones are passed unchanged.

        Returns
        -------
        self : DenseTargets

        Raises
        ------
        ValueError
            If y is None or does not have the rows of X, or the transformer rejects X or y.
        """
        self._check_targets(X, y)
        self.estimator_ = clone(self.estimator).fit(X, self._dense(y))
        self._copy_input_attributes()
        return self

    @fit_context(prefer_skip_nested_validation=False)
    def fit_transform(self, X: Any, y: Any) -> Any:
        """Fit a clone of the transformer on the compressed targets and transform X.

        Parameters
        ----------
        X : input of the transformer, with n_rows rows
            Features of the users or items.
        y : sparse matrix of shape (n_rows, n_others), or array-like of shape (n_rows,) or (n_rows, n_outputs)
            The targets; dense ones are passed unchanged.

        Returns
        -------
        array of shape (n_rows, n_outputs)
            Result of ``fit_transform`` of the transformer, which may differ from that of ``transform`` on the same
            rows (``TargetEncoder``). If it is a pair for X and y (``PLSRegression``), the part for X.

        Raises
        ------
        ValueError
            If y is None or does not have the rows of X, the transformer rejects X or y, or it does not return one row
            for each row of X.
        """
        self._check_targets(X, y)
        dense = self._dense(y)
        self.estimator_ = clone(self.estimator)
        if hasattr(self.estimator_, "fit_transform"):
            transformed = self.estimator_.fit_transform(X, dense)
        else:
            transformed = self.estimator_.fit(X, dense).transform(X)
        self._copy_input_attributes()
        return self._checked_rows(transformed[0] if isinstance(transformed, tuple) else transformed, X)

    def transform(self, X: Any) -> Any:
        """Transform X with the fitted transformer.

        Parameters
        ----------
        X : input of the transformer, with n_rows rows
            Features of known or new users or items.

        Returns
        -------
        array of shape (n_rows, n_outputs)

        Raises
        ------
        ValueError
            If the transformer does not return one row for each row of X.
        """
        check_is_fitted(self, "estimator_")
        return self._checked_rows(self.estimator_.transform(X), X)

    @available_if(_estimator_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: Ids | None = None) -> Array:
        """Return the output names of the transformer.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the inputs.

        Returns
        -------
        ndarray of shape (n_outputs,), dtype object
        """
        check_is_fitted(self, "estimator_")
        return self.estimator_.get_feature_names_out(input_features)

    @staticmethod
    def _check_targets(X, y):
        """Compare the numbers of rows, where X knows them: a vectorizer may read the names of columns as texts."""
        if y is not None and hasattr(X, "__len__") and np.ndim(y) > 0 and num_rows(X) != num_rows(y):
            raise ValueError(f"y has {num_rows(y)} rows, but X has {num_rows(X)}: pass the targets of the rows of X")

    def _checked_rows(self, transformed, X):
        n_rows = num_rows(transformed)
        if hasattr(X, "__len__") and n_rows != num_rows(X):
            raise ValueError(
                f"{type(self.estimator_).__name__} returned {n_rows} row{'' if n_rows == 1 else 's'} for "
                f"{num_rows(X)} rows of X: a vectorizer wants one column, not a table, or TextTemplate before it"
            )
        return transformed

    def _dense(self, y):
        """Compress sparse targets, and set `n_components_`."""
        if y is None:
            raise ValueError(
                "DenseTargets requires y to be passed, but the target y is None: pass the targets of the rows "
                "of X, e.g. the sparse matrix of their interactions (recommenders do)."
            )
        if issparse(y):
            y = dense_targets(y, self.n_components, self.random_state)
        shape = np.asarray(y).shape
        self.n_components_ = 1 if len(shape) == 1 else shape[1]
        return y

    def _copy_input_attributes(self):
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
            elif hasattr(self, name):  # of an earlier fit
                delattr(self, name)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.estimator).input_tags
        tags.target_tags.required = True
        return tags
