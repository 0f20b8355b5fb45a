"""One run of pre-training: the data, network and objectives that the training loop combines."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skllmrec import _typing
from skllmrec._training import Checkpoint, Recipe, Training, train
from skllmrec.language_models.pretraining._documents import Documents, check_pairs, make_corpus
from skllmrec.language_models.pretraining._networks import Heads
from skllmrec.language_models.pretraining._objectives import Collator, Objectives, summarise
from skllmrec.language_models.pretraining._tokenizer import vocabulary_sha256

if TYPE_CHECKING:
    import transformers

_STEPS_BETWEEN = 100  # steps between two checkpoints


def pretrain(
    network: "transformers.PreTrainedModel",
    tokenizer: "transformers.PreTrainedTokenizerBase",
    documents: tuple[Documents, Documents],
    collator: Collator,
    recipe: Recipe,
    *,
    origin: str | None = None,
    directory: _typing.Path | None = None,
    callbacks: Sequence[Callable[[dict], Any]] = (),
    gradient_checkpointing: bool = False,
    verbose: bool | int = False,
) -> Training:
    """Train a network in place.

    Parameters
    ----------
    network : transformers.PreTrainedModel
        On its device.
    tokenizer : transformers.PreTrainedTokenizerBase
    documents : tuple of Documents
        Documents to train on, and held-out documents, of which there may be none.
    collator : Collator
    recipe : Recipe
    origin : str or None, default=None
        Checksum of the initial weights, if they were loaded.
    directory : path-like or None, default=None
        Folder that the training is saved to and resumed from.
    callbacks : sequence of callable, default=()
        Called with the numbers of each epoch.
    gradient_checkpointing : bool, default=False
    verbose : bool, default=False
        Show a progress bar.

    Returns
    -------
    Training

    Raises
    ------
    ValueError
        If there are no pairs of sentences, the checkpoint is of another configuration, or the training diverges.
    """
    corpus, held_out = (make_corpus(part, tokenizer, collator) for part in documents)
    _check(corpus, held_out, collator)
    held_batches = collator.batches(held_out, np.random.default_rng([recipe.seed, 2])) if len(held_out.chunks) else []
    unigram = _log_shares(corpus.tokens, network.get_input_embeddings().num_embeddings)
    heads = Heads(network)
    learned, judged = (Objectives(collator, part, heads, network.device, unigram) for part in (corpus, held_out))
    if gradient_checkpointing:
        _keep_few_states(network)
    try:
        return train(
            network,
            lambda rng: collator.batches(corpus, rng),
            learned,
            recipe,
            validate=(lambda: judged.evaluate(held_batches, recipe.seed)) if held_batches else None,
            callbacks=[_summarised(callback, collator.objectives) for callback in callbacks],
            checkpoint=_checkpoint(directory, documents, tokenizer, collator, network, origin),
            description="pre-training",
            verbose=verbose,
        )
    finally:
        heads.close()


def _keep_few_states(network):
    """Make the network recompute the states between layers instead of storing them."""
    name = "activation_checkpointing_enable"  # transformers >= 5.20 or so; before, it was named after gradients
    enable = getattr(network, name, None) or network.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def _check(corpus, held_out, collator):
    if not len(corpus.chunks):
        raise ValueError("the training texts have no tokens: give other texts, or another tokenizer")
    if "nsp" in collator.objectives:
        check_pairs(corpus, what="learn from")
        if len(held_out.chunks):
            check_pairs(held_out, what="hold out")


def _log_shares(tokens, n_vocabulary):
    """Logarithm of the relative frequency of each token, with add-one smoothing."""
    import torch

    counts = np.bincount(tokens, minlength=n_vocabulary) + 1.0
    return torch.from_numpy(np.log(counts / counts.sum()))


def _summarised(callback, objectives):
    """Summarise the records that a callback gets."""
    return lambda record: callback(summarise(record, objectives))


def _checkpoint(directory, documents, tokenizer, collator, network, origin):
    """Make the checkpoint, whose identity lists what a training depends on besides recipe and shapes."""
    if directory is None:
        return None
    identity = {
        "model": origin,
        "n_heads": network.config.num_attention_heads,
        "vocabulary": vocabulary_sha256(tokenizer),
        "texts": [part.sha256() for part in documents],
        "objectives": list(collator.objectives),
        "max_length": collator.max_length,
        "batch_size": collator.batch_size,
        "mask_probability": collator.mask_probability,
        "whole_words": collator.whole_words,
    }
    return Checkpoint(directory, every=_STEPS_BETWEEN, identity=identity)
