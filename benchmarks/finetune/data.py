"""Data sets for fine-tuning: likes, the text of an item, and a split by items in which no tag comes from a test row."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from skllmrec import ColdItemKFold, load_interactions

IDS = ["user_id", "item_id"]


@dataclass(frozen=True)
class DataSet:
    """How a set is read.

    Attributes
    ----------
    template : str
        Text of an item.
    threshold : float or None
        Least rating of a like; None: every row is one.
    least : int
        Likes that an item has at least; a user has five.
    """

    template: str
    threshold: float | None = None
    least: int = 3

    @property
    def columns(self) -> list[str]:
        """Columns of the text, those of tags included."""
        return [part.partition("}")[0] for part in self.template.split("{")[1:]]


SETS = {
    "ml_latest_small": DataSet("{title}. {genres}. {overview}", threshold=3.5),
    "lastfm_hetrec": DataSet("{title}. {tags}"),
    # the whole set has 17,384 books, most of them with a handful of readers
    "book_crossing": DataSet("{title}. {author}. {description_llm}", least=20),
}


def read_likes(folder: Path, name: str) -> pd.DataFrame:
    """Likes of users with at least five and items with at least `least` of them."""
    chosen = SETS[name]
    frame = load_interactions(folder / name).frame
    if chosen.threshold is not None:
        frame = frame[frame["rating"] >= chosen.threshold]
    frame = frame.drop_duplicates(IDS)
    while True:
        of_user, of_item = (frame[column].map(frame[column].value_counts()) for column in IDS)
        kept = (of_user >= 5) & (of_item >= chosen.least)
        if kept.all():
            return frame.reset_index(drop=True)
        frame = frame[kept]


def split(folder: Path, name: str, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train and test rows: a fifth of the likes, all of those of some items.

    Where texts hold tags, these are counted anew without those that a user gave to an item of a test row of that user.
    """
    frame = read_likes(folder, name)
    train, test = next(ColdItemKFold(5, item="item_id", random_state=seed).split(frame))
    if "tags" in SETS[name].columns:
        frame = frame.assign(tags=frame["item_id"].map(_tags(folder / name, frame.iloc[test])).fillna(""))
    return frame.iloc[train], frame.iloc[test]


def _tags(folder, test):
    """Twenty most applied tags of each item, by name where they are equal; none from pairs of test rows."""
    given = pd.read_parquet(folder / "user_item_tags.parquet")
    given = given.merge(test[IDS].drop_duplicates(), how="left", on=IDS, indicator="place")
    given = given[given["place"] == "left_only"]
    counts = given.groupby(["item_id", "tag"]).size().rename("n").reset_index()
    counts = counts.sort_values(["item_id", "n", "tag"], ascending=[True, False, True])
    return counts.groupby("item_id").head(20).groupby("item_id")["tag"].agg(", ".join)
