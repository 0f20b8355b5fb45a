"""Which candidates each user may get: the parameters `allow` and `deny` of `recommend`."""

from collections.abc import Mapping

import numpy as np
from scipy import sparse

from skllmrec._ids import IdIndex, normalise_ids, shown
from skllmrec.base._lists import flatten, is_sequence


class Rules:
    """Which candidates each user may get: the parameters `allow` and `deny` of `recommend`.

    Parameters
    ----------
    allow, deny : sequence of ids, or one such sequence for each user, or None
        Ids that are no candidates are of no effect.
    ids : ndarray of shape (n_candidates,)
    n_users : int

    Attributes
    ----------
    candidates : ndarray of shape (n_allowed,), intp
        Positions of the candidates that somebody may get as far as lists for everybody say, in their order.

    Raises
    ------
    ValueError
        If there are lists for each user, but not one for each, or the lists for everybody leave no candidate.
    TypeError
        If the ids are strings and those of the candidates numbers, or the other way round.
    """

    def __init__(self, allow, deny, *, ids, n_users):
        index, everybody = IdIndex(ids), np.ones(len(ids), dtype=bool)
        self._allowed, everybody = self._read(allow, "allow", index, everybody, n_users, keep=True)
        self._denied, everybody = self._read(deny, "deny", index, everybody, n_users, keep=False)
        self.candidates = np.flatnonzero(everybody)
        if len(self.candidates) == 0:
            raise ValueError(f"allow and deny leave none of the {len(ids)} candidates: there is nothing to rank")

    def _read(self, lists, name, index, everybody, n_users, *, keep):
        if lists is None:
            return None, everybody
        if not is_sequence(lists) or isinstance(lists, Mapping):
            raise ValueError(
                f"{name} is {shown(lists)} ({type(lists).__name__}): give a list of item ids, or one list for each user"
            )
        lists = list(lists)
        if lists and all(map(is_sequence, lists)):
            ids, owners = flatten(lists, name, n_users)
            index.check_kind(ids, name=f"{name}: the item ids")
            codes = index.encode(ids)
            known = codes >= 0
            entries = np.ones(known.sum()), (owners[known], codes[known])
            return sparse.csr_matrix(entries, shape=(n_users, len(index))), everybody
        listed = np.zeros(len(index), dtype=bool)
        ids = normalise_ids(np.array(lists, dtype=object), name=f"{name}: the item ids")
        index.check_kind(ids, name=f"{name}: the item ids")  # a list of other ids would silently forbid nothing
        codes = index.encode(ids)
        listed[codes[codes >= 0]] = True
        return None, everybody & (listed == keep)

    @property
    def by_user(self):
        """Whether there are lists for each user."""
        return self._allowed is not None or self._denied is not None

    def left_out(self, rows):
        """Candidates, of `candidates`, that lists for each user keep from some users.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,), intp
            Positions of the users.

        Returns
        -------
        csr_matrix of shape (n_rows, len(candidates)) or None
        """
        denied = None if self._denied is None else self._denied[rows][:, self.candidates]
        if self._allowed is None:
            return denied
        forbidden = sparse.csr_matrix(self._allowed[rows][:, self.candidates].toarray() == 0, dtype=np.float64)
        return forbidden if denied is None else forbidden + denied
