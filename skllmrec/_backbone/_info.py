"""The configuration of a model, read without loading its weights."""

import functools
from dataclasses import dataclass

from skllmrec._backbone._broken import explain
from skllmrec._backbone._declared import Declared, read_declared
from skllmrec._backbone._quiet import loading, quiet
from skllmrec._backbone._tokenizer import Tokenizer, load_tokenizer
from skllmrec._typing import Path
from skllmrec._weights import Weights, find_weights
from skllmrec.exceptions import FileFormatError

_MOST = {"hidden_size": 10**6, "num_hidden_layers": 10**4}  # more is no model, and would fill the memory

# models whose first token has the position after that of the padding token: RoBERTa and its descendants
_POSITIONS_AFTER_PADDING = {
    "camembert",
    "data2vec-text",
    "esm",
    "ibert",
    "layoutlmv3",
    "lilt",
    "longformer",
    "luke",
    "markuplm",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}


@dataclass(frozen=True)
class ModelInfo:
    """The configuration of a model, read without loading its weights."""

    name: str  # as it was asked for
    weights: Weights
    sha256: str  # of weights, tokenizer and configuration
    n_dims: int  # length of a hidden state
    n_layers: int
    n_special: int  # tokens that the tokenizer adds to every text
    max_length: int | None  # most tokens the model can read; None if there is no limit
    declared: Declared  # how it makes vectors, if sentence-transformers saved it

    def choose_max_length(self, asked: int | None, *, n_prompt: int = 0) -> int | None:
        """Choose how many tokens of a text are read.

        Parameters
        ----------
        asked : int or None
            Parameter of an encoder, special tokens and the prompt included; None: as many as the model can.
        n_prompt : int, default=0
            Tokens of a prompt before each text.

        Returns
        -------
        int or None
            None if nothing limits it.

        Raises
        ------
        ValueError
            If nothing is left for a text.
        """
        limits = [limit for limit in (asked, self.max_length) if limit is not None]
        max_length = min(limits, default=None)
        if max_length is not None and max_length <= self.n_special + n_prompt:
            prompt = f" and the prompt takes {n_prompt}" if n_prompt else ""
            raise ValueError(
                f"max_length={asked} leaves no room for text: {self.name} adds {self.n_special} special "
                f"tokens{prompt}, so choose at least {self.n_special + n_prompt + 1} (it can read "
                f"{self.max_length or 'any number'})"
            )
        return None if max_length is None else int(max_length)

    def check_n_components(self, asked: int | None, *, n_poolings: int = 1) -> None:
        """Refuse more dimensions of a vector than the model has.

        Parameters
        ----------
        asked : int or None
            Parameter of an encoder; None: all.
        n_poolings : int, default=1
            Poolings whose vectors are joined.

        Raises
        ------
        ValueError
            If the model has fewer.
        """
        n_dims = self.n_dims * n_poolings
        if asked is not None and asked > n_dims:
            raise ValueError(
                f"n_components={asked} is more than the {n_dims} dimensions of {self.name}: choose from 1 to "
                f"{n_dims}, or None for all"
            )


@functools.lru_cache(maxsize=64)
def _read_config(path, sha256):
    """Read the configuration of the text part of a model; `sha256` is the version of its directory."""
    from transformers import AutoConfig

    with loading, quiet(), explain(path, "config.json"):
        config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False).get_text_config()
    for name, most in _MOST.items():
        number = getattr(config, name, None)
        if not isinstance(number, int) or not 0 < number <= most:
            raise FileFormatError(
                f"{path / 'config.json'} gives {name}={number!r} instead of a number from 1 to {most:,}: restore the "
                "file that belongs to the weights"
            )
    return config


def check_vocabulary(n_known: int | None, tokenizer: Tokenizer, path: Path) -> None:
    """Refuse a tokenizer with tokens for which a model has no embedding.

    Parameters
    ----------
    n_known : int or None
        Embeddings of the model; None if its configuration does not tell.
    tokenizer : Tokenizer
    path : Path
        Directory of the model, for the message.

    Raises
    ------
    FileFormatError
    """
    if isinstance(n_known, int) and tokenizer.n_tokens > n_known > 0:
        raise FileFormatError(
            f"the tokenizer in {path} has {tokenizer.n_tokens:,} tokens, but the model has embeddings for "
            f"{n_known:,}: they do not belong together. Restore the tokenizer that the model was trained with"
        )


def _n_positions(config):
    """Most tokens that have a position of their own; None if the configuration names no limit."""
    n_rows = getattr(config, "max_position_embeddings", None)
    if n_rows is not None and config.model_type in _POSITIONS_AFTER_PADDING:
        return n_rows - (config.pad_token_id or 0) - 1
    return n_rows


def model_info(model: Path, *, revision: str | None = None) -> ModelInfo:
    """Find a model and read its configuration and checksum, not its weights.

    Parameters
    ----------
    model : str or path-like
        Directory or name, see :func:`skllmrec._weights.find_weights`.
    revision : str or None, default=None
        Branch, tag or commit on the hub.

    Returns
    -------
    ModelInfo

    Raises
    ------
    ModelNotFoundError
        If there is no such model.
    FileFormatError
        If its files are damaged or do not belong together.
    """
    weights = find_weights(model, revision=revision)
    sha256 = weights.sha256
    config = _read_config(weights.path, sha256)
    tokenizer = load_tokenizer(weights)
    check_vocabulary(getattr(config, "vocab_size", None), tokenizer, weights.path)
    known = (tokenizer.max_length, _n_positions(config))
    limits = [limit for limit in known if limit is not None and 0 < limit < 10**9]  # "no limit" is a huge number
    return ModelInfo(
        name=str(model),
        weights=weights,
        sha256=sha256,
        n_dims=config.hidden_size,
        n_layers=config.num_hidden_layers,
        n_special=tokenizer.n_special,
        max_length=min(limits, default=None),
        declared=read_declared(weights.path),
    )
