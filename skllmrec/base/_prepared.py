"""Candidates that are prepared for ranking, on a copy of the recommender that no later fit changes."""

import copy
import operator
import threading
import time
import weakref
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

import numpy as np
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from skllmrec._ids import IdIndex, missing_id
from skllmrec._sklearn import changing_thread, n_changes
from skllmrec.base import _search
from skllmrec.base._entities import Entities
from skllmrec.base._rules import Rules

_MOST_LEFT_OUT = 2**20  # pairs of users and candidates that lists for everybody leave out before they are taken apart


def take_snapshot(model):
    """Copy a recommender between two fits of it; None while another thread fits it."""
    while True:
        begun, thread = n_changes(), changing_thread(model)
        if thread is not None and thread != threading.get_ident():
            return None
        snapshot = copy.copy(model)
        if n_changes() == begun:
            return snapshot


def wait_for_snapshot(model):
    """Copy a recommender between two fits of it."""
    while (snapshot := take_snapshot(model)) is None:
        time.sleep(0.001)
    return snapshot


@dataclass(frozen=True, eq=False)
class Prepared:
    """Candidates prepared for one state of a recommender; it never changes.

    Parameters
    ----------
    model : recommender
        A copy.
    attributes : dict
        Those of the recommender when it was copied.
    items : Entities
        Candidates in the order of their positions.
    search : BlockSearch or VectorSearch
    alive : ndarray of bool of shape (len(items),), or None
        Which of them were not removed; None for all.
    """

    model: object
    attributes: dict
    items: Entities
    search: object
    alive: np.ndarray | None = None

    def is_of(self, model):
        """Whether a recommender still has the attributes that this was prepared for."""
        now = dict(vars(model))
        return now.keys() == self.attributes.keys() and all(
            map(operator.is_, map(now.__getitem__, self.attributes), self.attributes.values())
        )

    @cached_property
    def index(self):
        """Positions of the ids; -1 for those removed is up to the caller."""
        known = self.model._item_side.index
        return known if self.items.ids is known.ids else IdIndex(self.items.ids)

    @cached_property
    def _place_of_code(self):
        """Position of each of `items_` among the candidates, -1 where it is none; None: they are the candidates."""
        if self.items.ids is self.model.items_:
            return None
        places = np.full(len(self.model.items_), -1, dtype=np.intp)
        known = np.flatnonzero((self.items.codes >= 0) if self.alive is None else (self.items.codes >= 0) & self.alive)
        places[self.items.codes[known]] = known
        return places

    @property
    def ids(self):
        """Ids of the candidates that were not removed."""
        return self.items.ids if self.alive is None else self.items.ids[self.alive]

    def scores(self, users, history):
        """Scores of all candidates for `users` as a caller names them, (n_users, n_candidates)."""
        scores = np.asarray(self.search.scores(self.read_users(users, history)))
        return scores if self.alive is None else scores[:, self.alive]

    def read_users(self, users, history):
        """Entities of the users a list is for."""
        if history is not None and not hasattr(self.model, "_histories_are_prepared"):
            self.model._prepare_histories()
            self.model._histories_are_prepared = True
        return self.model._target_users(users, history)

    def rank(self, users, n_items, *, exclude_seen, history, allow, deny):
        """Rank the candidates; see `Ranker.rank`."""
        users = self.read_users(users, history)
        rules = Rules(allow, deny, index=self.index, n_users=len(users))
        search, columns, left_out = self._restrict(rules, n_items, len(users))
        search = self.model._begin_call(search)
        n_columns = len(self.items) if columns is None else len(columns)
        # lists for each user may leave nearly all candidates out, and then count like scores
        size = _search.few_rows(n_columns) if rules.by_user else search.users_at_once(n_columns)
        found = []
        for start in range(0, len(users), size):
            rows = np.arange(start, min(start + size, len(users)))
            block = users if len(rows) == len(users) else users.take(rows)
            parts = self._seen_by(block) if exclude_seen else []
            forbidden = rules.left_out(rows)
            if forbidden is not None:
                parts.append(_stored(forbidden, np.arange(len(rows))))
            if len(left_out):
                parts.append((np.repeat(np.arange(len(rows)), len(left_out)), np.tile(left_out, len(rows))))
            excluded = _matrix(parts, len(rows), len(self.items), columns)
            found.append(search.search(block, n_items, excluded))
        return ranked_ids(self.items.ids if columns is None else self.items.ids[columns], found, n_items)

    def _restrict(self, rules, n_items, n_users):
        """Apply the lists for everybody.

        Returns
        -------
        search : BlockSearch or VectorSearch
        columns : ndarray of intp or None
            Candidates that it searches; None: all.
        left_out : ndarray of intp
            Candidates among all that nobody gets.
        """
        alive, everybody = self.alive, rules.everybody
        n_alive = len(self.items) if alive is None else int(alive.sum())
        if everybody is None:
            check_n_items(n_items, n_alive)
            return self.search, None, ()
        kept = everybody if alive is None else everybody & alive
        n_kept = int(kept.sum())
        if n_kept == 0:
            raise ValueError(f"allow and deny leave none of the {n_alive} candidates: there is nothing to rank")
        check_n_items(n_items, n_kept)
        n_out = len(kept) - n_kept
        if not self.search.owns_index or (n_out <= n_kept and n_out * n_users <= _MOST_LEFT_OUT):
            return self.search, None, np.flatnonzero(~kept)
        columns = np.flatnonzero(kept)
        return self.model._prepare_search(self.items.take(columns)), columns, ()

    def _seen_by(self, users):
        """Pairs of users and candidates that they have seen: rows and columns."""
        pairs = [_stored(self.model.seen_, users.codes)]
        if users.history is not None:
            pairs.append(_stored(users.history.weights, np.arange(len(users))))
        places = self._place_of_code
        if places is None:
            return pairs
        moved = [(owners, places[columns]) for owners, columns in pairs]
        return [(owners[columns >= 0], columns[columns >= 0]) for owners, columns in moved]

    # -- similar items ----------------------------------------------------------------------------------------

    @cached_property
    def _similarity(self):
        return self.model._prepare_similarity(self.items)

    def similar(self, queries, n_items):
        """Ids and similarities of the candidates most like `Entities` of items, which are left out themselves."""
        return self._most_similar(self._similarity, self.model._item_side, self.items, queries, n_items)

    @cached_property
    def _users(self):
        return Entities(self.model.users_, np.arange(len(self.model.users_)))

    @cached_property
    def _user_similarity(self):
        return _search.SimilarVectorSearch(self.model._user_similarity_vectors, self._users)

    def similar_users(self, queries, n_users):
        """Ids and similarities of the users most like `Entities` of users, which are left out themselves."""
        return self._most_similar(self._user_similarity, self.model._user_side, self._users, queries, n_users)

    @staticmethod
    def _most_similar(similarity, side, entities, queries, n_found):
        """Search entities of one side for those most like the queries."""
        check_n_items(n_found, len(entities), name=f"n_{side.name}s")
        found = []
        size = _search.few_rows(len(entities))
        for start in range(0, len(queries), size):
            rows = np.arange(start, min(start + size, len(queries)))
            block = queries if len(rows) == len(queries) else queries.take(rows)
            own = np.flatnonzero(block.codes >= 0)
            itself = _matrix([(own, block.codes[own])], len(block), len(entities), None)
            found.append(similarity.search(block, n_found, itself))
        ids, scores = ranked_ids(entities.ids, found, n_found)
        # an answer to a question that nothing is known of would look like one
        blank = side.is_blank(queries) | ~scores.any(axis=1)
        ids[blank], scores[blank] = missing_id(entities.ids), -np.inf
        return ids, scores


