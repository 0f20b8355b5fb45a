"""Final estimators: the default one, and how any of scikit-learn's is fitted on lists and asked for scores."""

import inspect
from typing import Any, Self

import numpy as np
from scipy import optimize
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.preprocessing import StandardScaler

from skllmrec._kernels.stacking.listwise import fit_listwise
from skllmrec._typing import Array, Estimator, FloatArray, IntArray, RandomState

_DECIMALS = 3  # that trees see: a split must not tell rounding errors apart
_TINY = 1e-12


class ListwiseBoostingRanker(RegressorMixin, BaseEstimator):
    """The mean of a linear listwise softmax and of boosted trees, each scaled by its spread within lists.

    Parameters
    ----------
    alpha : float, default=0.001
        Ridge of the linear model, whose columns are standardised.
    max_iter, learning_rate, max_leaf_nodes, min_samples_leaf, l2_regularization
        Of the trees, see `HistGradientBoostingClassifier`.
    random_state : int, RandomState instance or None, default=None

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Of the linear model, for standardised columns.
    trees_ : HistGradientBoostingClassifier
    scales_ : ndarray of shape (2,)
        Mean spread within lists of the linear model and of the trees.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.001,
        max_iter: int = 100,
        learning_rate: float = 0.06,
        max_leaf_nodes: int = 15,
        min_samples_leaf: int = 50,
        l2_regularization: float = 10.0,
        random_state: RandomState = None,
    ) -> None:
        self.alpha = alpha
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.max_leaf_nodes = max_leaf_nodes
        self.min_samples_leaf = min_samples_leaf
        self.l2_regularization = l2_regularization
        self.random_state = random_state

    def fit(self, X: FloatArray, y: FloatArray, groups: IntArray, sample_weight: FloatArray | None = None) -> Self:
        """Learn from lists.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)
        y : ndarray of shape (n,)
            One for what is relevant, else zero.
        groups : ndarray of int, shape (n,)
            The list of each row, ascending.
        sample_weight : ndarray of shape (n,), default=None
            How many candidates each row stands for.

        Returns
        -------
        self
        """
        starts = np.unique(groups, return_index=True)[1]
        self.scaler_ = StandardScaler().fit(X)
        offsets = None if sample_weight is None else np.log(sample_weight)
        targets = np.asarray(y, dtype=np.float64)
        self.coef_ = fit_listwise(self.scaler_.transform(X), targets, starts, self.alpha, offsets)
        self.trees_ = HistGradientBoostingClassifier(
            max_iter=self.max_iter,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.max_leaf_nodes,
            min_samples_leaf=self.min_samples_leaf,
            l2_regularization=self.l2_regularization,
            early_stopping=False,
            random_state=self.random_state,
        ).fit(np.round(X, _DECIMALS), y, sample_weight=sample_weight)
        self.scales_ = np.array([_spread_within(part, starts) for part in self._parts(X)])
        return self

    def _parts(self, X):
        return self.scaler_.transform(X) @ self.coef_, self.trees_.decision_function(np.round(X, _DECIMALS))

    def predict(self, X: FloatArray) -> FloatArray:
        """Score rows.

        Parameters
        ----------
        X : ndarray of shape (n, n_features)

        Returns
        -------
        ndarray of shape (n,)
        """
        linear, trees = self._parts(X)
        return np.asarray((linear / self.scales_[0] + trees / self.scales_[1]) / 2)


def _spread_within(scores, starts):
    """Root of the mean variance of scores in lists; 1 where there is none."""
    lengths = np.diff(np.append(starts, len(scores)))
    centred = scores - np.repeat(np.add.reduceat(scores, starts) / lengths, lengths)
    spread = float(np.sqrt(np.mean(centred**2)))
    return spread if spread > _TINY else 1.0


class FinalModel:
    """A fitted final estimator whose scores are calibrated: the log-odds that a candidate is relevant.

    Parameters
    ----------
    estimator : fitted estimator
    slope, intercept : float
        From its scores to log-odds; the slope is positive.
    """

    def __init__(self, estimator: Estimator, slope: float, intercept: float) -> None:
        self.estimator = estimator
        self.slope = slope
        self.intercept = intercept

    @classmethod
    def fit(cls, estimator: Estimator, X: FloatArray, y: Array, groups: IntArray, weights: FloatArray) -> "FinalModel":
        """Fit a clone on lists.

        Parameters
        ----------
        estimator : regressor, classifier or ranker
            One that takes `groups`, `qid` (the list of each row) or `group` (their lengths) gets them.
        X : ndarray of shape (n, n_features)
        y : ndarray of bool, shape (n,)
        groups : ndarray of int, shape (n,)
            The list of each row, ascending.
        weights : ndarray of shape (n,)
            How many candidates each row stands for: the `sample_weight` of an estimator that takes it.
        """
        estimator = clone(estimator)
        taken = inspect.signature(estimator.fit).parameters
        lists = {"groups": groups, "qid": groups, "group": np.unique(groups, return_counts=True)[1]}
        given = {**lists, "sample_weight": weights}
        named = {name: value for name, value in given.items() if name in taken}
        estimator.fit(X, y.astype(np.int64 if is_classifier(estimator) else np.float64), **named)
        return cls(estimator, *_calibration(_finite(estimator, raw_scores(estimator, X)), y, weights))

    def __call__(self, X: FloatArray) -> FloatArray:
        """Calibrated scores of rows.

        Raises
        ------
        ValueError
            If one of them is not finite.
        """
        return _finite(self.estimator, raw_scores(self.estimator, X)) * self.slope + self.intercept


def raw_scores(estimator: Estimator, X: FloatArray) -> FloatArray:
    """Scores of a fitted classifier, regressor or ranker: the decision function, log-odds, or predictions."""
    if hasattr(estimator, "decision_function"):
        return np.asarray(estimator.decision_function(X), dtype=np.float64)
    if hasattr(estimator, "predict_proba"):
        return np.asarray(logit(np.clip(estimator.predict_proba(X)[:, 1], _TINY, 1 - _TINY)))
    return np.asarray(estimator.predict(X), dtype=np.float64).reshape(len(X))


def _finite(estimator, scores):
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        raise ValueError(
            f"final_estimator: {type(estimator).__name__} gives scores that are not finite, e.g. {scores[wrong[0]]} "
            f"({len(wrong)} of {len(scores)}): choose one that extrapolates less, or put a scaler before it"
        )
    return scores


def _calibration(scores, y, weights):
    """Slope and intercept of a logistic regression on one column, by Newton's method; the order is kept."""
    mean, spread = scores.mean(), float(scores.std())
    if spread < _TINY:
        return 1.0, 0.0
    z, total = (scores - mean) / spread, weights.sum()

    def loss(params: Any) -> Any:
        margins = params[0] * z + params[1]
        error = weights * (expit(margins) - y)
        value = (weights * (np.logaddexp(0, margins) - y * margins)).sum()
        return value / total, np.array([error @ z, error.sum()]) / total

    found = optimize.minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(1e-3, 20), (-50, 50)]).x
    slope = found[0] / spread
    return float(slope), float(found[1] - slope * mean)
