"""Text generation with a causal language model in this process."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from skllmrec._backbone._quiet import loading, quiet
from skllmrec._device import is_out_of_memory, resolve_device, resolve_dtype
from skllmrec._weights import Weights

if TYPE_CHECKING:
    import transformers

_OPEN_THOUGHT = "<think>"  # chat templates of reasoning models may end with it
_PROMPT_END = 8  # last tokens of a prompt that may hold it

_models: dict[tuple[str, str, str], tuple] = {}  # (sha256, dtype, device) -> (model, tokenizer)


@dataclass(frozen=True)
class Answer:
    """The answer of a model to a prompt."""

    text: str
    n_prompt_tokens: int
    n_generated_tokens: int
    is_cut: bool  # ended at the maximal number of tokens
    is_refused: bool = False  # as reported by the server


def load_generator(
    weights: Weights, *, dtype: str, device: str | None
) -> "tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase]":
    """Load a causal model and its tokenizer, at most once per process.

    Parameters
    ----------
    weights : Weights
    dtype : {"float32", "bfloat16", "float16"}
    device : str or None

    Returns
    -------
    model : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerBase

    Raises
    ------
    ValueError
        If the model does not generate texts.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    found = resolve_device(device)
    key = weights.generation_sha256, dtype, str(found)
    with loading, quiet():
        if key not in _models:
            config = AutoConfig.from_pretrained(weights.path, **options)
            is_encoder = type(config) in AutoModelForMaskedLM._model_mapping and not getattr(
                config, "is_decoder", False
            )
            if is_encoder or type(config) not in AutoModelForCausalLM._model_mapping:
                raise ValueError(
                    f"{weights.path} holds a model of type {config.model_type!r}, which does not write texts: choose a "
                    "causal language model that was trained to follow instructions"
                )
            tokenizer = AutoTokenizer.from_pretrained(weights.path, **options)
            if tokenizer.pad_token_id is None:
                tokenizer.pad_token = tokenizer.eos_token or tokenizer.convert_ids_to_tokens(0)
            model: Any = AutoModelForCausalLM.from_pretrained(
                weights.path, dtype=resolve_dtype(dtype), use_safetensors=True, **options
            )
            _models[key] = model.to(found).eval().requires_grad_(False), tokenizer
        return _models[key]


def _seed_of(seed, prompt):
    """Derive a seed from the prompt alone, so that answers do not depend on other prompts."""
    return int.from_bytes(hashlib.sha256(f"{seed} {prompt}".encode()).digest()[:6], "little")


class Generator:
    """Generates answers to prompts.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerBase
    max_new_tokens : int
    temperature : float
        0: greedy decoding.
    seed : int
        Seed of the sampling.
    batch_size : int
        Number of prompts per batch; sampled answers are generated one by one, so that each depends on its prompt alone.
    """

    def __init__(
        self, model: Any, tokenizer: Any, *, max_new_tokens: int, temperature: float, seed: int, batch_size: int
    ) -> None:
        from transformers import GenerationConfig

        self._model = model
        self._tokenizer = tokenizer
        self._seed = seed
        self._max_new_tokens = max_new_tokens
        self._is_sampled = temperature > 0
        self._batch_size = 1 if self._is_sampled else batch_size
        ends = getattr(model.generation_config, "eos_token_id", None)
        ends = [tokenizer.eos_token_id] if ends is None else ends
        self._ends = {end for end in (ends if isinstance(ends, list) else [ends]) if end is not None}
        sampling: dict[str, Any] = (
            {"do_sample": True, "temperature": temperature, "top_k": 0} if self._is_sampled else {}
        )
        self._config = GenerationConfig(
            max_new_tokens=max_new_tokens,
            eos_token_id=sorted(self._ends) or None,
            pad_token_id=tokenizer.pad_token_id,
            **sampling,
        )

    def __call__(self, prompts: Sequence[str]) -> Iterator[dict[int, Answer]]:
        """Answer prompts.

        Parameters
        ----------
        prompts : list of str

        Yields
        ------
        dict of int to Answer
            Position of a prompt -> its answer; short prompts are answered first.
        """
        ids = [self._tokens(prompt) for prompt in prompts]
        order = np.argsort([len(tokens) for tokens in ids], kind="stable")
        for start in range(0, len(order), self._batch_size):
            batch = order[start : start + self._batch_size].tolist()
            answers = self._answer([ids[i] for i in batch], prompts[batch[0]])
            yield dict(zip(batch, answers, strict=True))

    def _tokens(self, prompt):
        if self._tokenizer.chat_template:
            return self._tokenizer.apply_chat_template(
                [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=True, return_dict=True
            )["input_ids"]
        return self._tokenizer(prompt)["input_ids"]

    def _answer(self, batch, prompt):
        import torch

        width = max(map(len, batch))
        ids = np.full((len(batch), width), self._tokenizer.pad_token_id, dtype=np.int64)
        mask = np.zeros_like(ids)
        for i, tokens in enumerate(batch):  # padded on the left: the answer continues the prompt
            ids[i, width - len(tokens) :], mask[i, width - len(tokens) :] = tokens, 1
        device = self._model.device
        try:
            with torch.inference_mode(), torch.random.fork_rng():
                torch.manual_seed(_seed_of(self._seed, prompt))
                written = self._model.generate(
                    input_ids=torch.from_numpy(ids).to(device),
                    attention_mask=torch.from_numpy(mask).to(device),
                    generation_config=self._config,
                )
            written = written[:, width:].tolist()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise MemoryError(
                f"no room on the device {str(device)!r} for {len(batch)} prompts of up to {width} tokens: choose a "
                'smaller batch_size or max_chars, dtype="bfloat16", or device="cpu"'
            ) from error
        return [self._read(tokens, asked) for tokens, asked in zip(written, batch, strict=True)]

    def _read(self, tokens, asked):
        end = next((place for place, token in enumerate(tokens) if token in self._ends), None)
        kept = tokens if end is None else tokens[:end]
        text = self._tokenizer.decode(kept, skip_special_tokens=True)
        if self._tokenizer.decode(asked[-_PROMPT_END:]).rstrip().endswith(_OPEN_THOUGHT):
            text = _OPEN_THOUGHT + text
        return Answer(text, len(asked), len(kept) + (end is not None), is_cut=end is None)
