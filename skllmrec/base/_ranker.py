"""Ranker: prepared candidates that answer many calls."""

import threading
from dataclasses import replace

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skllmrec._ids import IdIndex, normalise_ids, shown
from skllmrec._sklearn import changing_thread
from skllmrec._typing import Array, Estimator, FloatArray, Frame, Ids, Rows
from skllmrec.base._entities import concatenate
from skllmrec.base._frames import lists_as_frame
from skllmrec.base._prepared import Prepared, prepared_models, wait_for_snapshot


class _Source:
    """Candidates as a caller named them, to be read again from a changed model; None: all items of the model."""

    def __init__(self, given):
        self.given, self.dropped = given, np.empty(0, dtype=object)
        self._read_by, self._items = None, None

    def __getstate__(self):
        return {**vars(self), "_read_by": None, "_items": None}

    def read(self, model):
        """Entities of the candidates that were not dropped; what is encoded stays so while the encoder is the same."""
        side = model._item_side
        if self.given is not None and self._read_by == (id(side.encoder), id(side.feature_key)):
            items = self._items
            items = replace(items, codes=side.index.encode(items.ids))
        else:
            items = model._read_candidates(self.given)
            self._items, self._sides = items, (side.encoder, side.feature_key)  # held, so that no other has their id
            self._read_by = id(side.encoder), id(side.feature_key)
        if len(self.dropped) == 0:
            return items
        return items.take(np.flatnonzero(IdIndex(self.dropped).encode(items.ids) < 0))


