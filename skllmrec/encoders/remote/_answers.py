"""Vectors out of an answer of ``/v1/embeddings``: each is checked before it is used."""

import base64
from typing import Any

import numpy as np

from skllmrec._typing import FloatArray


def _read_vector(entry, n_dims):
    """One embedding: a list of numbers, or the base64 of float32 numbers, least byte first.

    Raises
    ------
    ValueError
        If it is none, is not finite or has another length.
    """
    embedding = entry.get("embedding")
    if isinstance(embedding, str):
        try:
            row = np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4")
        except ValueError:
            raise ValueError("a string that is not the base64 of float32 numbers") from None
    else:
        row = _read_numbers(embedding)
    if n_dims is not None and len(row) != n_dims:
        raise ValueError(f"a vector of length {len(row)} where {n_dims} was expected")
    with np.errstate(over="ignore"):
        row = row.astype(np.float32)
    if not np.isfinite(row).all():
        raise ValueError("a vector with NaN, infinity or more than float32 holds")
    return row


def _read_numbers(embedding):
    if not isinstance(embedding, list) or not embedding:
        raise ValueError(f"{'an empty vector' if embedding == [] else type(embedding).__name__} for an embedding")
    try:
        row = np.array(embedding)
    except ValueError:  # lists of several lengths
        row = np.array(None)
    if row.ndim == 1 and row.dtype.kind in "fiu":
        return row
    if None in embedding:
        raise ValueError("a vector with null: the model computed NaN")
    raise ValueError("a vector that holds what is no number, or a vector for each token")


def _entries_in_order(answer, n_texts):
    """Put the entries of an answer in the order of the texts, whatever order the server has put them in."""
    entries = answer.get("data")
    if not isinstance(entries, list):
        raise ValueError(f"no list 'data' (but {', '.join(sorted(map(repr, answer))[:5]) or 'nothing'})")
    if len(entries) != n_texts:
        raise ValueError(f"{len(entries)} embeddings for {n_texts} texts")
    indices = _indices(entries)
    if sorted(indices) != list(range(n_texts)):
        raise ValueError(f"the indices {sorted(indices)[:8]} where each of 0 to {n_texts - 1} was expected once")
    return [entries[place] for place in np.argsort(indices)]


def _indices(entries):
    """Index of each entry; one without any has index 0, as some servers, such as Gemini, leave out what is 0."""
    absent = [place for place, entry in enumerate(entries) if isinstance(entry, dict) and "index" not in entry]
    indices = [entry.get("index", 0) if isinstance(entry, dict) else None for entry in entries]
    wrong = [place for place, index in enumerate(indices) if type(index) is not int]
    wrong = wrong or (absent[1:] if len(absent) > 1 else [])
    if wrong:
        raise ValueError(f"entry {wrong[0]} of 'data' has no index: whose embedding it is cannot be told")
    return indices


def read_embeddings(answer: dict[str, Any], *, n_texts: int, n_dims: int | None) -> tuple[FloatArray, dict[int, str]]:
    """Read the vectors out of an answer of ``/v1/embeddings``.

    Parameters
    ----------
    answer : dict
        The answer of the server, from JSON.
    n_texts : int
        Texts that were sent.
    n_dims : int or None
        Length that a vector must have; None takes any that all have.

    Returns
    -------
    vectors : ndarray of shape (n_texts, n_dims), dtype float32
        In the order of the texts: finite, or all NaN where what came is no vector.
    wrong : dict of int to str
        Position of a text without a vector -> what came in its place.

    Raises
    ------
    ValueError
        If number or indices are not as expected, so that it cannot be told which vector is of which text; or, with
        no `n_dims`, lengths differ.

    Examples
    --------
    >>> from skllmrec.encoders.remote._answers import read_embeddings
    >>> entries = [{"index": 1, "embedding": [3.0, 4.0]}, {"index": 0, "embedding": [1.0, 2.0]}]
    >>> read_embeddings({"data": entries}, n_texts=2, n_dims=2)
    (array([[1., 2.],
           [3., 4.]], dtype=float32), {})
    """
    rows, wrong = {}, {}
    for place, entry in enumerate(_entries_in_order(answer, n_texts)):
        try:
            rows[place] = _read_vector(entry, n_dims)
        except ValueError as error:
            wrong[place] = str(error)
    lengths = sorted({len(row) for row in rows.values()})
    if len(lengths) > 1:
        raise ValueError(f"vectors of length {', '.join(map(str, lengths))} where all of one length were expected")
    vectors = np.full((n_texts, n_dims or sum(lengths)), np.nan, dtype=np.float32)
    for place, row in rows.items():
        vectors[place] = row
    return vectors, wrong
