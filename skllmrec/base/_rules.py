"""Which candidates each user may get: the parameters `allow` and `deny` of `recommend`."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from skllmrec._ids import flatten, is_sequence, normalise_ids, shown


class Rules:
    """Which candidates each user may get: the parameters `allow` and `deny` of `recommend`.

    Parameters
    ----------
    allow, deny : sequence of ids, or one such sequence for each user, or None
        Ids that are no candidates are of no effect.
    index : IdIndex
        Of the candidates.
    n_users : int

    Attributes
    ----------
    everybody : ndarray of bool of shape (len(index),) or None
        Candidates that lists for everybody leave to somebody; None where there are no such lists.

    Raises
    ------
    ValueError
        If there are lists for each user, but not one for each.
    TypeError
        If the ids are strings and those of the candidates numbers, or the other way round.
    """

    def __init__(self, allow, deny, *, index, n_users):
        self._index, self._n_users, self.everybody = index, n_users, None
        self._allowed = self._read(allow, "allow", keep=True)
        self._denied = self._read(deny, "deny", keep=False)

    def _read(self, lists, name, *, keep):
        """Matrix of lists for each user; lists for everybody are applied to `everybody`."""
        if lists is None:
            return None
        if not is_sequence(lists) or isinstance(lists, Mapping):
            raise ValueError(
                f"{name} is {shown(lists)} ({type(lists).__name__}): give a list of item ids, or one list for each user"
            )
        lists, index = list(lists), self._index
        if lists and all(map(is_sequence, lists)):
            ids, owners = flatten(lists, name, self._n_users)
            index.check_kind(ids, name=f"{name}: the item ids")
            codes = index.encode(ids)
            known = codes >= 0
            entries = np.ones(known.sum()), (owners[known], codes[known])
            return sparse.csr_matrix(entries, shape=(self._n_users, len(index)))
        listed = np.zeros(len(index), dtype=bool)
        ids = normalise_ids(np.array(lists, dtype=object), name=f"{name}: the item ids")
        index.check_kind(ids, name=f"{name}: the item ids")  # a list of other ids would silently forbid nothing
        codes = index.encode(ids)
        listed[codes[codes >= 0]] = True
        kept = listed == keep
        self.everybody = kept if self.everybody is None else self.everybody & kept
        return None

    @property
    def by_user(self):
        """Whether there are lists for each user."""
        return self._allowed is not None or self._denied is not None

    def left_out(self, rows):
        """Candidates that lists for each user keep from some users.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,), intp
            Positions of the users.

        Returns
        -------
        csr_matrix of shape (n_rows, len(index)) or None
        """
        denied = None if self._denied is None else self._denied[rows]
        if self._allowed is None:
            return denied
        forbidden = sparse.csr_matrix(self._allowed[rows].toarray() == 0, dtype=np.float64)
        return forbidden if denied is None else forbidden + denied
