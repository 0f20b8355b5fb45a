"""Models whose weights are trained: copies of their own, run from a layer on where those below stay as they are."""

import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skllmrec._backbone._info import check_vocabulary
from skllmrec._backbone._model import _load_model
from skllmrec._backbone._quiet import loading, quiet
from skllmrec._backbone._tokenizer import load_tokenizer
from skllmrec._weights import PROMPTS, TOKENIZER_FILES, Weights

if TYPE_CHECKING:
    import torch


def _stack_of(model):
    """Find the only list of as many layers as the configuration states; None if it is not recognised."""
    from torch.nn import ModuleList

    n_layers = model.config.get_text_config().num_hidden_layers
    stacks = [module for module in model.modules() if isinstance(module, ModuleList) and len(module) == n_layers]
    return stacks[0] if len(stacks) == 1 else None


class TrainableModel:
    """A model of one's own to train; the registry of loaded models does not know it.

    Parameters
    ----------
    weights : Weights
        Where it starts from.
    device : torch.device

    Attributes
    ----------
    module : torch.nn.Module
        All parameters are frozen at first.
    n_layers : int

    Raises
    ------
    FileFormatError
        If the tokenizer does not fit the model.
    ValueError
        If the model is no single stack of layers.
    """

    def __init__(self, weights: Weights, device: "torch.device") -> None:
        import torch

        self.weights = weights
        with loading:
            self.module = _load_model(weights.path, torch.float32).to(device)
        n_known = self.module.get_input_embeddings().num_embeddings
        check_vocabulary(n_known, load_tokenizer(weights), weights.path)
        self._stack = _stack_of(self.module)
        if self._stack is None:
            raise ValueError(
                f"{type(self.module).__name__} in {weights.path} cannot be tuned: its layers are not one list of "
                f"{self.module.config.get_text_config().num_hidden_layers}"
            )
        self.n_layers = len(self._stack)
        self.first = 0
        self._entry: Any = None

    def train_all(self) -> None:
        """Let every parameter be trained but those of a pooler, which no vector depends on."""
        for name, parameter in self.module.named_parameters():
            parameter.requires_grad_("pooler" not in name)

    def train_last(self, n_layers: int) -> None:
        """Let the last layers be trained; the others are skipped from now on, and `states` takes their output.

        Parameters
        ----------
        n_layers : int
            In [1, self.n_layers].
        """
        self.first = self.n_layers - n_layers
        for layer in self._stack[self.first :]:
            layer.requires_grad_(True)
        for layer in self._stack[: self.first]:
            layer.forward = lambda hidden_states, *args, **options: hidden_states
        self._stack[self.first].register_forward_pre_hook(self._enter, with_kwargs=True)

    def _enter(self, layer, args, options):
        """Replace the input of a layer by given states."""
        if self._entry is None:
            return None
        if args:
            return (self._entry, *args[1:]), options
        return args, {**options, "hidden_states": self._entry}

    def add_adapters(self, rank: int) -> None:
        """Let low-rank adapters of all linear layers be trained instead of the weights.

        Parameters
        ----------
        rank : int

        Raises
        ------
        ImportError
            If peft is not installed.
        """
        from skllmrec._optional import import_optional

        peft = import_optional("peft", extra="finetune", purpose='LLMFineTuner(trainable="lora")')
        inside = {id(module) for module in self._stack.modules()}
        targets = [
            name
            for name, module in self.module.named_modules()
            if id(module) in inside and type(module).__name__ in ("Linear", "Conv1D")
        ]
        config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=targets)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks for an attribute that transformers has renamed
            self.module = peft.get_peft_model(self.module, config)

    def states(
        self, input_ids: "torch.Tensor", mask: "torch.Tensor | None", entry: "torch.Tensor | None" = None
    ) -> "torch.Tensor":
        """Return the last hidden states.

        Parameters
        ----------
        input_ids : torch.Tensor of shape (n_texts, n_tokens), int64
        mask : torch.Tensor of shape (n_texts, n_tokens), or None
        entry : torch.Tensor of shape (n_texts, n_tokens, n_dims), default=None
            States that go into the first trained layer, after `train_last`; None runs the layers that are not skipped
            on the embeddings.

        Returns
        -------
        torch.Tensor of shape (n_texts, n_tokens, n_dims)
        """
        inputs = {"input_ids": input_ids} if mask is None else {"input_ids": input_ids, "attention_mask": mask}
        self._entry = entry
        try:
            return self.module(**inputs).last_hidden_state
        finally:
            self._entry = None

    def save(self, folder: Path) -> None:
        """Write the model and its tokenizer as a plain transformers directory; adapters are merged into the weights.

        Parameters
        ----------
        folder : pathlib.Path
            An empty folder.
        """
        module = self.module.merge_and_unload() if hasattr(self.module, "merge_and_unload") else self.module
        with loading, quiet():
            module.save_pretrained(folder)
        for pattern in (*TOKENIZER_FILES, PROMPTS):
            for file in self.weights.path.glob(pattern):
                shutil.copyfile(file, folder / file.name)
