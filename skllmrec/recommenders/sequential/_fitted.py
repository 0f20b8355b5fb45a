"""The fitted state of SequentialRecommender: embeddings of items, last items of users, and scores; without torch."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from skllmrec._kernels.distinct_rows import on_distinct_rows
from skllmrec._kernels.sequential.events import Events, Sequences, is_first_mention, join_histories, order_events
from skllmrec._kernels.sequential.item_inputs import ItemInputs
from skllmrec._kernels.sequential.states import attended_states, pooled_states, unit_rows
from skllmrec._kernels.topk.exact import ProductTiles
from skllmrec._times import join_times
from skllmrec._typing import FloatArray, IntArray, Matrix
from skllmrec.base._search import SimilarVectorSearch
from skllmrec.recommenders._order import TimedRecommender

_OF_ITEMS = ("projection", "words", "ids")  # weights that make embeddings
_FOLDED_AT_ONCE = 4096  # events


@dataclass(frozen=True)
class Candidates:
    """Items to be scored.

    Attributes
    ----------
    tiles : ProductTiles
        Of their unit vectors.
    places : ndarray of shape (n_items,), intp
        Where each known item stands among the candidates, -1 where it is none.
    biases : ndarray of shape (n_candidates,)
    """

    tiles: ProductTiles
    places: IntArray
    biases: FloatArray


@dataclass(frozen=True)
class ItemMap:
    """Embeddings of items from their features.

    Parameters
    ----------
    inputs : ItemInputs
    projection : ndarray of shape (r, d), float32, or None
    words : ndarray of shape (n_words, d), float32, or None
    """

    inputs: ItemInputs
    projection: FloatArray | None
    words: FloatArray | None

    def embed(self, features: Matrix, width: int) -> FloatArray:
        """Compute embeddings; equal rows have equal ones.

        Parameters
        ----------
        features : {ndarray, csr_matrix} of shape (n, n_features)
        width : int

        Returns
        -------
        ndarray of shape (n, width), float32
        """
        out = np.zeros((features.shape[0], width), dtype=np.float32)
        projection, words = self.projection, self.words
        if projection is not None:
            out += on_distinct_rows(lambda rows: np.asarray(rows @ projection), self.inputs.rows(features))
        if words is not None:
            rows: Any = self.inputs.word_rows(features)
            out += rows @ words
        return out


class SequenceStateRecommender(TimedRecommender):
    """A recommender that scores items by the cosine of their embeddings with the state of a history.

    It stores the embeddings of all items, the weights that make a state of a history, and the last `max_length` items
    of each user. The network is not needed after the training.
    """

    encoder_: str
    item_embeddings_: FloatArray
    item_biases_: FloatArray
    repeat_: FloatArray
    n_components: int
    max_length: int
    n_heads: int
    temperature: float
    _item_map: ItemMap | None

    def _adopt(self, trained, interactions, inputs, events):
        """Set the fitted attributes."""
        weights = dict(trained.weights)
        self.encoder_, self.repeat_ = trained.encoder, weights.pop("repeat").astype(np.float64)
        projection, words, ids = (weights.pop(name, None) for name in _OF_ITEMS)
        self._state_weights = weights
        self._item_map = None if inputs is None else ItemMap(inputs, projection, words)
        n_users, n_items = interactions.weights.shape
        self.item_embeddings_ = self._embed(interactions.item_features, n_items)
        if ids is not None:
            self.item_embeddings_[: len(ids)] += ids
        biases = weights.pop("biases")
        counts = np.bincount(events.items, minlength=len(biases))
        self._rare_bias = float(biases[counts == counts.min()].mean())
        self.item_biases_ = self._with_rare(biases, n_items)
        self._store(events, n_users)

    def _with_rare(self, biases, n_items):
        """Append the biases of items without interactions: the mean of those of the rarest items of fit."""
        return np.append(biases, np.full(n_items - len(biases), self._rare_bias, dtype=biases.dtype))

    def _attributes_after(self, *arguments):
        """Return the attributes that a copy of this estimator has after ``_adopt(*arguments)``, for callbacks."""
        copied = copy.copy(self)
        copied._adopt(*arguments)
        return vars(copied)

    # -- histories of users --------------------------------------------------------------------------------------

    def _events_of(self, rows, times):
        """Put rows in order; those of weight zero are no events."""
        kept = rows.weights > 0
        return order_events(rows.users[kept], rows.items[kept], times[kept])

    def _store(self, events, n_users):
        """Store the last events of each user."""
        last = events.last(self.max_length)
        self._recent, self._recent_times = Sequences.of(last.users, last.items, n_users), last.times

    def _stored_events(self):
        """Return what `_store` stored as events."""
        owners = np.repeat(np.arange(len(self._recent)), np.diff(self._recent.indptr))
        return Events(owners, self._recent.items, self._recent_times)

    def _partial_fit_interactions(self, interactions, users, items):
        stored, rows = self._stored_events(), interactions.rows
        times = self._read_times(rows)
        if self.time is None:  # what comes in a later call is later
            times = times + (stored.times.max(initial=0.0) + 1)
        new = self._events_of(rows, times)
        joined = join_times(stored.times, new.times, name=f"time={self.time!r}")
        parts = ((getattr(stored, name), getattr(new, name)) for name in ("users", "items"))
        merged_users, merged_items = (np.concatenate(part).astype(np.intp) for part in parts)
        n_users, n_items = interactions.weights.shape
        merged = order_events(merged_users, merged_items, joined).last(self.max_length)
        self._store(merged, n_users)
        self._extend(interactions.item_features, n_items, merged)

    def _extend(self, features, n_items, events):
        """Give new items their embeddings: from features, or else what the histories before them ask for."""
        n_known = len(self.item_embeddings_)
        if n_items == n_known:
            return
        known, new = self.item_embeddings_, self._embed(features, n_items - n_known)
        self.item_embeddings_ = np.concatenate([known, new])
        self.item_biases_ = self._with_rare(self.item_biases_, n_items)
        if self._item_map is not None:
            return
        length = np.linalg.norm(known, axis=1).mean()
        first, starts = np.flatnonzero(events.items >= n_known), events.starts
        sums = np.zeros_like(new)
        for start in range(0, len(first), _FOLDED_AT_ONCE):
            positions = first[start : start + _FOLDED_AT_ONCE]
            places = positions[:, np.newaxis] - 1 - np.arange(self.max_length)
            within = places >= starts[positions][:, np.newaxis]
            histories = np.where(within, events.items[np.maximum(places, 0)], -1)
            np.add.at(sums, events.items[positions] - n_known, unit_rows(self._states(histories)))
        self.item_embeddings_[n_known:] = unit_rows(sums) * length

    # -- inference ----------------------------------------------------------------------------------------------

    def _embed(self, features, n_rows):
        """Embeddings of items by their features; zeros without."""
        if features is None or self._item_map is None:
            return np.zeros((n_rows, self.n_components), dtype=np.float32)
        return self._item_map.embed(features, self.n_components)

    def _histories(self, users):
        """Return the last items of `Entities` of users, the latest first, (n_users, max_length)."""
        stored = self._recent.take(users.codes)
        if users.history is None:
            return stored.latest(self.max_length)
        return join_histories(stored, users.history.sequence, self.max_length)

    def _states(self, histories):
        if self.encoder_ == "pooling":
            return pooled_states(self.item_embeddings_, histories, self._state_weights)
        return attended_states(self.item_embeddings_, histories, self._state_weights, self.n_heads)

    def _similarity_vectors(self, items):
        """Return unit vectors of `Entities` of items."""
        new: Any = None if items.features is None else self._embed(items.features, items.features.shape[0])
        zeros = np.zeros(self.n_components, dtype=np.float32)
        return unit_rows(items.fill(self.item_embeddings_, new, zeros))

    def _prepare_items(self, items):
        places = np.full(len(self.item_embeddings_), -1, dtype=np.intp)
        known = np.flatnonzero(items.codes >= 0)
        places[items.codes[known]] = known
        biases = np.append(self.item_biases_, np.float32(self._rare_bias))[items.codes]  # -1 is the last
        return Candidates(ProductTiles(self._similarity_vectors(items)), places, biases)

    def _score_block(self, users, items):
        return self._score_prepared(users, self._prepare_items(items))

    def _score_prepared(self, users, prepared):
        histories = self._histories(users)
        scores = prepared.tiles.scores(unit_rows(self._states(histories)) / np.float32(self.temperature))
        scores += prepared.biases
        rows, ages = np.nonzero(is_first_mention(histories))
        columns = prepared.places[histories[rows, ages]]
        kept = columns >= 0
        scores[rows[kept], columns[kept]] += self.repeat_[(ages[kept] > 0).astype(int)]
        return scores

    def _similarity_block(self, queries, items):
        return self._similarity_vectors(queries) @ self._similarity_vectors(items).T

    def _prepare_similarity(self, items):
        return SimilarVectorSearch(self._similarity_vectors, items)
