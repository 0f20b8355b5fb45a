"""Tokenizers: loaded once per process, shared by threads."""

import threading

from skllmrec._backbone._quiet import loading, quiet

_tokenizers = {}  # sha256 -> Tokenizer


class Tokenizer:
    """A tokenizer that several threads may share."""

    def __init__(self, path):
        from transformers import AutoTokenizer

        with quiet():
            self._tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
        self._lock = threading.Lock()  # truncation is a state of the tokenizer
        self.max_length = self._tokenizer.model_max_length
        self.n_special = self._tokenizer.num_special_tokens_to_add(pair=False)
        pad, end = self._tokenizer.pad_token_id, self._tokenizer.eos_token_id
        # what stands in the padding does not matter, it is masked; but it must be a token
        self.pad_id = next((token for token in (pad, end) if token is not None), 0)

    def __call__(self, texts, max_length):
        """Token ids of every text, at most `max_length` each, with the model's special tokens."""
        if not texts:
            return []
        with self._lock:
            return self._tokenizer(
                texts,
                truncation=True,
                max_length=max_length,
                padding=False,
                return_attention_mask=False,
                return_token_type_ids=False,
            )["input_ids"]


def load_tokenizer(weights):
    """Load the tokenizer of `weights`, at most once per process."""
    sha256 = weights.sha256
    with loading:
        if sha256 not in _tokenizers:
            _tokenizers[sha256] = Tokenizer(weights.path)
        return _tokenizers[sha256]


def unload_tokenizers():
    """Forget every loaded tokenizer."""
    with loading:
        _tokenizers.clear()
