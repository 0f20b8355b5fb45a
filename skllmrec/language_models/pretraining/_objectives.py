"""The objectives of pre-training: batches of examples, their losses, and scores on held-out documents."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skllmrec._device import to_device
from skllmrec._training import index_batches
from skllmrec._typing import Array, IntArray
from skllmrec.language_models.pretraining._corpus import Corpus
from skllmrec.language_models.pretraining._masking import mask_tokens
from skllmrec.language_models.pretraining._sentence_pairs import OTHER, SINGLE, draw_pairs
from skllmrec.language_models.pretraining._tokenizer import Frame, find_frame

if TYPE_CHECKING:
    import torch
    import transformers

    from skllmrec.language_models.pretraining._networks import Heads

OBJECTIVES = ("mlm", "nsp")
HELD_OUT = "held_out_"  # prefix of the names of scores on held-out documents
_MOST_EXPONENT = math.log(np.finfo(float).max)
_IGNORED = -100  # label without a loss, as in torch


@dataclass(frozen=True)
class Collator:
    """Draws examples from a corpus, and collates batches of them.

    Attributes
    ----------
    objectives : tuple of str
    frame : Frame
        Special tokens around the segments.
    max_length : int
        Maximal number of tokens of an example, special tokens included.
    batch_size : int
        Number of examples of a batch.
    mask_probability : float
    whole_words : bool
        Whether words are masked as a whole.
    mask_id, pad_id : int
    ordinary : torch.Tensor of int64
        Tokens that are not special.
    """

    objectives: tuple[str, ...]
    frame: Frame
    max_length: int
    batch_size: int
    mask_probability: float
    whole_words: bool
    mask_id: int
    pad_id: int
    ordinary: "torch.Tensor"

    @property
    def half(self) -> int:
        """Maximal number of tokens of one of two segments."""
        return (self.max_length - self.frame.n_special) // 2

    def examples(self, corpus: Corpus, rng: np.random.Generator) -> IntArray:
        """Draw the examples of an epoch: ndarray of int64, shape (n_examples, 5), see `draw_pairs`."""
        if "nsp" not in self.objectives:
            return corpus.examples()
        examples = draw_pairs(corpus, self.half, rng)
        return examples if "mlm" in self.objectives else examples[examples[:, 4] != SINGLE]

    def batches(self, corpus: Corpus, rng: np.random.Generator) -> list[IntArray]:
        """Divide the examples of an epoch into batches of similar length."""
        examples = self.examples(corpus, rng)
        lengths = examples[:, 1] - examples[:, 0] + examples[:, 3] - examples[:, 2]
        return [examples[rows] for rows in index_batches(len(examples), self.batch_size, lengths=lengths)(rng)]

    def collate(self, corpus: Corpus, examples: IntArray) -> tuple[IntArray, IntArray, Array, Array, IntArray]:
        """Collate a batch to arrays of shape (n_examples, n_tokens).

        Returns
        -------
        ids, types, starts, content : ndarray
            Tokens, segments (0 or 1), whether a token begins a word, and whether it belongs to a segment.
        mask : ndarray
            0 in the padding, else 1.
        """
        rows = [self._lay_out(*example) for example in examples.tolist()]
        widths = [sum(len(part) if isinstance(part, list) else part[1] - part[0] for part in row) for row in rows]
        shape = len(rows), max(widths)
        ids = np.full(shape, self.pad_id, dtype=np.int64)
        types, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        starts, content = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        for i, row in enumerate(rows):
            at = 0
            for number, part in enumerate(row):
                if isinstance(part, list):
                    stop = at + len(part)
                    ids[i, at:stop] = part
                else:
                    stop = at + part[1] - part[0]
                    ids[i, at:stop] = corpus.tokens[slice(*part)]
                    starts[i, at:stop] = corpus.starts[slice(*part)]
                    starts[i, at : at + 1] = True  # the rest of a divided word counts as a word
                    content[i, at:stop] = True
                types[i, at:stop] = number > 2
                at = stop
            mask[i, :at] = 1
        return ids, types, starts, content, mask

    def _lay_out(self, a0, a1, b0, b1, label):
        """Return the parts of an example in order: special tokens (list) and segments (begin, end)."""
        if label == SINGLE:
            before, behind = self.frame.single
            return before, (a0, a1), behind
        before, between, behind = self.frame.pair
        return before, (a0, a1), between, (b0, b1), behind


def make_collator(tokenizer: "transformers.PreTrainedTokenizerBase", **options: Any) -> Collator:
    """Make a collator for a tokenizer.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
    **options : dict
        Attributes of the collator that do not depend on the tokenizer.

    Returns
    -------
    Collator
    """
    import torch

    tokens = torch.arange(len(tokenizer))
    return Collator(
        frame=find_frame(tokenizer),
        mask_id=tokenizer.mask_token_id,
        pad_id=tokenizer.pad_token_id,
        ordinary=tokens[~torch.isin(tokens, torch.tensor(tokenizer.all_special_ids))],
        **options,
    )


class Objectives:
    """Losses of a network on examples of a corpus.

    Parameters
    ----------
    collator : Collator
    corpus : Corpus
    heads : Heads
    device : torch.device
    unigram : torch.Tensor of shape (n_vocabulary,)
        Logarithm of the relative frequency of each token in the training corpus.
    """

    def __init__(
        self, collator: Collator, corpus: Corpus, heads: "Heads", device: "torch.device", unigram: "torch.Tensor"
    ) -> None:
        self._collator = collator
        self._corpus = corpus
        self._heads = heads
        self._device = device
        self._unigram = unigram

    def __call__(self, examples: IntArray) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
        """Compute the sum of the mean losses of a batch, and the sums and counts that `summarise` takes."""
        import torch
        from torch.nn.functional import cross_entropy

        collator = self._collator
        tokens, types, starts, content, mask = collator.collate(self._corpus, examples)
        inputs = ids = torch.from_numpy(tokens)
        hidden = torch.zeros(ids.shape, dtype=torch.bool)
        if "mlm" in collator.objectives:
            inputs, hidden = mask_tokens(
                ids,
                torch.from_numpy(content),
                probability=collator.mask_probability,
                mask_id=collator.mask_id,
                ordinary=collator.ordinary,
                starts=torch.from_numpy(starts) if collator.whole_words else None,
            )
        on_device = (to_device(array, self._device) for array in (inputs.numpy(), mask, types, hidden.numpy()))
        token_logits, pair_logits = self._heads(*on_device)
        loss: Any = 0.0
        numbers: dict[str, torch.Tensor] = {}
        if "mlm" in collator.objectives:
            wanted = to_device(ids[hidden].numpy(), self._device)
            total = cross_entropy(token_logits.float(), wanted, reduction="sum")
            loss = loss + total / len(wanted)
            numbers |= self._numbers("mlm", total, token_logits, wanted)
            numbers["unigram_sum"] = -self._unigram[ids[hidden]].sum()
        if "nsp" in collator.objectives:
            labels = examples[:, 4]
            wanted = to_device(np.where(labels == SINGLE, _IGNORED, labels == OTHER).astype(np.int64), self._device)
            total = cross_entropy(pair_logits.float(), wanted, reduction="sum")
            loss = loss + total / max(int((labels != SINGLE).sum()), 1)
            numbers |= self._numbers("nsp", total, pair_logits, wanted)
        return loss, numbers

    @staticmethod
    def _numbers(name, total, logits, wanted):
        right = (logits.argmax(dim=1) == wanted).sum()
        return {f"{name}_sum": total.detach(), f"{name}_right": right, f"{name}_count": (wanted != _IGNORED).sum()}

    def evaluate(self, batches: Iterable[IntArray], seed: int) -> dict[str, float]:
        """Score the network on batches, with the same masks in every call.

        Parameters
        ----------
        batches : list of ndarray
            See `Collator.batches`.
        seed : int

        Returns
        -------
        dict
            The negative sum of the losses as "score", and the numbers of each objective.
        """
        import torch

        sums: dict[str, float] = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for batch in batches:
                for name, number in self(batch)[1].items():
                    sums[name] = sums.get(name, 0.0) + float(number)
        numbers = summarise(sums, self._collator.objectives)
        return {"score": -sum(numbers[f"{name}_loss"] for name in self._collator.objectives)} | {
            HELD_OUT + name: number for name, number in numbers.items()
        }


def summarise(record: dict[str, Any], objectives: Sequence[str]) -> dict[str, Any]:
    """Replace the sums and counts of a record by means.

    Parameters
    ----------
    record : dict of str to float
        With "mlm_sum", "mlm_right", "mlm_count", ...
    objectives : tuple of str

    Returns
    -------
    dict
        The other values of the record, loss and accuracy of each objective, and perplexities of masked tokens.

    Examples
    --------
    >>> from skllmrec.language_models.pretraining._objectives import summarise
    >>> summarise({"epoch": 1, "nsp_sum": 6.0, "nsp_right": 9, "nsp_count": 12}, ("nsp",))
    {'epoch': 1, 'nsp_loss': 0.5, 'nsp_accuracy': 0.75}
    """
    record, means = dict(record), {}
    for name in objectives:
        if f"{name}_sum" not in record:
            continue
        count = max(record.pop(f"{name}_count"), 1e-9)
        means[f"{name}_loss"] = record.pop(f"{name}_sum") / count
        means[f"{name}_accuracy"] = record.pop(f"{name}_right") / count
        if name == "mlm":
            means["mlm_perplexity"] = _perplexity(means["mlm_loss"])
            means["unigram_perplexity"] = _perplexity(record.pop("unigram_sum") / count)
    return record | means


def _perplexity(loss):
    """Compute the exponential of a loss; infinity if it exceeds the largest float, as in a diverging training."""
    return math.exp(loss) if loss < _MOST_EXPONENT else math.inf
