"""Texts of the shared data sets, and the encoders that read them."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skllmrec import LLMTextEncoder, TextTemplate
from skllmrec._typing import FloatArray, IntArray
from skllmrec._weights import find_weights

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
MAX_LENGTH = 256  # what sentence-transformers reads from the model's files, and the default of LLMTextEncoder

# columns that describe an item in each set, the description last; SOURCE.md beside the data says where it comes from
SETS = {
    "ml_latest_small": ("title", "genres", "overview"),
    "book_crossing": ("title", "author", "description_llm"),
    "lastfm_hetrec": ("title", "tags"),
    "completejourney": ("title", "department", "product_category"),
}
DESCRIBED = {"ml_latest_small": "overview", "book_crossing": "description_llm"}


def _draw(items, columns, n_texts, seed=0):
    """Draw distinct texts of `columns` at random."""
    template = ". ".join(f"{{{name}}}" for name in columns)
    texts = pd.Series(TextTemplate(template).fit_transform(items[list(columns)])).drop_duplicates()
    return texts.sample(min(n_texts, len(texts)), random_state=seed).tolist()


def described_texts(folder: Path, n_texts: int) -> list[str]:
    """Titles with descriptions, in equal parts of every set that has descriptions, of items that have one."""
    texts = []
    for name, column in DESCRIBED.items():
        items = pd.read_parquet(folder / name / "items.parquet")
        items = items[items[column].fillna("").str.strip().ne("")]
        texts += _draw(items, ("title", column), n_texts // len(DESCRIBED))
    return texts


def catalogue_texts(folder: Path, n_texts: int) -> list[str]:
    """All text columns of an item, in equal parts of all four sets, most of them without a description."""
    texts = []
    for name, columns in SETS.items():
        texts += _draw(pd.read_parquet(folder / name / "items.parquet"), columns, n_texts // len(SETS))
    return texts


def token_counts(texts: list[str]) -> IntArray:
    """Tokens that a model reads of each text, special tokens included, cut at MAX_LENGTH."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(find_weights(MODEL).path)
    encoded = tokenizer(texts, truncation=True, max_length=MAX_LENGTH)["input_ids"]
    return np.array([len(ids) for ids in encoded])


def flops(tokens: IntArray) -> float:
    """Floating-point operations of the model's matrix products for texts of that many tokens, padding not counted.

    For each layer and text of n tokens: 2 n (4 h^2 + 2 h m) for the four projections and the two dense layers of width
    m, and 4 n^2 h for scores and weighted sums of attention. Norms, activations and look-ups are left out.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(find_weights(MODEL).path)
    hidden, inner = config.hidden_size, config.intermediate_size
    n = tokens.astype(float)
    return config.num_hidden_layers * float((2 * n * (4 * hidden**2 + 2 * hidden * inner) + 4 * n**2 * hidden).sum())


def sentence_transformer() -> Any:
    """Load the peer; None where it is not installed."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        return None
    model = SentenceTransformer(str(find_weights(MODEL).path), device="cpu")
    if model.max_seq_length != MAX_LENGTH:
        raise RuntimeError(f"sentence-transformers reads {model.max_seq_length} tokens, not {MAX_LENGTH}")
    return model


def our_encoder(dtype: str = "float32", **options: Any) -> LLMTextEncoder | None:
    """Fit LLMTextEncoder; None where that precision or a package it needs is missing."""
    encoder = LLMTextEncoder(MODEL, dtype=dtype, normalize=True, device="cpu", **options)
    with contextlib.suppress(ValueError, ImportError):
        encoder.fit(["a text"]).transform(["a text"])
        return encoder
    return None


def cosine_distances(vectors: FloatArray, others: FloatArray) -> FloatArray:
    """Cosine distance of each row of one matrix to the same row of the other, both of unit length."""
    return 1 - np.einsum("nd,nd->n", vectors.astype(np.float64), others.astype(np.float64)) / (
        np.linalg.norm(vectors.astype(np.float64), axis=1) * np.linalg.norm(others.astype(np.float64), axis=1)
    )
