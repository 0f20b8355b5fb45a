"""Who takes part: a line each. Another one joins with a line of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union

import skllmrec
from benchmarks.common.next_item import ITEM, POSITION, USER
from skllmrec import (
    BlendRecommender,
    EmbeddingWhitener,
    FeatureMFRecommender,
    LinearAutoencoderRecommender,
    LLMTextEncoder,
    MarkovRecommender,
    NeighborsRecommender,
    PopularityRecommender,
    TextAnalyzer,
    TextTemplate,
)
from skllmrec._typing import Estimator

_COLUMNS: dict[str, Any] = {"user": USER, "item": ITEM}
_TEMPLATE, _READ = "{title}. {brand}. {description}", ["title", "brand", "description"]
_MAX_WORDS = 64  # word pieces that the language model reads, as in `skllmrec compare`


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
        if kind == "ids":
            return {**_COLUMNS, **options}
        words = TfidfVectorizer(analyzer=TextAnalyzer(), sublinear_tf=True, dtype=np.float32)
        vectors = make_pipeline(LLMTextEncoder(max_length=_MAX_WORDS, memory=self.store), EmbeddingWhitener())
        encoder = {"tfidf": words, "llm": vectors, "both": make_union(words, vectors)}[kind]
        return {
            **_COLUMNS,
            "item_features": _READ,
            "item_encoder": make_pipeline(TextTemplate(_TEMPLATE), encoder),
            **options,
        }


def _parts(setup, kind):
    return [
        ("markov", MarkovRecommender(**setup.reading(kind, time=POSITION))),
        ("neighbors", NeighborsRecommender(**setup.reading(kind))),
        ("factors", FeatureMFRecommender(**setup.reading(kind), random_state=setup.seed)),
    ]


def _sequential(kind, **options):
    kind_of = getattr(skllmrec, "SequentialRecommender", None)
    if kind_of is None:
        return None
    return lambda setup: kind_of(**setup.reading(kind, time=POSITION, **options), random_state=setup.seed)


_ALL: dict[str, Callable[[Setup], Estimator] | None] = {
    "popularity": lambda setup: PopularityRecommender(**setup.reading("ids", feedback="implicit")),
    "Markov": lambda setup: MarkovRecommender(**setup.reading("ids", time=POSITION)),
    "Markov, TF-IDF": lambda setup: MarkovRecommender(**setup.reading("tfidf", time=POSITION)),
    "neighbours": lambda setup: NeighborsRecommender(**setup.reading("ids")),
    "neighbours, TF-IDF": lambda setup: NeighborsRecommender(**setup.reading("tfidf")),
    "neighbours, TF-IDF + LLM": lambda setup: NeighborsRecommender(**setup.reading("both")),
    "linear autoencoder": lambda setup: LinearAutoencoderRecommender(**setup.reading("ids")),
    "FeatureMF": lambda setup: FeatureMFRecommender(**setup.reading("ids"), random_state=setup.seed),
    "FeatureMF, TF-IDF": lambda setup: FeatureMFRecommender(**setup.reading("tfidf"), random_state=setup.seed),
    "FeatureMF, TF-IDF + LLM": lambda setup: FeatureMFRecommender(**setup.reading("both"), random_state=setup.seed),
    "blend": lambda setup: BlendRecommender(_parts(setup, "ids"), **_COLUMNS, random_state=setup.seed),
    "blend, TF-IDF": lambda setup: BlendRecommender(_parts(setup, "tfidf"), **_COLUMNS, random_state=setup.seed),
    "sequential, ids (SASRec)": _sequential("ids", encoder="attention"),
    "sequential, TF-IDF": _sequential("tfidf"),
    "sequential, TF-IDF + LLM": _sequential("both"),
}
CONTESTANTS: dict[str, Callable[[Setup], Estimator]] = {name: make for name, make in _ALL.items() if make is not None}
