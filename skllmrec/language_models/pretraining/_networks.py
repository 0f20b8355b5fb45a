"""Models for pre-training: newly initialised or loaded, with the heads that the objectives need."""

from typing import TYPE_CHECKING, Any

from skllmrec._backbone._quiet import loading, quiet
from skllmrec._weights import Weights
from skllmrec.exceptions import FileFormatError

if TYPE_CHECKING:
    import torch
    import transformers

# hidden size, layers, heads
SIZES = {"tiny": (128, 2, 2), "mini": (256, 4, 4), "small": (512, 4, 8), "base": (768, 12, 12)}
# initialiser range and hidden size of BERT-base; narrower models need larger weights for sums of the same variance
_BASE_RANGE, _BASE_SIZE = 0.02, 768
_PAIR_HEAD = "seq_relationship"  # name in transformers of the head that classifies pairs of segments


def make_network(
    tokenizer: "transformers.PreTrainedTokenizerBase", *, sizes: tuple[int, ...], max_length: int, seed: int
) -> "transformers.BertForPreTraining":
    """Create a BERT with random weights.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
    sizes : tuple of int
        Hidden size, layers, heads.
    max_length : int
        Maximal number of tokens of an input.
    seed : int
        Seed of the weights.

    Returns
    -------
    transformers.BertForPreTraining
    """
    import torch
    from transformers import BertConfig, BertForPreTraining

    hidden_size, n_layers, n_heads = sizes
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden_size,
        num_hidden_layers=n_layers,
        num_attention_heads=n_heads,
        intermediate_size=4 * hidden_size,
        max_position_embeddings=max_length,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=_BASE_RANGE * (_BASE_SIZE / hidden_size) ** 0.5,
    )
    with loading, quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BertForPreTraining(config)


def load_network(
    weights: Weights, *, with_pairs: bool, seed: int
) -> "tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase]":
    """Load a model to continue its pre-training; missing heads are newly initialised.

    Parameters
    ----------
    weights : Weights
    with_pairs : bool
        Whether pairs of segments are classified.
    seed : int
        Seed of the weights of new heads.

    Returns
    -------
    network : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerBase

    Raises
    ------
    FileFormatError
        If the weights lack tensors of the model other than its heads.
    ValueError
        If the model cannot be trained with these objectives, or the tokenizer is of another model.
    """
    import torch
    from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForPreTraining, AutoTokenizer

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    with loading, quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = AutoConfig.from_pretrained(weights.path, **options)
        kind = AutoModelForPreTraining if with_pairs else AutoModelForMaskedLM
        if type(config) not in AutoModelForMaskedLM._model_mapping:
            raise ValueError(
                f"{weights.path} holds a model of type {config.model_type!r}, which cannot predict masked tokens: "
                "choose a model with an encoder, such as BERT"
            )
        tokenizer = AutoTokenizer.from_pretrained(weights.path, **options)
        options |= {"dtype": torch.float32, "use_safetensors": True, "output_loading_info": True}
        network, report = kind.from_pretrained(weights.path, **options)
    _check_whole(network, report["missing_keys"], weights.path)
    _check_pairing(network, with_pairs, weights.path)
    _check_tokenizer(tokenizer, network, weights.path)
    return network, tokenizer


def _check_whole(network, missing, path):
    """Raise an error where the file lacks tensors of the model itself, which would be random; heads may be new."""
    lacking = sorted(
        name for name in missing if name.startswith(f"{network.base_model_prefix}.") and "pooler" not in name
    )
    if lacking:
        raise FileFormatError(
            f"the weights in {path} lack {len(lacking)} tensors of {type(network).__name__}, e.g. {lacking[0]!r}, and "
            "random ones would be trained on instead: save the whole model with save_pretrained"
        )


def _check_pairing(network, with_pairs, path):
    has_head = any(_PAIR_HEAD in name for name, _ in network.named_parameters())
    if with_pairs and not (has_head and getattr(network.config, "type_vocab_size", 0) > 1):
        raise ValueError(
            f"the objective 'nsp' needs a model that tells segments apart and judges pairs of them, and {path} holds a "
            f"{type(network).__name__}: choose a BERT, or objectives=('mlm',)"
        )


def _check_tokenizer(tokenizer, network, path):
    """Raise an error for a tokenizer that does not fit the model."""
    n_rows = network.get_input_embeddings().weight.shape[0]
    most = max(tokenizer.get_vocab().values())
    if most >= n_rows:
        raise ValueError(
            f"tokenizer and model in {path} do not belong together: the tokenizer has tokens up to number {most}, the "
            f"model embeds {n_rows}"
        )
    missing = [name for name in ("mask", "pad") if getattr(tokenizer, f"{name}_token_id") is None]
    if missing:
        raise ValueError(
            f"the tokenizer in {path} has no token for {' and '.join(missing)}, which masked language modelling needs: "
            "choose a model that was pre-trained with it"
        )


class Heads:
    """Applies a network to a batch, and its large output layer to the hidden tokens only."""

    def __init__(self, network: "transformers.PreTrainedModel") -> None:
        self._network = network
        self._hidden: torch.Tensor | None = None
        self._has_types = getattr(network.config, "type_vocab_size", 0) > 1
        self._hook = network.get_output_embeddings().register_forward_pre_hook(self._select)

    def _select(self, layer, args):
        return (args[0][self._hidden],)

    def close(self) -> None:
        """Remove the hook from the network."""
        self._hook.remove()

    def __call__(
        self, input_ids: "torch.Tensor", mask: "torch.Tensor", types: "torch.Tensor", hidden: "torch.Tensor"
    ) -> "tuple[torch.Tensor, Any]":
        """Compute the logits of a batch.

        Parameters
        ----------
        input_ids, mask, types : torch.Tensor of shape (n_rows, n_tokens), int64
            Tokens, 1 for tokens that are not padding, and the segment of each token.
        hidden : torch.Tensor of shape (n_rows, n_tokens), bool
            Tokens that are predicted.

        Returns
        -------
        token_logits : torch.Tensor of shape (n_hidden, n_vocabulary)
        pair_logits : torch.Tensor of shape (n_rows, 2) or None
            Column 0: the second segment follows the first; column 1: it is from another document.
        """
        self._hidden = hidden
        try:
            inputs = {"token_type_ids": types} if self._has_types else {}
            output = self._network(input_ids=input_ids, attention_mask=mask, **inputs)
        finally:
            self._hidden = None
        if hasattr(output, "prediction_logits"):
            return output.prediction_logits, output.seq_relationship_logits
        return output.logits, None
