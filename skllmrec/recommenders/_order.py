"""What recommenders share that read the order of interactions: the times of the rows."""

from typing import Any

import numpy as np

from skllmrec._times import absolute_times, numbers_of_texts
from skllmrec.base import BaseRecommender
from skllmrec.base._columns import ColumnKey


class TimedRecommender(BaseRecommender):
    """A recommender with the parameter ``time``, a column of X that orders the rows of a user."""

    time: Any

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
        return times
