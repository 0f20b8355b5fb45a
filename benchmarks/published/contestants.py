"""Who takes part: a line each, all with the defaults of the package."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.common.texts import item_texts
from benchmarks.published.protocol import ITEM, USER
from skllmrec import (
    BlendRecommender,
    FeatureMFRecommender,
    LinearAutoencoderRecommender,
    NeighborsRecommender,
    PopularityRecommender,
    StackedRecommender,
)
from skllmrec._typing import Estimator

_COLUMNS: dict[str, Any] = {"user": USER, "item": ITEM}


@dataclass(frozen=True)
class Setup:
    """Columns of a set, and where vectors are kept.

    Parameters
    ----------
    template : str
        The text of an item.
    columns : tuple of str
        Columns of the template.
    time : str
        Column of times or places in the order.
    store : str
        Folder of vectors.
    """

    template: str
    columns: tuple[str, ...]
    time: str
    store: str

    def reading(self, kind: str) -> dict[str, Any]:
        """Parameters of a recommender of ids that reads the texts as "tfidf", "llm" or "both"; of none with "ids"."""
        texts = item_texts(kind, template=self.template, columns=self.columns, store=self.store)
        return {**_COLUMNS, **texts}

    def timed(self, kind: str) -> dict[str, Any]:
        """Add the column of times."""
        return {**self.reading(kind), "time": self.time}


def _blend(setup, kind):
    parts = [
        ("factors", FeatureMFRecommender(**setup.reading(kind), random_state=0)),
        ("neighbors", NeighborsRecommender(**setup.reading(kind))),
        ("autoencoder", LinearAutoencoderRecommender(**setup.reading(kind))),
    ]
    return BlendRecommender(parts, **_COLUMNS, random_state=0)


def _popularity(setup):
    return PopularityRecommender(**setup.reading("ids"))


def _neighbors(kind):
    return lambda setup: NeighborsRecommender(**setup.reading(kind))


def _factors(kind):
    return lambda setup: FeatureMFRecommender(**setup.reading(kind), random_state=0)


def _autoencoder(kind):
    return lambda setup: LinearAutoencoderRecommender(**setup.reading(kind))


def _stack(kind):
    return lambda setup: StackedRecommender(**setup.timed(kind), random_state=0)


Contestants = dict[str, Callable[[Setup], Estimator]]

MOVIELENS: Contestants = {
    "popularity": _popularity,
    "neighbours": _neighbors("ids"),
    "neighbours, TF-IDF": _neighbors("tfidf"),
    "linear autoencoder": _autoencoder("ids"),
    "linear autoencoder, TF-IDF + LLM": _autoencoder("both"),
    "FeatureMF": _factors("ids"),
    "FeatureMF, TF-IDF": _factors("tfidf"),
    "FeatureMF, LLM": _factors("llm"),
    "FeatureMF, TF-IDF + LLM": _factors("both"),
    "blend": lambda setup: _blend(setup, "ids"),
    "blend, TF-IDF + LLM": lambda setup: _blend(setup, "both"),
    "stack": _stack("ids"),
    "stack, TF-IDF + LLM": _stack("both"),
}
