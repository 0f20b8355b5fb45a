"""Out-of-fold candidates: what parts that were fitted on some of the interactions say about the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from skllmrec._kernels.selection.held_out import list_quality, take_entries
from skllmrec._kernels.selection.pools import pool_entries
from skllmrec._kernels.stacking.folds import assign_folds, assign_new_items
from skllmrec._kernels.topk.exact import topk_dense
from skllmrec._typing import Array, CsrMatrix, Estimator, FloatArray, IntArray
from skllmrec.base import Entities
from skllmrec.recommenders._composite import rows_of_codes
from skllmrec.recommenders.stacked._facts import Facts
from skllmrec.recommenders.stacked._standings import columns_of, standings_of, usual_spreads

N_BEST = 100  # candidates that each part brings
_MAX_USERS = 3000  # of a fold
_MAX_ROWS = 200_000  # of all lists together
_LEAST_ROWS, _MOST_ROWS = 40, 250  # of one list
_DEEP = 0.1  # share of a list that is drawn from all items: rules of a caller may leave only those
_BLOCK_SCORES = 2**22  # of all parts together
_CUTOFF = 20


@dataclass(frozen=True)
class Lists:
    """Candidates with the columns that the second stage reads.

    Attributes
    ----------
    X : ndarray of shape (n, n_columns)
    y : ndarray of bool, shape (n,)
        Whether the interaction was held out.
    groups : ndarray of int, shape (n,)
        List of each row, ascending.
    weights : ndarray of shape (n,)
        How many candidates each row stands for.
    """

    X: FloatArray
    y: Array
    groups: IntArray
    weights: FloatArray

    @classmethod
    def joined(cls, parts: "Sequence[Lists]") -> "Lists | None":
        """Join lists of several users; None where there are none."""
        parts = [part for part in parts if len(part.y)]
        if not parts:
            return None
        groups, n = [], 0
        for part in parts:
            groups.append(np.unique(part.groups, return_inverse=True)[1] + n)
            n = groups[-1][-1] + 1
        X, y, weights = (np.concatenate([getattr(part, name) for part in parts]) for name in ("X", "y", "weights"))
        return cls(X, y, np.concatenate(groups), weights)


class Folds:
    """Interactions held out fold by fold: some of all items, and all of some items.

    Parameters
    ----------
    seen : csr_matrix of shape (n_users, n_items)
    X : dataframe or array
        The rows of the fit.
    pair_of_row : ndarray of int
        As from `find_pairs`.
    cv : int, or list of (training rows, held-out rows)
        Number of random folds, or positions of rows of X.
    new_share : float
        Share of the items that are new in each fold.
    generator : Generator

    Attributes
    ----------
    held_out : list of ndarray of bool, shape (n_pairs,)
        For each fold, which of the stored pairs are held out from users who keep others.
    """

    def __init__(
        self,
        seen: CsrMatrix,
        X: Any,
        pair_of_row: IntArray,
        cv: int | Sequence[tuple[IntArray, IntArray]],
        new_share: float,
        generator: np.random.Generator,
    ) -> None:
        self.seen = seen
        self._X, self._pair_of_row, self.generator = X, pair_of_row, generator
        self._owners = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
        if isinstance(cv, int | np.integer):
            n = int(cv)
            folds = assign_folds(self._owners, n, generator)
            self.held_out = [folds == fold for fold in range(n)]
        else:
            self.held_out = [self._pairs_of(rows) for _, rows in cv]
        known, n_folds = np.unique(seen.indices), len(self.held_out)
        self._new_in = np.full(seen.shape[1], -1, dtype=np.intp)
        self._new_in[known] = assign_new_items(known, n_folds, min(new_share, 1 / n_folds), generator)

    def _pairs_of(self, rows):
        """Which of the stored pairs have one of some rows."""
        found = np.zeros(self.seen.nnz, dtype=bool)
        pairs = self._pair_of_row[rows]
        found[pairs[pairs >= 0]] = True
        return found

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(self.held_out)

    def kept(self, fold: int) -> Array:
        """Whether each stored pair is one of training in a fold."""
        return ~self.held_out[fold] & (self._new_in[self.seen.indices] != fold)

    def training_rows(self, fold: int) -> IntArray:
        """Rows of X of the training pairs of a fold."""
        kept = self.kept(fold)
        return np.flatnonzero((self._pair_of_row >= 0) & kept[self._pair_of_row])

    def positives(self, fold: int) -> CsrMatrix:
        """Held-out interactions of a fold; those of new items at the rate of the others, so that odds compare."""
        return take_entries(self.seen, np.flatnonzero(self.held_out[fold] & (self.seen.data > 0)))

    def new_items(self, fold: int) -> IntArray:
        """Items that are new in a fold."""
        return np.flatnonzero(self._new_in == fold)

    def users_given(self, codes: IntArray) -> Any:
        """Rows of X that name users."""
        return rows_of_codes(self._X, self._pair_of_row, self._owners, codes)

    def items_given(self, codes: IntArray) -> Any:
        """Rows of X that name items."""
        return rows_of_codes(self._X, self._pair_of_row, self.seen.indices, codes)

    def n_rows(self) -> int:
        """Return how many rows a list may have."""
        n_users = min(_MAX_USERS, self.seen.shape[0])
        return int(np.clip(_MAX_ROWS // max(n_users * self.n_folds, 1), _LEAST_ROWS, _MOST_ROWS))


def make_lists(
    folds: Folds, fold: int, parts: Sequence[Estimator], make_facts: Callable[[CsrMatrix, Array], Facts]
) -> tuple[list[Lists], list[Lists], FloatArray]:
    """Candidates of a fold.

    Parameters
    ----------
    folds : Folds
    fold : int
    parts : list of recommenders
        Fitted on the training rows of the fold.
    make_facts : callable
        From the training interactions, and which of the stored pairs they are, to `Facts`.

    Returns
    -------
    known, new : list of Lists
        Of items with training interactions and of items without.
    gains : ndarray of shape (n_parts, n_lists)
        NDCG@20 of each part alone, for the former.
    """
    kept = folds.kept(fold)
    train = take_entries(folds.seen, np.flatnonzero(kept))
    positives = folds.positives(fold)
    users = np.flatnonzero((np.diff(train.indptr) > 0) & (np.diff(positives.indptr) > 0))
    known = np.unique(train.indices)
    if len(users) == 0 or len(known) < 2:
        return [], [], np.empty((len(parts), 0))
    users = np.sort(folds.generator.permutation(users)[:_MAX_USERS])
    facts = make_facts(train, kept)
    # interactions of new items in other folds are neither candidates nor missed ones
    forbidden = take_entries(folds.seen, np.flatnonzero(~folds.held_out[fold]))
    segments = [_Segment(parts, folds, known, facts, forbidden, positives)]
    new = folds.new_items(fold)
    if len(new):
        segments.append(_Segment(parts, folds, new, facts, forbidden, positives))
    size = max(1, _BLOCK_SCORES // (len(parts) * len(known)))
    blocks = [users[start : start + size] for start in range(0, len(users), size)]
    found: list[list[Lists]] = [[], []]
    gains, usual = [], None
    for block in blocks:
        given = folds.users_given(block)
        scores = segments[0].scores(given)
        standings = np.stack([standings_of(one, train[block][:, known]) for one in scores])
        usual = usual_spreads(standings) if usual is None else usual
        for number, segment in enumerate(segments):
            scores = scores if number == 0 else segment.scores(given)
            lists, quality = segment.lists(block, scores, standings, usual, train, len(known))
            found[number].append(lists)
            if number == 0:
                gains.append(quality)
    return found[0], found[1], np.concatenate(gains, axis=1)


def _are_stored(matrix, rows, columns):
    """Whether pairs are stored entries of a CSR matrix."""
    n_columns = np.int64(matrix.shape[1])
    stored = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr)) * n_columns + matrix.indices
    return np.isin(rows * n_columns + columns, stored)


class _Segment:
    """Items with training interactions in a fold, or those without."""

    def __init__(self, parts, folds, codes, facts, forbidden, positives):
        self._folds, self._codes, self._facts = folds, codes, facts
        self._forbidden, self._positives = forbidden, positives
        given = folds.items_given(codes)
        self._rankers = [part.ranker(given) for part in parts]
        self._items = Entities(codes, codes)
        self._vectors = facts.prepare(self._items)

    def scores(self, given):
        """Scores of each part for users, in the order of the codes."""
        return [np.ascontiguousarray(ranker.scores(given)) for ranker in self._rankers]

    def lists(self, users, scores, standings, usual, train, n_known):
        """Make the lists of a block of users, and judge the parts by those with a held-out interaction."""
        forbidden, positives = self._forbidden[users][:, self._codes], self._positives[users][:, self._codes]
        n_best = min(N_BEST, len(self._codes))
        best = [topk_dense(one, n_best, forbidden)[0] for one in scores]
        owners, places = pool_entries(best, sparse.csr_matrix(positives.shape))
        in_list = _are_stored(positives, owners, places)
        rows, weights = self._sample(owners, in_list)
        owners, places, in_list = owners[rows], places[rows], in_list[rows]
        deep = self._deep(owners, places, forbidden)
        more = _are_stored(positives, *deep)
        owners, places = np.append(owners, deep[0]), np.append(places, deep[1])
        in_list, weights = np.append(in_list, more), np.append(weights, np.ones(len(more)))
        order = np.lexsort((places, owners))
        owners, places = owners[order], places[order]
        columns = columns_of(np.array([one[owners, places] for one in scores]), owners, standings, usual, n_known)
        facts = self._facts.of(Entities(users, users), train[users], self._items, self._vectors, owners, places)
        lists = Lists(np.hstack([columns, facts]), in_list[order], owners, weights[order])
        judged = np.flatnonzero(np.diff(positives.indptr))
        return lists, np.array([list_quality(one[judged, :_CUTOFF], positives[judged]) for one in best])

    def _sample(self, owners, relevant):
        """Rows to keep: what is relevant, and others at random; how many each stands for."""
        most = self._folds.n_rows()
        lengths = np.bincount(owners)
        share = np.minimum(1.0, most / np.maximum(lengths, 1))[owners]
        kept = np.flatnonzero(relevant | (self._folds.generator.random(len(owners)) < share))
        return kept, np.where(relevant, 1.0, 1 / share)[kept]

    def _deep(self, owners, places, forbidden):
        """Pairs drawn from all items, for each user as many as a share of their list."""
        n_users, n_items = forbidden.shape
        taken = forbidden.tocsr(copy=True).astype(bool).toarray()
        taken[owners, places] = True
        n = np.ceil(_DEEP * np.bincount(owners, minlength=n_users)).astype(np.intp)
        rows = np.repeat(np.arange(n_users), n)
        drawn = self._folds.generator.integers(n_items, size=len(rows))
        pairs = np.unique(rows * np.int64(n_items) + drawn)
        rows, drawn = np.divmod(pairs, n_items)
        free = ~taken[rows, drawn]
        return rows[free], drawn[free]
