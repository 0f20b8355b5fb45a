"""What recommenders share that read the order of interactions: times of the pairs, and histories that fade."""

import copy
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy import sparse

from skllmrec._kernels.item_item.recency import ages_of, merged_ages, recency_weights
from skllmrec._kernels.item_item.transitions import latest_times
from skllmrec._kernels.selection.blending import ranking_gain
from skllmrec._kernels.selection.held_out import (
    MIN_HELD_OUT,
    hold_out_last,
    is_better,
    judged_users,
    take_entries,
)
from skllmrec._sklearn import Interval, StrOptions, without_callbacks
from skllmrec._times import absolute_times, join_times, numbers_of_texts
from skllmrec.base import BaseRecommender, Interactions
from skllmrec.base._columns import ColumnKey
from skllmrec.base._entities import Entities
from skllmrec.base._interactions import interactions_of

HALF_LIVES = (32.0, 16.0, 8.0, 4.0, 2.0, 1.0, 0.5)
_JUDGED_AT_ONCE = 256
_MIN_ERRORS = 1.5  # the best of seven is often better by chance


class TimedRecommender(BaseRecommender):
    """A recommender with the parameter ``time``, a column of X that orders the rows of a user.

    Its ``_fit_interactions`` and ``_partial_fit_interactions`` store what `_latest` returns as ``_times``.
    """

    time: Any
    _times: Any = None  # of the stored pairs of seen_

    def _check_columns(self, X):
        if self.time is not None:
            ColumnKey.resolve(X, self.time, name="time")

    def _read_times(self, rows):
        """Read the times of the rows as numbers; arrays of text may hold numbers as text."""
        if self.time is None:
            return np.zeros(len(rows))
        values = np.asarray(rows.column(self.time, name="time"))
        if not any(isinstance(value, str) for value in values.ravel()[:1]):
            return absolute_times(rows.X, self.time)
        times = numbers_of_texts(values.ravel())
        if times is None:
            raise ValueError(
                f"time column {self.time!r} holds {values[0]!r}, which is no number: convert it, e.g. with "
                "pandas.to_datetime"
            )
        missing = np.flatnonzero(times != times)  # a text may say "nan"
        if len(missing):
            raise ValueError(
                f"time={self.time!r} is missing at position {missing[0]} ({len(missing)} in total): remove these rows"
            )
        return times

    def _latest(self, interactions, known=None):
        """Find the latest time of each pair, those `known` before included; a row of weight zero is no event."""
        rows = interactions.rows
        kept, times = rows.weights > 0, self._read_times(rows)
        users, items, times = rows.users[kept], rows.items[kept], times[kept]
        if known is not None:
            before = self.seen_.tocoo()
            events = before.data > 0
            users, items = np.append(before.row[events], users), np.append(before.col[events], items)
            times = join_times(known[events], times, name=f"time={self.time!r}")
        return latest_times(interactions.weights, users, items, times)

    def _known_times(self):
        """Return the times of the pairs of the calls before."""
        if self._times is None and self.time is not None:
            raise ValueError(
                f"this {type(self).__name__} comes from a file that does not hold the times of its rows, so that new "
                "rows cannot be put in order with them: fit it again on all rows"
            )
        return np.zeros(self.seen_.nnz) if self._times is None else self._times


