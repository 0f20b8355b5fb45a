"""Parameters of recommenders that read texts by words, by a language model, or by both."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union

from skllmrec import EmbeddingWhitener, LLMTextEncoder, TextAnalyzer, TextTemplate

_MAX_WORDS = 64  # word pieces that the language model reads, as in `skllmrec compare`


def item_texts(kind: str, *, template: str, columns: Sequence[str], store: str) -> dict[str, Any]:
    """Make the parameters that let a recommender read items as "tfidf", "llm" or "both"; none for "ids".

    Parameters
    ----------
    kind : {"ids", "tfidf", "llm", "both"}
    template : str
        The text of an item.
    columns : sequence of str
        Columns of the template.
    store : str
        Folder of vectors.

    Returns
    -------
    dict
        ``item_features`` and ``item_encoder``.
    """
    if kind == "ids":
        return {}
    words = TfidfVectorizer(analyzer=TextAnalyzer(), sublinear_tf=True, dtype=np.float32)
    vectors = make_pipeline(LLMTextEncoder(max_length=_MAX_WORDS, memory=store), EmbeddingWhitener())
    encoder = {"tfidf": words, "llm": vectors, "both": make_union(words, vectors)}[kind]
    return {"item_features": list(columns), "item_encoder": make_pipeline(TextTemplate(template), encoder)}
