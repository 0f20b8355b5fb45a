"""The same list for everybody: the baseline every recommender must beat."""

from numbers import Real

import numpy as np

from skllmrec._sklearn import Interval
from skllmrec.base import BaseFactorRecommender


class PopularityRecommender(BaseFactorRecommender):
    """Rank items by how often they were liked, or by their damped mean rating.

    Implicit feedback: the score of an item is the sum of the weights of its interactions. Explicit feedback: the
    damped mean ``(sum w r + damping * mean) / (sum w + damping)``, where ``mean`` is the mean of all ratings; an
    item that nobody rated gets the mean.

    Parameters
    ----------
    user, item : str or int, default=0, 1
        Columns of X that hold the ids.
    feedback : {"explicit", "implicit"}, default="explicit"
        Whether y holds ratings, or weights (None for all one).
    damping : float, default=5.0
        Number of ratings at the overall mean that every item starts with (explicit feedback).
    handle_unknown : {"prior", "error"}, default="prior"
        Whether unknown users and items get the score of an item without interactions, or raise.

    Attributes
    ----------
    item_scores_ : ndarray of shape (n_items,), float64
        Score of each of `items_`.
    default_score_ : float
        Score of unknown items.
    users_, items_, seen_
        See `BaseRecommender`.

    References
    ----------
    The damped mean is the Bayesian average of F. M. Harper and J. A. Konstan's MovieLens (ACM TiiS 5(4), 2015) and
    of most rating sites.

    Examples
    --------
    >>> from skllmrec.recommenders import PopularityRecommender
    >>> X = [["ann", "alien"], ["bob", "alien"], ["bob", "heat"], ["cem", "heat"], ["cem", "alien"]]
    >>> recommender = PopularityRecommender(feedback="implicit").fit(X)
    >>> recommender.recommend(["ann"], n_items=1)
    (array([['heat']], dtype=object), array([[2.]]))
    """

    _parameter_constraints: dict = {
        **BaseFactorRecommender._parameter_constraints,
        "damping": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, *, user=0, item=1, feedback="explicit", damping=5.0, handle_unknown="prior"):
        self.user = user
        self.item = item
        self.feedback = feedback
        self.damping = damping
        self.handle_unknown = handle_unknown

    def _fit_interactions(self, interactions):
        weights = interactions.weights
        counts = np.bincount(weights.indices, weights=weights.data, minlength=weights.shape[1])
        if interactions.ratings is None:
            self.item_scores_, self.default_score_ = counts, 0.0
            return
        liked = weights.data * interactions.ratings
        totals = np.bincount(weights.indices, weights=liked, minlength=weights.shape[1])
        mean = totals.sum() / counts.sum()
        # without damping an item nobody rated would be 0 / 0
        rated = counts + self.damping > 0
        scores = (totals + self.damping * mean) / np.where(rated, counts + self.damping, 1.0)
        self.item_scores_, self.default_score_ = np.where(rated, scores, mean), float(mean)

    def _partial_fit_interactions(self, interactions, users, items):
        self._fit_interactions(interactions)  # counting again is as cheap as adding up

    def _user_vectors(self, users):
        return np.ones((len(users), 1))

    def _item_vectors(self, items):
        return items.fill(self.item_scores_[:, np.newaxis], None, self.default_score_)

    def _similarity_block(self, queries, items):
        # everything is equally like everything else: the most popular first
        return np.broadcast_to(self._item_vectors(items).T, (len(queries), len(items)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # damped towards the mean, on purpose
        return tags
