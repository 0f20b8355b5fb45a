"""Strengths of a linear autoencoder, chosen on what is held out of its most popular items.

The best ridge hardly depends on the rare items, and a fit takes time of the order of the cube of the number of items:
on four sets of 3,000 to 4,000 items the 1,000 most popular ones lead to the same ridge as all of them, in a fortieth of
the time.
"""

from typing import NamedTuple, cast

import numpy as np
from scipy import sparse

from skllmrec._kernels.item_item.autoencoder import (
    cold_columns,
    fit_autoencoder,
    fit_content,
    popularity_factors,
    weigh_users,
)
from skllmrec._kernels.selection.blending import ranking_gain
from skllmrec._kernels.selection.held_out import MIN_HELD_OUT, draw_hold_outs, popular_items, thinned
from skllmrec._kernels.selection.peak import search_peak
from skllmrec._typing import CsrMatrix, FloatArray, Matrix

RIDGES = tuple(2.0**power for power in range(-2, 11))  # in mean histories
USUAL_RIDGE = 8.0  # where the search begins, and what too little data keeps
POPULARITY_EXPONENTS = (0.0, 0.1, 0.2, 0.3, 0.4)
_USUAL_EXPONENT = 2  # position of the one with which weights of the features are compared
CONTENT_SHARES = (0.05, 0.1, 0.25, 0.5)  # of method "additive"
USUAL_SHARE = 0.25
SHARE_OF_ALPHA = {"cease": 0.1, "l3ae": 1.0}  # weight of the features, in multiples of alpha
FEATURE_RIDGES = (2.0, 5.0, 10.0, 20.0, 40.0)
USUAL_FEATURE_RIDGE = 5.0
_MAX_USERS = 1000  # judged in each hold-out
_NEW_HOLD_OUTS = 2
_NEW_ITEMS = 5  # one in so many items is held out to choose the ridge of the features


class Strengths(NamedTuple):
    """What a linear autoencoder is fitted with.

    Attributes
    ----------
    alpha : float
        Ridge.
    popularity_exponent : float
        Of `popularity_factors`.
    feature_weight : float
        w of `fit_autoencoder`.
    """

    alpha: float
    popularity_exponent: float
    feature_weight: float


def mean_history(X: CsrMatrix) -> float:
    """Sum of the squared weights of a mean user, the unit of ridges; 1 where all weights are zero.

    Parameters
    ----------
    X : csr_matrix of shape (n_users, n_items)

    Returns
    -------
    float
    """
    return float(X.data @ X.data) / X.shape[0] or 1.0


class _HeldOut:
    """A tenth of the interactions of some items, and fits on the others."""

    def __init__(self, drawn, F, *, method, user_exponent, content, parameters):
        self._train, self._F = weigh_users(drawn.train, user_exponent), F
        self._test, self._seen = drawn.test[drawn.users], drawn.train[drawn.users].astype(np.float32)
        self._counts = np.bincount(drawn.train.indices, minlength=drawn.train.shape[1])
        self._method, self._parameters = method, parameters
        self._by_content = None if content is None else np.asarray(self._seen @ content)

    def scores(self, alpha, weights):
        """Scores of the judged users with each weight of the features."""
        if self._by_content is not None:
            by_ids = self._fitted("edlae", alpha, 0.0)
            return [(1 - weight) * by_ids + weight * self._by_content for weight in weights]
        return [self._fitted(self._method, alpha, weight) for weight in weights]

    def _fitted(self, method, alpha, weight):
        fitted = fit_autoencoder(
            self._train, self._F, method=method, alpha=alpha, feature_weight=weight, **self._parameters
        )
        return np.asarray(self._seen @ fitted.weights)

    def quality(self, scores, exponent):
        """Mean NDCG@20."""
        factors = popularity_factors(self._counts, exponent)
        return ranking_gain(scores * factors, self._test, self._seen).mean()


class _Trials:
    """Hold-outs, and the cheap choices at each ridge: first of the weight of the features, then of the exponent."""

    def __init__(self, parts, weights, exponents):
        self.parts, self.weights, self.exponents = parts, weights, exponents
        self.best = {}  # alpha: (weight, exponent)

    def __call__(self, alpha):
        weights = [weight(alpha) for weight in self.weights]
        scores = [part.scores(alpha, weights) for part in self.parts]

        def quality(choice):
            pairs = zip(self.parts, scores, strict=True)
            return np.mean([part.quality(found[choice[0]], self.exponents[choice[1]]) for part, found in pairs])

        usual = min(len(self.exponents) - 1, _USUAL_EXPONENT)
        weight = max(range(len(weights)), key=lambda one: quality((one, usual))) if len(weights) > 1 else 0
        found = [quality((weight, exponent)) for exponent in range(len(self.exponents))]
        exponent = int(np.argmax(found))
        self.best[alpha] = self.weights[weight], self.exponents[exponent]
        return found[exponent]


