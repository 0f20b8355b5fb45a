"""Sets with published questions of the next item: the files `next_item_valid` and `next_item_test` of a folder."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from skllmrec import FeatureTable

USER, ITEM, POSITION, HISTORY = "user_id", "item_id", "position", "history"
TRAINED_ON = {"train": ("train",), "train + valid": ("train", "valid")}


@dataclass(frozen=True)
class NextItemSet:
    """Interactions, items and questions.

    Parameters
    ----------
    interactions : DataFrame
        With the columns ``user_id, item_id, position`` (the order within a user) and ``split``.
    items : DataFrame
        All that is ranked, with texts.
    valid, test : DataFrame
        Questions: ``user_id, history`` (the last ten items, oldest first), ``item_id`` (what came next).
    """

    interactions: pd.DataFrame
    items: pd.DataFrame
    valid: pd.DataFrame
    test: pd.DataFrame

    @classmethod
    def read(cls, folder: Path) -> "NextItemSet":
        """Read the four files of a folder."""
        names = ("interactions", "items", "next_item_valid", "next_item_test")
        return cls(*(pd.read_parquet(folder / f"{name}.parquet") for name in names))

    @property
    def item_table(self) -> FeatureTable:
        """The items, for `fit`."""
        return FeatureTable(self.items, key=ITEM)

    def rows(self, trained_on: str) -> pd.DataFrame:
        """Return the rows to learn from, one of `TRAINED_ON`."""
        kept = self.interactions["split"].isin(TRAINED_ON[trained_on])
        return self.interactions.loc[kept, [USER, ITEM, POSITION]].reset_index(drop=True)
