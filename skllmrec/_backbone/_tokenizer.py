"""Tokenizers: loaded once per process, shared by threads."""

import threading
from pathlib import Path

import numpy as np

from skllmrec._backbone._broken import explain
from skllmrec._backbone._fork import prepare_for_forks
from skllmrec._backbone._quiet import loading, quiet
from skllmrec._weights import Weights
from skllmrec.exceptions import FileFormatError

_tokenizers: dict[str, "Tokenizer"] = {}  # sha256 -> Tokenizer


def _check_words(tokenizer, vocabulary, path):
    """Refuse a tokenizer that knows no word: it would read every text as the same unknown tokens."""
    special = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab(), str(tokenizer.unk_token)}
    # tokenizers whose files are missing are made with special tokens and a space only
    words = sum(1 for token in vocabulary if token not in special and token.strip("\u2581\u0120 "))
    if words == 0:
        raise FileFormatError(
            f"the tokenizer in {path} knows no words: its vocabulary has {len(vocabulary)} tokens, special ones "
            "included, so that every text would get the same vector. Add the file of the vocabulary (tokenizer.json, "
            "vocab.txt, vocab.json with merges.txt, or *.model) that the model was trained with"
        )


class Tokenizer:
    """A tokenizer that several threads may share."""

    def __init__(self, path: Path) -> None:
        from transformers import AutoTokenizer

        prepare_for_forks()
        with quiet(), explain(path, "the tokenizer"):
            self._tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        self._lock = threading.Lock()  # truncation is a state of the tokenizer
        self.max_length = self._tokenizer.model_max_length
        vocabulary = self._tokenizer.get_vocab()
        _check_words(self._tokenizer, vocabulary, path)
        self.n_tokens = 1 + max(vocabulary.values())
        self.n_special = self._tokenizer.num_special_tokens_to_add(pair=False)
        pad, end = self._tokenizer.pad_token_id, self._tokenizer.eos_token_id
        # padding is masked, so that any token will do
        self.pad_id = next((token for token in (pad, end) if token is not None), 0)
        probe = self._tokenizer("a", return_special_tokens_mask=True)
        is_special = np.array(probe["special_tokens_mask"], dtype=bool)
        n_before = int(np.argmin(is_special)) if self.n_special else 0
        n_after = self.n_special - n_before
        self._before = probe["input_ids"][:n_before]
        self._after = probe["input_ids"][len(is_special) - n_after :]

    def __call__(self, texts: list[str], max_length: int | None) -> list[list[int]]:
        """Return the token ids of every text with the model's special tokens, at most `max_length` each."""
        return self._encode(texts, truncation=max_length is not None, max_length=max_length)

    def _encode(self, texts, **options):
        if not texts:
            return []
        with self._lock:
            return self._tokenizer(
                texts, padding=False, return_attention_mask=False, return_token_type_ids=False, verbose=False, **options
            )["input_ids"]

    def prompt_ids(self, prompt: str) -> list[int]:
        """Return the token ids of a prompt without the space after it, which many tokenizers add to the next word."""
        return self._encode([prompt.rstrip()], add_special_tokens=False)[0] if prompt else []

    def n_prompt_tokens(self, prompt: str) -> int:
        """Return the number of first tokens that a prompt takes, special tokens before it included."""
        if not prompt:
            return 0
        tokens = self._encode([prompt])[0]
        return len(tokens) - int(bool(tokens) and tokens[-1] in self._tokenizer.all_special_ids)

    def windows(self, texts: list[str], max_length: int, *, prompt: str = "") -> list[list[list[int]]]:
        """Return the token ids of consecutive windows of every text, which together hold all of it.

        Parameters
        ----------
        texts : list of str
            Every one begins with `prompt`.
        max_length : int
            Most tokens of a window, of which the special tokens and the prompt leave room for one at least.
        prompt : str, default=""
            The beginning of every window.

        Returns
        -------
        list of list of list of int
            For each text its windows, at least one: token ids with the special tokens. A text that fits into one
            window is that window, as if it were only truncated.
        """
        room, prompt_ids = max_length - self.n_special, self.prompt_ids(prompt)
        step = room - len(prompt_ids)
        found = []
        for tokens in self(texts, None):
            inner = tokens[len(self._before) : len(tokens) - len(self._after)]
            windows = [self._before + inner[:room] + self._after]
            windows += [
                self._before + prompt_ids + inner[start : start + step] + self._after
                for start in range(room, len(inner), step)
            ]
            found.append(windows)
        return found


def load_tokenizer(weights: Weights) -> Tokenizer:
    """Load the tokenizer of `weights`, at most once per process."""
    sha256 = weights.sha256
    with loading:
        if sha256 not in _tokenizers:
            _tokenizers[sha256] = Tokenizer(weights.path)
        return _tokenizers[sha256]


def forget_tokenizer(sha256: str) -> None:
    """Forget the tokenizer with this checksum."""
    with loading:
        _tokenizers.pop(sha256, None)


def unload_tokenizers() -> None:
    """Forget every loaded tokenizer."""
    with loading:
        _tokenizers.clear()