class FadingRecommender(TimedRecommender):
    r"""A recommender for which interactions of a user count the less, the more they did since.

    An interaction has the age a: how many of the same user are later. In the history of a user it counts
    :math:`2^{-a / h}` of its weight, where h is the parameter ``half_life``. What was learned of items is not touched:
    only what a user is asked for. ``_fit_interactions`` calls `_learn_order` as soon as its other choices are made,
    ``_partial_fit_interactions`` calls `_extend_order`. A subclass that stores vectors of users instead of reading
    `_interactions_of` overrides `_refresh_users`.
    """

    half_life: Any
    half_life_: float | None = None
    _ages: Any = None

    _order_constraints: dict = {
        "time": [str, Integral, None],
        "half_life": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither"), None],
    }

    def _learn_order(self, interactions, chosen):
        """Set `half_life_`; `chosen` are the values of the parameters that this fit has chosen."""
        self._times = None if self.time is None or self.half_life is None else self._latest(interactions)
        self.half_life_ = self.half_life
        if self.half_life == "auto":
            self.half_life_ = None if self._times is None else self._choose_half_life(interactions, chosen)
        self._age(interactions.weights)

    def _extend_order(self, interactions):
        """Put new rows in order with those before, before they are part of `seen_`."""
        if self.half_life_ is not None and self.time is not None:
            self._times = self._latest(interactions, self._known_times())
        self._age(interactions.weights)

    def _age(self, weights):
        """Store the ages of all pairs; without a half-life, nothing is read from times."""
        if self.half_life_ is None:
            self._times = None
        self._ages = None if self._times is None else ages_of(weights, self._times)

    def _interactions_of(self, users):
        weights, ratings = super()._interactions_of(users)
        if self.half_life_ is None:
            return weights, ratings
        faded = sparse.csr_matrix(
            (weights.data * self._recency(users, weights), weights.indices, weights.indptr), weights.shape
        )
        return faded, ratings

    def _recency(self, users, merged):
        """Share of its weight that each stored pair keeps, of `Entities` of users and their interactions."""
        known, ages = interactions_of(self.seen_, self._ages, users.codes)
        if ages is None:  # nothing is known of their order
            ages = np.zeros(known.nnz, dtype=np.intp)
        if users.history is None:
            return recency_weights(ages, self.half_life_)
        added, given = users.history.weights, users.history.ages
        n_added = np.diff(added.indptr)
        return recency_weights(merged_ages(merged, known, ages, added, given, n_added), self.half_life_)

    def _faded(self, weights):
        """Weights of all pairs as they describe users."""
        if self.half_life_ is None or self._ages is None:
            return weights
        recency = recency_weights(self._ages, self.half_life_)
        return sparse.csr_matrix((weights.data * recency, weights.indices, weights.indptr), weights.shape)

    def _refresh_users(self, users, weights):
        """Describe some known users anew by the weights of all pairs, where their vectors are stored."""

    # -- the half-life ----------------------------------------------------------------------------------------

    def _choose_half_life(self, interactions, chosen):
        """Return the half-life under which what users did last is ranked best; None if order does not help."""
        if interactions.ratings is not None:
            return None
        n_users, n_items = interactions.trained_shape
        weights = interactions.weights[:n_users, :n_items]
        train, test = hold_out_last(weights, self._times, seed=0)
        if len(test) < MIN_HELD_OUT:
            return None
        trial, observed = self._without_last(interactions, chosen, train)
        held_out = take_entries(weights, test)
        users = judged_users(held_out, seed=0)
        ages = ages_of(observed, self._times[train])
        prepared = trial._prepare_items(Entities(self.items_[:n_items], np.arange(n_items)))

        def quality(half_life: float | None) -> Any:
            trial.half_life_ = half_life
            trial._ages = None if half_life is None else ages
            trial._refresh_users(users, trial._faded(observed))
            return trial._quality(users, prepared, held_out)

        flat = quality(None)
        found = {half_life: quality(half_life) for half_life in HALF_LIVES}
        best = max(HALF_LIVES, key=lambda half_life: found[half_life].mean())
        return best if is_better(found[best], flat, _MIN_ERRORS) else None

    def _without_last(self, interactions, chosen, train):
        """Fit a copy on the pairs that are not held out, with the values that were chosen; return it and the pairs."""
        trial = without_callbacks(copy.copy(self))
        for name, value in {**chosen, "half_life": None}.items():
            setattr(trial, name, value)
        trial.seen_ = take_entries(self.seen_, train)
        observed = take_entries(interactions.weights, train)
        features = interactions.user_features, interactions.item_features
        sides = interactions.users, interactions.items
        trial._fit_interactions(Interactions(*sides, observed, None, *features, interactions.rows))
        return trial, observed

    def _quality(self, users, prepared, held_out):
        """NDCG@20 of the held-out interactions of some users, ranked among prepared items."""
        n_items, found = held_out.shape[1], []
        for start in range(0, len(users), _JUDGED_AT_ONCE):
            block = users[start : start + _JUDGED_AT_ONCE]
            scores = self._score_prepared(Entities(self.users_[block], block), prepared)
            found.append(ranking_gain(scores, held_out[block], self.seen_[block][:, :n_items]))
        return np.concatenate(found)
