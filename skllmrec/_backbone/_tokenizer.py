"""Tokenizers: loaded once per process, shared by threads."""

import threading

import numpy as np

from skllmrec._backbone._fork import prepare_for_forks
from skllmrec._backbone._quiet import loading, quiet

_tokenizers = {}  # sha256 -> Tokenizer


class Tokenizer:
    """A tokenizer that several threads may share."""

    def __init__(self, path):
        from transformers import AutoTokenizer

        prepare_for_forks()
        with quiet():
            self._tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        self._lock = threading.Lock()  # truncation is a state of the tokenizer
        self.max_length = self._tokenizer.model_max_length
        self.n_tokens = len(self._tokenizer)
        self.n_special = self._tokenizer.num_special_tokens_to_add(pair=False)
        pad, end = self._tokenizer.pad_token_id, self._tokenizer.eos_token_id
        # what stands in the padding does not matter, it is masked; but it must be a token
        self.pad_id = next((token for token in (pad, end) if token is not None), 0)
        probe = self._tokenizer("a", return_special_tokens_mask=True)
        is_special = np.array(probe["special_tokens_mask"], dtype=bool)
        n_before = int(np.argmin(is_special)) if self.n_special else 0
        n_after = self.n_special - n_before
        self._before, self._after = probe["input_ids"][:n_before], probe["input_ids"][len(is_special) - n_after :]

    def __call__(self, texts, max_length):
        """Token ids of every text with the model's special tokens, at most `max_length` each; None reads all."""
        return self._encode(texts, truncation=max_length is not None, max_length=max_length)

    def _encode(self, texts, **options):
        if not texts:
            return []
        with self._lock:
            return self._tokenizer(
                texts, padding=False, return_attention_mask=False, return_token_type_ids=False, verbose=False, **options
            )["input_ids"]

    def prompt_ids(self, prompt):
        """Token ids of a prompt alone; of the space after it, many tokenizers make a part of the next word."""
        return self._encode([prompt.rstrip()], add_special_tokens=False)[0] if prompt else []

    def windows(self, texts, max_length, *, prompt=""):
        """Token ids of consecutive windows of every text, which together hold all of it.

        Parameters
        ----------
        texts : list of str
            Every one begins with `prompt`.
        max_length : int
            Most tokens of a window, of which the special tokens and the prompt leave room for one at least.
        prompt : str, default=""
            What stands at the beginning of every window.

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


def load_tokenizer(weights):
    """Load the tokenizer of `weights`, at most once per process."""
    sha256 = weights.sha256
    with loading:
        if sha256 not in _tokenizers:
            _tokenizers[sha256] = Tokenizer(weights.path)
        return _tokenizers[sha256]


def forget_tokenizer(sha256):
    """Forget the tokenizer with this checksum."""
    with loading:
        _tokenizers.pop(sha256, None)


def unload_tokenizers():
    """Forget every loaded tokenizer."""
    with loading:
        _tokenizers.clear()
