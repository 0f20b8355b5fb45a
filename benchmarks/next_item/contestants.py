"""Who takes part: a line each. Another one joins with a line of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.common.next_item import ITEM, POSITION, USER
from benchmarks.common.texts import item_texts
from skllmrec import (
    BlendRecommender,
    FeatureMFRecommender,
    LinearAutoencoderRecommender,
    MarkovRecommender,
    NeighborsRecommender,
    PopularityRecommender,
    SequentialRecommender,
)
from skllmrec._typing import Estimator

_COLUMNS: dict[str, Any] = {"user": USER, "item": ITEM}
_TEMPLATE, _READ = "{title}. {brand}. {description}", ["title", "brand", "description"]


@dataclass(frozen=True)
class Setup:
    """What contestants share.

    Parameters
    ----------
    store : str
        Folder of vectors.
    seed : int
    """

    store: str
    seed: int = 0

    def reading(self, kind: str, **options: Any) -> dict[str, Any]:
        """Parameters of a recommender that reads ids alone, or the texts as "tfidf", "llm" or "both"."""
        texts = item_texts(kind, template=_TEMPLATE, columns=_READ, store=self.store)
        return {**_COLUMNS, "time": POSITION, **texts, **options}


def _parts(setup, kind):
    return [
        ("markov", MarkovRecommender(**setup.reading(kind))),
        ("neighbors", NeighborsRecommender(**setup.reading(kind))),
        ("factors", FeatureMFRecommender(**setup.reading(kind), random_state=setup.seed)),
    ]


def _sequential(kind, **options):
    return lambda setup: SequentialRecommender(**setup.reading(kind, **options), random_state=setup.seed)


def _sequential_blend(setup):
    parts = [
        ("sequential", SequentialRecommender(**setup.reading("both"), random_state=setup.seed)),
        ("neighbors", NeighborsRecommender(**setup.reading("tfidf"))),
    ]
    return BlendRecommender(parts, **_COLUMNS, random_state=setup.seed)


CONTESTANTS: dict[str, Callable[[Setup], Estimator]] = {
    "popularity": lambda setup: PopularityRecommender(**_COLUMNS),
    "Markov": lambda setup: MarkovRecommender(**setup.reading("ids")),
    "Markov, TF-IDF": lambda setup: MarkovRecommender(**setup.reading("tfidf")),
    "neighbours": lambda setup: NeighborsRecommender(**setup.reading("ids")),
    "neighbours, TF-IDF": lambda setup: NeighborsRecommender(**setup.reading("tfidf")),
    "neighbours, order ignored": lambda setup: NeighborsRecommender(**setup.reading("ids"), half_life=None),
    "neighbours, TF-IDF, order ignored": lambda setup: NeighborsRecommender(**setup.reading("tfidf"), half_life=None),
    "neighbours, TF-IDF + LLM": lambda setup: NeighborsRecommender(**setup.reading("both")),
    "linear autoencoder": lambda setup: LinearAutoencoderRecommender(**setup.reading("ids")),
    "linear autoencoder, TF-IDF": lambda setup: LinearAutoencoderRecommender(**setup.reading("tfidf")),
    "linear autoencoder, TF-IDF, order ignored": lambda setup: LinearAutoencoderRecommender(
        **setup.reading("tfidf"), half_life=None
    ),
    "FeatureMF": lambda setup: FeatureMFRecommender(**setup.reading("ids"), random_state=setup.seed),
    "FeatureMF, TF-IDF": lambda setup: FeatureMFRecommender(**setup.reading("tfidf"), random_state=setup.seed),
    "FeatureMF, TF-IDF + LLM": lambda setup: FeatureMFRecommender(**setup.reading("both"), random_state=setup.seed),
    "blend": lambda setup: BlendRecommender(_parts(setup, "ids"), **_COLUMNS, random_state=setup.seed),
    "blend, TF-IDF": lambda setup: BlendRecommender(_parts(setup, "tfidf"), **_COLUMNS, random_state=setup.seed),
    "sequential, ids (SASRec)": _sequential("ids", encoder="attention"),
    "sequential, ids": _sequential("ids"),
    "sequential, TF-IDF": _sequential("tfidf"),
    "sequential, TF-IDF + LLM": _sequential("both"),
    "sequential, TF-IDF + LLM, attention": _sequential("both", encoder="attention"),
    "blend of sequential, TF-IDF + LLM, and neighbours, TF-IDF": _sequential_blend,
}
