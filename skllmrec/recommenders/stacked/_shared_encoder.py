"""SharedEncoder: an encoder that several recommenders use, and that encodes each text once for all of them."""

from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone

from skllmrec._sklearn import get_tags, take_rows
from skllmrec._typing import Estimator, Matrix
from skllmrec.base._matrices import stack


def _contents(table):
    """Read what stands in each row of a table, hashable; None where it is not."""
    values = np.asarray(table, dtype=object)
    cells = values.tolist() if values.ndim == 1 else [tuple(row) for row in values.tolist()]
    try:
        hash(tuple(cells))
    except TypeError:
        return None
    return cells


class SharedEncoder(TransformerMixin, BaseEstimator):
    """An encoder that is fitted once: fits of recommenders that share it only look up what it has encoded already.

    Clones of a fitted one are itself. What was encoded in the last call is remembered, so that recommenders that are
    asked for the same new items one after the other encode them once.

    Parameters
    ----------
    estimator : transformer
        It is cloned.
    """

    def __init__(self, estimator: Estimator) -> None:
        self.estimator = estimator

    def __sklearn_clone__(self):
        return self if hasattr(self, "estimator_") else SharedEncoder(clone(self.estimator))

    def __deepcopy__(self, memo):
        return self

    def __getstate__(self):
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in ("_bank", "_last")}

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the encoder, unless it is fitted."""
        self.fit_transform(X, y)
        return self

    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Matrix:
        """Fit the encoder, unless it is fitted, and encode."""
        if hasattr(self, "estimator_"):
            return self.transform(X)
        estimator = self.estimator
        encoded = estimator.fit_transform(X, y)
        self.estimator_ = estimator
        self._bank = self._remembered(X, encoded)
        return encoded

    def transform(self, X: Any) -> Matrix:
        """Encode what is not remembered."""
        contents = _contents(X)
        if contents is None:
            return self.estimator_.transform(X)
        bank, last = vars(self).get("_bank", ({}, None)), vars(self).get("_last", ({}, None))
        rows = np.array([bank[0].get(content, -1) for content in contents], dtype=np.intp)
        later = np.array([last[0].get(content, -1) for content in contents], dtype=np.intp)
        unknown = np.flatnonzero((rows < 0) & (later < 0))
        if len(unknown):
            encoded = self.estimator_.transform(take_rows(X, unknown))
            if not hasattr(encoded, "shape") or encoded.shape[0] != len(unknown):
                return encoded if len(unknown) == len(contents) else self.estimator_.transform(X)
            return self._encoded_with(X, contents, encoded, unknown, (bank, rows), (last, later))
        if (rows >= 0).all():
            return bank[1][rows]
        return self._assembled((bank, rows), (last, later))

    def _encoded_with(self, X, contents, encoded, unknown, known, recent):
        """Join what was encoded now and what is remembered, and remember the former."""
        fresh = self._remembered(take_rows(X, unknown), encoded)
        if len(unknown) == len(contents):
            self._last = fresh
            return encoded
        (last, later), rows = recent, np.full(len(contents), -1, dtype=np.intp)
        rows[unknown] = np.arange(len(unknown))
        result = self._assembled(known, (last, np.where(rows < 0, later, -1)), (fresh, rows))
        self._last = fresh
        return result

    @staticmethod
    def _assembled(*sources):
        """Rows of several matrices, each in its place."""
        used = [(bank[1], rows) for bank, rows in sources if (rows >= 0).any()]
        parts, places, taken = [], [], np.zeros(len(used[0][1]), dtype=bool)
        for matrix, rows in used:
            here = np.flatnonzero((rows >= 0) & ~taken)
            taken[here] = True
            parts.append(matrix[rows[here]])
            places.append(here)
        return stack(parts)[np.argsort(np.concatenate(places))]

    @staticmethod
    def _remembered(X, encoded):
        """Rows by content, and the matrix; nothing where they are no matrix of as many rows."""
        contents = _contents(X)
        if contents is None or not hasattr(encoded, "shape") or encoded.shape[0] != len(contents):
            return {}, None
        encoded = encoded.tocsr() if hasattr(encoded, "tocsr") else np.asarray(encoded)
        return dict(zip(contents, range(len(contents)), strict=True)), encoded

    def forget(self) -> None:
        """Drop what fits of recommenders needed."""
        if hasattr(self, "_bank"):
            del self._bank

    def __sklearn_tags__(self):
        return get_tags(self.estimator)