def choose_strengths(
    X: CsrMatrix,
    F: Matrix | None = None,
    *,
    method: str,
    alpha: float | None = None,
    popularity_exponent: float | None = None,
    feature_weight: float | None = None,
    feature_alpha: float = USUAL_FEATURE_RIDGE,
    user_exponent: float = 0.0,
    dropout: float = 0.0,
) -> Strengths:
    """Choose what is None on held-out interactions: the highest mean NDCG@20.

    The ridge is climbed along a grid of factors of two; at each value the share of the features of "additive", and then
    the exponent, are those that are best there, which takes no further fit.

    Parameters
    ----------
    X : csr_matrix of shape (n_users, n_items)
        Not weighted by users.
    F : {ndarray, csr_matrix} of shape (n_items, n_features), default=None
    method : str
        Of `fit_autoencoder`.
    alpha, popularity_exponent, feature_weight : float, default=None
        Given ones are kept.
    feature_alpha, user_exponent, dropout : float

    Returns
    -------
    Strengths
        Fewer than 50 held-out interactions choose the usual values and no exponent.
    """
    unit = mean_history(weigh_users(X, user_exponent))
    weights, default_weight = _weights_of(method, feature_weight)
    exponents = POPULARITY_EXPONENTS if popularity_exponent is None else (popularity_exponent,)
    ridges, start = [unit * ridge for ridge in RIDGES], RIDGES.index(USUAL_RIDGE)
    if alpha is not None:
        ridges, start = [alpha], 0
    usual = Strengths(ridges[start], popularity_exponent or 0.0, default_weight(ridges[start]))
    if len(ridges) * len(weights) * len(exponents) == 1:
        return usual
    items = popular_items(X)
    sample, features = X[:, items], None if F is None else F[items]
    content = fit_content(cast(Matrix, features), feature_alpha).weights if method == "additive" else None
    shared = {"method": method, "user_exponent": user_exponent, "content": content}
    shared["parameters"] = {"feature_alpha": feature_alpha, "dropout": dropout}
    parts = [_HeldOut(drawn, features, **shared) for drawn in draw_hold_outs(sample, _MAX_USERS)]
    if not parts:
        return usual
    trials = _Trials(parts, weights, exponents)
    peak = search_peak(trials, ridges, start)
    weight, exponent = trials.best[peak.near]
    return Strengths(peak.value, exponent, weight(peak.value))


def _weights_of(method, given):
    """Functions from alpha to the weights of the features that are tried, and to the usual one."""
    if given is not None:
        return [lambda alpha: given], lambda alpha: given
    if method == "additive":
        return [lambda alpha, share=share: share for share in CONTENT_SHARES], lambda alpha: USUAL_SHARE
    share = SHARE_OF_ALPHA.get(method, 0.0)
    return [lambda alpha: share * alpha], lambda alpha: share * alpha


def choose_feature_ridge(X: CsrMatrix, F: Matrix) -> float:
    """Choose the ridge of the features by how well they rank items that are held out as a whole.

    Parameters
    ----------
    X : csr_matrix of shape (n_users, n_items)
    F : {ndarray, csr_matrix} of shape (n_items, n_features)
        Rows of unit length or zero.

    Returns
    -------
    float
        One of `FEATURE_RIDGES`, by the mean NDCG@20 with a fifth of the items held out, twice; the usual one where
        fewer than 50 interactions are held out.
    """
    items = popular_items(X)
    sample, features = sparse.csr_matrix(X[:, items], dtype=np.float32), F[items]
    found = []
    for seed in range(_NEW_HOLD_OUTS):
        is_new = np.random.default_rng(seed).permutation(len(items)) % _NEW_ITEMS == 0
        history, test = sample[:, ~is_new], sample[:, is_new]
        users = thinned(np.flatnonzero((np.diff(history.indptr) > 0) & (np.diff(test.indptr) > 0)), _MAX_USERS)
        if test[users].nnz < MIN_HELD_OUT:
            return USUAL_FEATURE_RIDGE
        nothing = sparse.csr_matrix((len(users), test.shape[1]))
        known, new = features[~is_new], features[is_new]
        columns = (
            cold_columns(cast(FloatArray, fit_content(known, ridge).cold), known, new) for ridge in FEATURE_RIDGES
        )
        found.append([ranking_gain(history[users] @ one, test[users], nothing).mean() for one in columns])
    return FEATURE_RIDGES[int(np.argmax(np.mean(found, axis=0)))]
