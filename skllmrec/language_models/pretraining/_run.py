"""One pre-training from documents to trained weights: what meets what in the training loop."""

import numpy as np

from skllmrec._training import Checkpoint, train
from skllmrec.language_models.pretraining._documents import check_pairs, make_corpus
from skllmrec.language_models.pretraining._networks import Heads
from skllmrec.language_models.pretraining._objectives import Objectives, summarise
from skllmrec.language_models.pretraining._tokenizer import vocabulary_sha256

_STEPS_BETWEEN = 100  # two savings of a training


def pretrain(
    network, tokenizer, documents, task, recipe, *,
    origin=None, directory=None, callbacks=(), gradient_checkpointing=False, verbose=False,
):  # fmt: skip
    """Train a network in place.

    Parameters
    ----------
    network : transformers.PreTrainedModel
        On its device.
    tokenizer : transformers.PreTrainedTokenizerBase
    documents : tuple of Documents
        To learn from, and to judge by; the latter may be empty.
    task : Task
    recipe : Recipe
    origin : str or None, default=None
        Checksum of the weights to begin with, where they were loaded.
    directory : path-like or None, default=None
        Where the training is saved and taken up again.
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
        If there are no pairs to judge, the checkpoint is of another configuration, or the training diverges.
    """
    corpus, held_out = (make_corpus(part, tokenizer, task) for part in documents)
    _check(corpus, held_out, task)
    held_batches = task.batches(held_out, np.random.default_rng([recipe.seed, 2])) if len(held_out.chunks) else []
    unigram = _log_shares(corpus.tokens, network.get_input_embeddings().weight.shape[0])
    heads = Heads(network)
    learned, judged = (Objectives(task, part, heads, network.device, unigram) for part in (corpus, held_out))
    if gradient_checkpointing:
        _keep_few_states(network)
    try:
        return train(
            network,
            lambda rng: task.batches(corpus, rng),
            learned,
            recipe,
            validate=(lambda: judged.evaluate(held_batches, recipe.seed)) if held_batches else None,
            callbacks=[_listener(callback, task.objectives) for callback in callbacks],
            checkpoint=_checkpoint(directory, documents, tokenizer, task, network, origin),
            description="pre-training",
            verbose=verbose,
        )
    finally:
        heads.close()


def _keep_few_states(network):
    """Let the network compute states between layers again instead of keeping them."""
    name = "activation_checkpointing_enable"  # transformers >= 5.20 or so; before, it was named after gradients
    enable = getattr(network, name, None) or network.gradient_checkpointing_enable
    enable({"use_reentrant": False})


def _check(corpus, held_out, task):
    if not len(corpus.chunks):
        raise ValueError("the texts to learn from have no tokens: give other texts, or another tokenizer")
    if "nsp" in task.objectives:
        check_pairs(corpus, what="learn from")
        if len(held_out.chunks):
            check_pairs(held_out, what="hold out")


def _log_shares(tokens, n_vocabulary):
    """Logarithm of the share of each token, as if each had been seen once more than it was."""
    import torch

    counts = np.bincount(tokens, minlength=n_vocabulary) + 1.0
    return torch.from_numpy(np.log(counts / counts.sum()))


def _listener(callback, objectives):
    return lambda record: callback(summarise(record, objectives))


def _checkpoint(directory, documents, tokenizer, task, network, origin):
    """Where the training is saved, and what it depends on besides recipe and shapes."""
    if directory is None:
        return None
    identity = {
        "model": origin,
        "n_heads": network.config.num_attention_heads,
        "vocabulary": vocabulary_sha256(tokenizer),
        "texts": [part.sha256() for part in documents],
        "objectives": list(task.objectives),
        "max_length": task.max_length,
        "batch_size": task.batch_size,
        "mask_probability": task.mask_probability,
        "whole_words": task.whole_words,
    }
    return Checkpoint(directory, every=_STEPS_BETWEEN, identity=identity)