def _stored(matrix, codes):
    """Rows and columns of the stored entries of some rows of a CSR matrix; nothing where the code is -1."""
    starts, stops = matrix.indptr[codes], matrix.indptr[np.add(codes, 1)]
    lengths = np.where(codes >= 0, stops - starts, 0)
    owners = np.repeat(np.arange(len(codes)), lengths)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return owners, matrix.indices[np.repeat(starts, lengths) + within]


def _matrix(pairs, n_rows, n_candidates, columns):
    """Matrix of what is left out, of pairs of rows and candidates; `columns` are the candidates that count."""
    owners = np.concatenate([rows for rows, _ in pairs]) if pairs else np.empty(0, dtype=np.intp)
    places = np.concatenate([found for _, found in pairs]) if pairs else np.empty(0, dtype=np.intp)
    if len(pairs) > 1:
        order = np.argsort(owners, kind="stable")
        owners, places = owners[order], places[order]
    if columns is not None:
        moved = np.full(n_candidates, -1, dtype=np.intp)
        moved[columns] = np.arange(len(columns))
        kept = moved[places] >= 0
        owners, places, n_candidates = owners[kept], moved[places[kept]], len(columns)
    indptr = np.searchsorted(owners, np.arange(n_rows + 1))
    return sparse.csr_matrix((np.ones(len(places)), places, indptr), shape=(n_rows, n_candidates))


def check_n_items(n_items, n_candidates, *, name="n_items"):
    """Check the length of lists.

    Raises
    ------
    ValueError
        If it is not positive, or exceeds the number of candidates.
    """
    if not isinstance(n_items, Integral) or n_items < 1:
        raise ValueError(f"{name} must be a positive integer, got {n_items!r}")
    if n_items > n_candidates:
        raise ValueError(
            f"{name}={n_items} exceeds the {n_candidates} candidates: ask for at most {n_candidates} {name[2:]}"
        )


def ranked_ids(ids, blocks, n_items):
    """Turn blocks of positions into ids, and pad."""
    if not blocks:
        return np.empty((0, n_items), dtype=ids.dtype), np.empty((0, n_items))
    positions, scores = blocks[0] if len(blocks) == 1 else (np.concatenate(part) for part in zip(*blocks, strict=True))
    positions = np.asarray(positions)
    ranked = ids[positions]
    ranked[positions < 0] = missing_id(ids)
    return ranked, np.asarray(scores, dtype=np.float64)


class _PreparedModels:
    """All items of recommenders, prepared; held as long as the recommenders live, outside of them.

    What is on an estimator would be pickled, cloned and copied with it.
    """

    def __init__(self):
        self._entries, self._lock = {}, threading.Lock()

    def of(self, model):
        """Items of a recommender, prepared at most once for each state of it.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        """
        entry = self._entries.get(id(model))
        prepared = entry[1] if entry is not None and entry[0]() is model else None
        fitting = changing_thread(model)
        if prepared is not None and (prepared.is_of(model) or fitting not in (None, threading.get_ident())):
            return prepared
        check_is_fitted(model)
        snapshot = wait_for_snapshot(model)
        items = snapshot._read_candidates(None)
        prepared = Prepared(snapshot, dict(vars(snapshot)), items, snapshot._prepare_search(items))
        if fitting is None:  # else what is fitted may still change in place
            key = id(model)
            with self._lock:
                self._entries[key] = weakref.ref(model, lambda _: self._entries.pop(key, None)), prepared
        return prepared


prepared_models = _PreparedModels()
