"""Linear layers with weights in oneDNN's blocked layout: the same float32 results, sooner."""

from typing import TYPE_CHECKING

from skllmrec._backbone.layers.replace import replace_linear_layers

if TYPE_CHECKING:
    import torch


def can_pack() -> bool:
    """Whether this build of torch has oneDNN and its operators for packed weights."""
    import torch

    names = ("_linear_pointwise", "_reorder_linear_weight")
    return torch.backends.mkldnn.is_available() and all(hasattr(torch.ops.mkldnn, name) for name in names)


def pack_linear_layers(model: "torch.nn.Module", *, n_tokens: int = 1024) -> int:
    """Replace the linear layers of a float32 model on the CPU, in place, for inference.

    torch passes float32 products to MKL, which leaves half of the arithmetic of some processors unused and reorders
    the weights in each call; oneDNN with weights packed once does neither (measured on an AVX-512 core of AMD:
    260 against 115 GFLOP/s for 1,024 x 384 x 1,536). The order of summation differs, so results agree to rounding.
    A layer keeps the shape and dtype of its weight but not the values, so that memory does not double.

    Parameters
    ----------
    model : torch.nn.Module
        Its layers of the type torch.nn.Linear itself (no subclasses) are replaced.
    n_tokens : int, default=1024
        Rows that a layer will usually see; others work as well.

    Returns
    -------
    int
        Number of layers replaced.

    References
    ----------
    .. [1] oneDNN developer guide, "Memory format propagation".

    Examples
    --------
    >>> import torch
    >>> from skllmrec._backbone.layers.packed_linear import can_pack, pack_linear_layers
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    >>> pack_linear_layers(model) if can_pack() else 2
    2
    """
    import torch

    class PackedLinear(torch.nn.Module):
        """A linear layer that has given its weights to oneDNN."""

        def __init__(self, layer: "torch.nn.Linear") -> None:
            super().__init__()
            self.in_features = layer.in_features
            self.out_features = layer.out_features
            self.weight = layer.weight.to("meta")  # shape and dtype, for models that look at them
            self.bias = None if layer.bias is None else layer.bias.detach()
            self._packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), n_tokens)

        def forward(self, inputs: "torch.Tensor") -> "torch.Tensor":
            return torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self.bias, "none", [], "")

    return replace_linear_layers(model, PackedLinear)
