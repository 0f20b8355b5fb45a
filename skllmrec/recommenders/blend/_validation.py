"""What a blend holds out, and which weights its parts deserve on it."""

import numpy as np

from skllmrec._kernels.selection.blending import convex_least_squares, select_greedily
from skllmrec._kernels.selection.held_out import take_entries
from skllmrec._kernels.selection.pools import Rankings, pool_rankings
from skllmrec._kernels.selection.standing import levels, standardised, usual_spread
from skllmrec._sklearn import take_rows
from skllmrec.recommenders._composite import find_pairs, rows_of_codes

SEGMENTS = ("cold", "few_shot", "warm")
_MAX_USERS = 1024  # judged for each segment: enough for the choice, and bounds its cost
_MAX_REFERENCE = 256  # items by which the scores of a user are standardised
_MIN_HELD_OUT = 30  # users or ratings below which nothing can be said about a segment
_BAGS = 4  # halves of the items that weights are chosen on: a few frequent items must not decide alone
_MIN_BAGGED = 40  # items below which all are one bag
_MAX_RANKED = 4096  # items of a segment that are all ranked; of more, each user has a pool of candidates
# Items that each part brings into a pool, beside those that were held out. Lists of 20 are judged. A part alone is
# judged exactly, since its own best 20 are in the pool. An item outside the pool is below 256 others by every part, so
# that it can hardly be among the best 20 of a convex combination.
_POOLED = 256


def segments(counts, few_shot):
    """Return the number of the segment of items with so many interactions."""
    return np.where(counts == 0, 0, np.where(counts <= few_shot, 1, 2))


def draw_reference(items, generator):
    """Draw the items by which scores are standardised."""
    return np.sort(generator.permutation(items)[:_MAX_REFERENCE])


class _Scores:
    """Standardised scores that a part gives some users for some items, for a few users at a time."""

    def __init__(self, part, users, items, reference):
        self._users, self._ranker = users, part.ranker(items)
        self._levels = levels(part.ranker(reference).scores(users))
        self._usual = usual_spread(self._levels)

    def __call__(self, rows):
        scores = self._ranker.scores(take_rows(self._users, rows))
        return standardised(scores, self._levels[rows], self._usual)


class Validation:
    """Interactions held out from the fit of a blend: some of all items, and all of some items.

    Parameters
    ----------
    blend : BlendRecommender
        Its ids and interactions are known, its parts are not fitted.
    X : dataframe or array
        The rows of the fit.
    fraction : float
        Share of the interactions, and of the items, that is held out.
    generator : Generator

    Attributes
    ----------
    is_possible : bool
        Whether there is enough to hold out.
    training_rows : ndarray of intp
        Rows of X that are not held out.
    """

    def __init__(self, blend, X, fraction, generator):
        self._seen, self._ratings, self._generator, self._X = blend.seen_, blend._ratings, generator, X
        self._explicit = self._ratings is not None
        n_users, n_items = self._seen.shape
        self._owners = np.repeat(np.arange(n_users), np.diff(self._seen.indptr))
        cold = generator.random(self._seen.indices.max() + 1) < fraction  # what only a table holds is not drawn
        self._held_out = (generator.random(self._seen.nnz) < fraction) | cold[self._seen.indices]
        self.is_possible = self._held_out.sum() >= _MIN_HELD_OUT and not self._held_out.all()
        self._train = take_entries(self._seen, np.flatnonzero(~self._held_out))
        counts = np.bincount(self._train.indices, minlength=n_items)
        known = np.bincount(self._seen.indices, minlength=n_items) > 0
        self._segments = np.where(known, segments(counts, blend.few_shot), -1)
        self._pair_of_row = find_pairs(blend, X)
        self.training_rows = np.flatnonzero((self._pair_of_row < 0) | ~self._held_out[self._pair_of_row])

    def judge(self, parts, name):
        """Find the weights of parts, fitted on the training rows, for a segment.

        Parameters
        ----------
        parts : list of recommenders
        name : str
            A segment, or "all".

        Returns
        -------
        weights, scores : ndarray of shape (n_parts,)
            Weights of sum 1, and how good each part alone is; None where too little is held out.
        """
        segment = self._segments if name == "all" else np.where(self._segments == SEGMENTS.index(name), 0, -1)
        pairs = np.flatnonzero(self._held_out & (segment[self._seen.indices] >= 0))
        if self._explicit:
            return self._judge_ratings(parts, pairs)
        return self._judge_rankings(parts, pairs, np.flatnonzero(segment >= 0))

    def _judge_ratings(self, parts, pairs):
        if len(pairs) < _MIN_HELD_OUT:
            return None
        known, first = np.unique(self._pair_of_row, return_index=True)
        rows = first[np.searchsorted(known, pairs)]
        predictions = np.column_stack([part.predict(take_rows(self._X, rows)) for part in parts])
        targets, weights = self._ratings[pairs], self._seen.data[pairs]
        errors = np.average((predictions - targets[:, np.newaxis]) ** 2, axis=0, weights=weights)
        return convex_least_squares(predictions, targets, weights), -np.sqrt(errors)

    def _judge_rankings(self, parts, pairs, items):
        """Rank the items of the segment for the users who have held-out ones among them."""
        test = take_entries(self._seen, pairs)[:, items]
        users = np.flatnonzero(np.diff(test.indptr))
        if len(users) < _MIN_HELD_OUT:
            return None
        users = np.sort(self._generator.permutation(users)[:_MAX_USERS])
        test, seen = test[users], self._train[users][:, items]
        reference = draw_reference(np.unique(self._train.indices), self._generator)
        given_users = self._rows_of(self._owners, users)
        given_items, given_reference = (self._rows_of(self._seen.indices, some) for some in (items, reference))
        models = (_Scores(part, given_users, given_items, given_reference) for part in parts)
        if len(items) <= _MAX_RANKED:
            rankings = Rankings([model(np.arange(len(users))) for model in models], test, seen)
        else:
            rankings = pool_rankings(list(models), _POOLED, test, seen)
        alone = np.array([rankings.gains(one).mean() for one in rankings.scores])
        weights = [self._select(rankings, bag) for bag in self._bags(len(items))]
        return np.mean(weights, axis=0), alone

    def _bags(self, n_items):
        """Random halves of items, ascending; all of them where there are few."""
        if n_items < _MIN_BAGGED:
            return [np.arange(n_items)]
        return [np.sort(self._generator.permutation(n_items)[: n_items // 2]) for _ in range(_BAGS)]

    @staticmethod
    def _select(rankings, items):
        """Weights that are best for some of the items and the users who have held-out ones among them."""
        rankings = rankings.among(items)
        return select_greedily(rankings.scores, lambda blended: rankings.gains(blended).mean())

    def _rows_of(self, codes, wanted):
        return rows_of_codes(self._X, self._pair_of_row, codes, wanted)