class Ranker:
    """Candidates of a fitted recommender, prepared for many calls of `rank`.

    ``recommender.recommend(users, candidates=...)`` prepares the candidates at every call; a ranker does so once. Its
    lists and scores are those of `recommend`.

    A ranker notices at the next call that `fit`, `partial_fit` or an assignment changed an attribute of its
    recommender, and prepares the candidates again; until a fit in another thread is over it answers from the state
    before. What is changed in place, e.g. ``recommender.item_factors_[0] = 1``, is not noticed. Several threads
    may call all methods at the same time. Pickles hold the recommender and the names of the candidates, nothing that is
    prepared.

    Parameters
    ----------
    recommender : recommender
        Fitted.
    candidates : array-like of shape (n_candidates,), rows laid out like X, or a tuple of both, default=None
        As in `recommend`. None: all of `items_`, those among them that later fits bring.
    index : VectorIndex, default=None
        What searches the vectors of the candidates instead of an exact search, see
        `skllmrec.retrieval.VectorIndex`. Only for recommenders whose score is an inner product.

    Attributes
    ----------
    candidates_ : ndarray of shape (n_candidates,)
        Their ids, in the order that decides between equal scores; those that were added last are last.
    item_vectors_ : ndarray of shape (n_candidates, d)
        Vectors of the candidates; only of recommenders whose score is an inner product.

    Examples
    --------
    >>> from skllmrec import PopularityRecommender
    >>> X = [["ann", "alien"], ["ann", "heat"], ["bob", "alien"], ["cid", "up"]]
    >>> recommender = PopularityRecommender(feedback="implicit").fit(X)
    >>> ranker = recommender.ranker(["heat", "up"])
    >>> ranker.rank(["ann"], n_items=1)[0].tolist()
    [['up']]
    >>> ranker.add(["alien"])
    >>> ranker.rank(["cid"], n_items=2)[0].tolist()
    [['alien', 'heat']]
    """

    def __init__(
        self, recommender: Estimator, candidates: Ids | Rows | None = None, index: object | None = None
    ) -> None:
        self._recommender, self._index = recommender, index
        self._sources = [_Source(candidates)]
        self._lock = threading.RLock()
        self._prepared = self._prepare()

    def __getstate__(self):
        with self._lock:
            prepared = self._current()
            index = self._index if prepared.search.owns_index else prepared.search.index
            held = None if index is None else (prepared.items, prepared.alive)  # what the positions of the index are
            return {"_recommender": self._recommender, "_sources": self._sources, "_index": index, "_held": held}

    def __setstate__(self, state):
        held = state.pop("_held")
        vars(self).update(state)
        self._lock = threading.RLock()
        self._prepared = self._prepare(held)

    # -- preparation ------------------------------------------------------------------------------------------

    def _prepare(self, held=None):
        """Prepare the candidates for the present state of the recommender.

        Parameters
        ----------
        held : tuple of (Entities, ndarray or None), default=None
            Candidates whose vectors the index holds already, and which of them were not removed.
        """
        (first, *later), model = self._sources, self._recommender
        if first.given is None and self._index is None and not later and not len(first.dropped):
            return prepared_models.of(model)
        check_is_fitted(model)
        snapshot = wait_for_snapshot(model)
        attributes = dict(vars(snapshot))
        if held is not None:
            items, alive = held
        else:
            items, alive = first.read(snapshot), None
            for source in later:
                items = concatenate(items, source.read(snapshot))
        search = snapshot._prepare_search(items, self._index, is_filled=held is not None)
        return Prepared(snapshot, attributes, items, search, alive)

    def _current(self):
        """Return what is prepared for the present state of the recommender."""
        prepared, model = self._prepared, self._recommender
        if prepared.is_of(model) or changing_thread(model) not in (None, threading.get_ident()):
            return prepared
        with self._lock:
            if not self._prepared.is_of(model):
                search = self._prepared.search
                if not search.owns_index and not hasattr(search.index, "fit"):
                    raise ValueError(
                        f"the recommender has changed, and {type(search.index).__name__} has no method fit: make a new "
                        "index of the new vectors, and a ranker of it"
                    )
                self._prepared = self._prepare()
            return self._prepared

    @property
    def candidates_(self) -> Array:
        """Ids of the candidates, in the order that decides between equal scores."""
        return self._current().ids

    @property
    def item_vectors_(self) -> FloatArray:
        """Vectors of the candidates.

        Raises
        ------
        AttributeError
            If the score of the recommender is no inner product.
        """
        prepared = self._current()
        if not hasattr(prepared.search, "item_vectors"):
            raise AttributeError(f"the score of {type(self._recommender).__name__} is no inner product of vectors")
        vectors = prepared.search.item_vectors
        return vectors if prepared.alive is None else vectors[prepared.alive]

    # -- ranking ----------------------------------------------------------------------------------------------

    def rank(
        self,
        users: Ids | Rows | None = None,
        n_items: int = 10,
        *,
        exclude_seen: bool = True,
        history: object | None = None,
        allow: object | None = None,
        deny: object | None = None,
        as_frame: bool = False,
    ) -> tuple[Array, FloatArray] | Frame:
        """Rank the candidates for users, as ``recommender.recommend(users, n_items, candidates=...)`` does.

        Parameters
        ----------
        users : array-like of shape (n_users,), or rows laid out like X, default=None
            As in `recommend`.
        n_items : int, default=10
            Length of each list.
        exclude_seen : bool, default=True
            Leave out what the user had in training and in the `history`.
        history : sequence of sequence of ids, default=None
            For each user, items that they just liked; as in `recommend`.
        allow, deny : sequence of ids, or one sequence of ids for each user, default=None
            Only these candidates, all but these candidates: for everybody, or user by user.
        as_frame : bool, default=False
            Return one data frame instead of two arrays, as `recommend` does.

        Returns
        -------
        ids : ndarray of shape (n_users, n_items)
            Best first, padded by the missing id.
        scores : ndarray of shape (n_users, n_items), float64
            Their scores, -inf for missing ids. With `as_frame`, a data frame instead of both.

        Raises
        ------
        ImportError
            As in `recommend`.
        UnknownIdError
            If a user is unknown and `handle_unknown="error"`.
        ValueError
            As in `recommend`; or if the recommender changed and the `index` cannot follow.
        """
        prepared = self._current()
        options = {"exclude_seen": exclude_seen, "history": history, "allow": allow, "deny": deny}
        ids, scores = prepared.rank(users, n_items, **options)
        if not as_frame:
            return ids, scores
        asked = prepared.model._ids_of_users(users, len(ids))
        return lists_as_frame(self._recommender, asked, ids, scores, names=("user", "item"))

    def scores(self, users: Ids | Rows | None = None, *, history: object | None = None) -> FloatArray:
        """Score every candidate for some users.

        Parameters
        ----------
        users : array-like of shape (n_users,), or rows laid out like X, default=None
            As in `rank`. All scores are in memory at the same time: pass as many users as fit.
        history : sequence of sequence of ids, default=None
            As in `rank`.

        Returns
        -------
        ndarray of shape (n_users, n_candidates), float32 or float64
            In the order of `candidates_`.
        """
        return self._current().scores(users, history)

    # -- changes ----------------------------------------------------------------------------------------------

    def add(self, candidates: Ids | Rows) -> None:
        """Append candidates.

        Only these are prepared, together with those that were added since all were prepared last; as soon as
        these are more than the square root of all candidates, all are prepared again. On average an added candidate
        costs the preparation of about that many.

        Parameters
        ----------
        candidates : array-like of ids, rows laid out like X, or a tuple of both
            As in `recommend`; equal ids count once.

        Raises
        ------
        ValueError
            If one of them is a candidate already, or the `index` has no method `add`.
        """
        with self._lock:
            prepared = self._current()
            source = _Source(candidates)
            items = source.read(prepared.model)
            present = IdIndex(prepared.ids).encode(items.ids) >= 0
            if present.any():
                raise ValueError(
                    f"{shown(items.ids[present][0])} is a candidate already ({present.sum()} of {len(items)} are): add "
                    "only new ones, or remove the old ones first"
                )
            search = prepared.search.extended(items)
            self._sources.append(source)
            if search.owns_index and self._is_worn(len(items)):
                self._n_changed, self._prepared = 0, self._prepare()
                return
            alive = prepared.alive
            if alive is not None:
                alive = np.concatenate([alive, np.ones(len(items), dtype=bool)])
            self._prepared = replace(prepared, items=prepared.items.joined(items), search=search, alive=alive)

    def remove(self, ids: Ids) -> None:
        """Remove candidates.

        They are left out of each list; as soon as more were removed than the square root of all candidates, the others
        are prepared again.

        Parameters
        ----------
        ids : array-like of shape (n_removed,)
            Ids of candidates.

        Raises
        ------
        ValueError
            If one of them is no candidate, none would be left, or the `index` has no method `remove`.
        """
        with self._lock:
            prepared = self._current()
            ids = np.unique(normalise_ids(ids, name="ids"))
            alive = np.ones(len(prepared.items), dtype=bool) if prepared.alive is None else prepared.alive.copy()
            found = IdIndex(prepared.ids).encode(ids)
            if (found < 0).any():
                raise ValueError(f"{shown(ids[found < 0][0])} is no candidate: it cannot be removed")
            places = np.flatnonzero(alive)[found]
            if len(places) == alive.sum():
                raise ValueError("these are all candidates: a ranker needs at least one")
            search = prepared.search.without(places)
            for source in self._sources:
                source.dropped = np.concatenate([source.dropped.astype(ids.dtype), ids])
            if search.owns_index and self._is_worn(len(ids)):
                self._n_changed, self._prepared = 0, self._prepare()
                return
            alive[places] = False
            self._prepared = replace(prepared, search=search, alive=alive)

    _n_changed = 0

    def _is_worn(self, n_more):
        """Count changes; whether so many were made that all candidates are better prepared again."""
        self._n_changed += n_more
        return self._n_changed**2 > len(self._prepared.items)
