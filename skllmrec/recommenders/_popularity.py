"""The same list for everybody: the baseline every recommender must beat."""

from numbers import Real
from typing import Any

import numpy as np

from skllmrec._kernels.feature_map import ridge_map
from skllmrec._sklearn import Interval, StrOptions
from skllmrec._typing import Column, Columns, Estimator, Feedback, Unknown
from skllmrec.base import BaseFactorRecommender


class PopularityRecommender(BaseFactorRecommender):
    r"""Rank items by how often they were liked, or by their damped mean rating; new ones by what their text promises.

    Implicit feedback: the score of an item is the sum :math:`n_i` of the weights of its interactions, or
    :math:`\log(1 + n_i)`, see `scale`. Explicit feedback: the damped mean rating [1]_

    .. math:: \bar r_i = \frac{\sum_u w_{ui} r_{ui} + d \mu}{n_i + d}

    where :math:`\mu` is the mean of all ratings and d the `damping`; an item that nobody rated gets the mean.

    With features :math:`z_i`, an item without interactions gets the popularity that items with such features have, a
    regression prior [2]_: :math:`y_i = c + b \cdot z_i`, learned on the items with interactions by

    .. math:: \min_{b, c} \sum_i v_i (y_i - c - b \cdot z_i)^2 + \lambda |b|^2

    with :math:`y_i = \log(1 + n_i), v_i = 1` for implicit and :math:`y_i = \bar r_i, v_i = n_i` for explicit feedback.
    Predicted counts are at least 0 and at most the sum of all. An item with interactions is scored by them alone, and
    so is a new one as soon as `partial_fit` brings some; the regression stays as it was fitted.

    Parameters
    ----------
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    user_features : None
        Nothing is learned from features of users: the parameter is there because all recommenders have it and can be
        exchanged for each other. `fit` refuses any other value.
    item_features : column key, default=None
        Columns that describe the item.
    user_encoder : None
        As `user_features`.
    item_encoder : transformer, default=None
        Turns them into vectors, e.g. a pipeline of TextTemplate and LLMTextEncoder.
    feedback : {"implicit", "explicit"}, default="implicit"
        Whether y holds non-negative weights (None for all one), or ratings.
    weighter : transformer, default=None
        Turns counts with a heavy tail into weights, such as `CountWeighter`: it is fitted on the summed y of the pairs
        of users and items. None: y is the weight.
    feature_alpha : float or "auto", default="auto"
        Strength :math:`\lambda` of the ridge, in units of the mean squared singular value of the centred features, rows
        weighted; "auto": of 15 strengths from .001 to 10,000 the one with the least leave-one-out error, in closed
        form.
    scale : {"count", "log"}, default="count"
        Of the scores of implicit feedback: :math:`n_i` or :math:`\log(1 + n_i)`. Both rank alike; beside other
        scores, as in a `BlendRecommender`, counts have too long a tail. Explicit feedback: without effect.
    damping : float, default=5.0
        Number of ratings at the overall mean that every item starts with (explicit feedback).
    handle_unknown : {"prior", "error"}, default="prior"
        Whether unknown users and items get the score that features predict, without features that of an item without
        interactions, or raise.

    Attributes
    ----------
    item_scores_ : ndarray of shape (n_items,), float64
        Score of each of `items_`.
    default_score_ : float
        Score of unknown items of which nothing is known.
    feature_alpha_ : float or None
        Strength of the ridge that is used; None without features.
    users_, items_, seen_
        See `BaseRecommender`.

    References
    ----------
    .. [1] The Bayesian average of F. M. Harper and J. A. Konstan's MovieLens (ACM TiiS 5(4), 2015) and of most rating
       sites.
    .. [2] D. Agarwal and B.-C. Chen, "Regression-based latent factor models", KDD 2009.

    Examples
    --------
    >>> from skllmrec.recommenders import PopularityRecommender
    >>> X = [["ann", "alien"], ["bob", "alien"], ["bob", "heat"], ["cem", "heat"], ["cem", "alien"]]
    >>> recommender = PopularityRecommender(feedback="implicit").fit(X)
    >>> recommender.recommend(["ann"], n_items=1)
    (array([['heat']], dtype=object), array([[2.]]))

    New items, by their text:

    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> texts = {"alien": "space horror", "dune": "space desert", "heat": "city crime", "up": "city balloon"}
    >>> likes = {"alien": ["ann", "bob", "cem"], "dune": ["ann", "bob"], "heat": ["cem"], "up": ["ann"]}
    >>> X = [[user, item, texts[item]] for item, users in likes.items() for user in users]
    >>> recommender = PopularityRecommender(feedback="implicit", item_features=2, item_encoder=TfidfVectorizer())
    >>> new = [["eve", "cops", "crime in the city"], ["eve", "mars", "horror of a desert in space"]]
    >>> recommender.fit(X).predict(new).round(1)
    array([1. , 2.6])
    >>> recommender.recommend(["eve"], n_items=1, candidates=new)[0]
    array([['mars']], dtype=object)
    """

    _parameter_constraints: dict = {
        **BaseFactorRecommender._parameter_constraints,
        "feature_alpha": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "scale": [StrOptions({"count", "log"})],
        "damping": [Interval(Real, 0, None, closed="left")],
    }

    _reads_user_features = False  # everybody gets the same list

    def __init__(
        self,
        *,
        user: Column = 0,
        item: Column = 1,
        user_features: Columns | None = None,
        item_features: Columns | None = None,
        user_encoder: Estimator | None = None,
        item_encoder: Estimator | None = None,
        feedback: Feedback = "implicit",
        weighter: Estimator | None = None,
        feature_alpha: Any = "auto",
        scale: Any = "count",
        damping: float = 5.0,
        handle_unknown: Unknown = "prior",
    ) -> None:
        self.user = user
        self.item = item
        self.user_features = user_features
        self.item_features = item_features
        self.user_encoder = user_encoder
        self.item_encoder = item_encoder
        self.feedback = feedback
        self.weighter = weighter
        self.feature_alpha = feature_alpha
        self.scale = scale
        self.damping = damping
        self.handle_unknown = handle_unknown

    def _fit_interactions(self, interactions):
        counts = self._learn_scores(interactions)
        self._feature_map, self.feature_alpha_ = None, None
        if interactions.item_features is not None:
            self._learn_features(interactions, counts)

    def _partial_fit_interactions(self, interactions, users, items):
        before = self.item_scores_
        self._learn_scores(interactions)  # counting again is as cheap as adding up
        if self._feature_map is not None:
            rows = np.bincount(interactions.weights.indices, minlength=len(self.item_scores_))
            unobserved = np.flatnonzero(rows[: len(before)] == 0)  # only a table brought them
            self.item_scores_[unobserved] = before[unobserved]

    def _learn_scores(self, interactions):
        """Set the scores by interactions alone; return how many each item has."""
        weights = interactions.weights
        counts = np.bincount(weights.indices, weights=weights.data, minlength=weights.shape[1])
        if interactions.ratings is None:
            self.item_scores_, self.default_score_ = np.log1p(counts) if self.scale == "log" else counts, 0.0
            return counts
        liked = weights.data * interactions.ratings
        totals = np.bincount(weights.indices, weights=liked, minlength=weights.shape[1])
        mean = totals.sum() / counts.sum()
        # without damping an item nobody rated would be 0 / 0
        rated = counts + self.damping > 0
        scores = (totals + self.damping * mean) / np.where(rated, counts + self.damping, 1.0)
        self.item_scores_, self.default_score_ = np.where(rated, scores, mean), float(mean)
        return counts

    def _learn_features(self, interactions, counts):
        """Fit the map from features to popularity, and apply it to items that only a table brought."""
        features, n_trained = interactions.item_features, interactions.trained_shape[1]
        if interactions.ratings is None:
            targets, weights = np.log1p(counts), np.ones(len(counts))
        else:
            targets, weights = self.item_scores_, counts
        self._feature_map, self.feature_alpha_ = ridge_map(
            features[:n_trained], targets[:n_trained, np.newaxis], weights[:n_trained], self.feature_alpha
        )
        self._most = np.log1p(counts.sum())
        self.item_scores_[n_trained:] = self._expected(features[n_trained:])[:, 0]

    def _expected(self, features):
        """Scores that features promise, (n, 1)."""
        expected = self._feature_map.predict(features)
        if self._feedback == "explicit":
            return expected
        expected = np.clip(expected, 0.0, self._most)  # far from the known features a line would lead to infinity
        return expected if self.scale == "log" else np.expm1(expected)

    def _user_vectors(self, users):
        return np.ones((len(users), 1))

    def _item_vectors(self, items):
        described = self._feature_map is not None and items.features is not None
        new = self._expected(items.features) if described else None
        return items.fill(self.item_scores_[:, np.newaxis], new, self.default_score_)

    def _similarity_block(self, queries, items):
        # everything is equally like everything else: the most popular first
        return np.broadcast_to(self._item_vectors(items).T, (len(queries), len(items)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # damped towards the mean, on purpose
        return tags
