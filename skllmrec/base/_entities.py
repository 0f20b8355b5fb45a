"""Users or items that a call is about."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skllmrec._ids import IdIndex, join_ids
from skllmrec._typing import FloatArray, IntArray
from skllmrec.base._matrices import stack


@dataclass(frozen=True)
class Entities:
    """Users or items that a call is about.

    Parameters
    ----------
    ids : ndarray of shape (n,)
        Their ids.
    codes : ndarray of shape (n,), intp
        Position among the known ids, -1 for new ones.
    features : ndarray or csr_matrix of shape (n_new, n_features), or None
        Encoded features of the distinct new ids; None where nothing is known about them.
    rows : ndarray of shape (n,), intp
        Row of `features` of each new id, -1 for known ones.
    history : History or None
        Of users: what they did besides what training saw.

    Examples
    --------
    >>> import numpy as np
    >>> from skllmrec.base import Entities
    >>> known, new = np.array([[1.0], [2.0]]), np.array([[9.0]])
    >>> items = Entities(np.array(["heat", "dune"]), np.array([1, -1]), new, np.array([-1, 0]))
    >>> items.fill(known, new, default=0.0)
    array([[2.],
           [9.]])
    """

    ids: np.ndarray
    codes: np.ndarray
    features: Any = None
    rows: Any = None  # ndarray of int, or None
    history: Any = None

    def __len__(self):
        return len(self.ids)

    def take(self, positions: IntArray) -> "Entities":
        """Select some of the entities.

        Parameters
        ----------
        positions : ndarray of shape (n_selected,), intp
            Which ones, in which order.

        Returns
        -------
        Entities
            With the features of those that are selected: a block of a long table costs what the block asks for.
        """
        features, rows = _needed(self.features, None if self.rows is None else self.rows[positions])
        history = None if self.history is None else self.history.take(positions)
        return Entities(self.ids[positions], self.codes[positions], features, rows, history)

    def joined(self, other: Any) -> "Entities":
        """Append other entities, without histories.

        Parameters
        ----------
        other : Entities
            They come last.

        Returns
        -------
        Entities
        """
        ids, codes = join_ids(self.ids, other.ids), np.concatenate([self.codes, other.codes])
        described = [part.features for part in (self, other) if part.features is not None]
        if not described:
            return Entities(ids, codes)
        n_before = 0 if self.features is None else self.features.shape[0]
        rows = [
            np.full(len(part), -1, dtype=np.intp) if part.rows is None else np.where(part.rows < 0, -1, part.rows + n)
            for part, n in ((self, 0), (other, n_before))
        ]
        return Entities(ids, codes, stack(described), np.concatenate(rows))

    def fill(self, known: FloatArray, new: FloatArray | None, default: Any) -> FloatArray:
        """Assemble one row for each entity: known[code], new[row], or the default.

        Parameters
        ----------
        known : ndarray of shape (n_known, n_columns)
            A row for each known id.
        new : ndarray of shape (n_new, n_columns) or None
            A row for each row of `features`.
        default : ndarray of shape (n_columns,)
            For new ids where `new` is None.

        Returns
        -------
        ndarray of shape (n, n_columns)
        """
        out = np.empty((len(self), known.shape[1]), dtype=known.dtype)
        is_known = self.codes >= 0
        out[is_known] = known[self.codes[is_known]]
        out[~is_known] = default if new is None else new[self.rows[~is_known]]
        return out


def _needed(features, rows):
    """Features that rows name, and their places among these; None and None where no row is one of a new id."""
    if features is None:
        return None, rows
    is_new = rows >= 0
    used, places = np.unique(rows[is_new], return_inverse=True)
    if len(used) == features.shape[0]:
        return features, rows
    if len(used) == 0:
        return None, None
    renumbered = rows.copy()  # they may be a view of those of all entities
    renumbered[is_new] = places
    return features[used], renumbered


def concatenate(first, second):
    """Entities of two parts; those of the second that are in the first already are left out."""
    return first.joined(second.take(np.flatnonzero(IdIndex(first.ids).encode(second.ids) < 0)))
