"""Linear layers in 8-bit integers: a fraction of the time of float32, close to its results."""

from typing import TYPE_CHECKING

from skllmrec._backbone.layers.replace import replace_linear_layers

if TYPE_CHECKING:
    import torch

INT8_RECIPE = "u8 per token, s8 per channel, 1"  # changes whenever the results change
_CENTRE = 128  # code in the middle, so that sums of products stay small


def can_quantize() -> bool:
    """Whether this processor and this build of torch multiply 8-bit integers at speed."""
    import torch

    has_operators = torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.onednn, name) for name in ("qlinear_pointwise", "qlinear_prepack")
    )
    # elsewhere oneDNN falls back on a reference implementation that is hundreds of times slower
    return has_operators and torch.backends.cpu.get_cpu_capability().startswith("AVX")


def _pack(codes):
    import torch

    return torch.ops.onednn.qlinear_prepack(codes, [1024, codes.shape[1]])


def _multiply(codes, packed, scales):
    """Products (codes - 128) @ weights, in float32."""
    import torch

    zeros = torch.zeros(len(scales), dtype=torch.int32)
    return torch.ops.onednn.qlinear_pointwise(
        codes, 1.0, _CENTRE, packed, scales, zeros, None, 1.0, 0, torch.float32, "none", [], ""
    )


def largest_weight_code() -> int:
    """Largest code of a weight whose products this processor adds up exactly.

    Processors without VNNI instructions add pairs of products in 16 bits, where 2 x 255 x 127 does not fit: there
    weights make do with 7 bits.

    Returns
    -------
    int
        127 or 63.

    References
    ----------
    .. [1] oneDNN developer guide, "Nuances of int8 computations".
    """
    import torch

    products = _multiply(
        torch.full((2, 64), 255, dtype=torch.uint8),
        _pack(torch.full((64, 64), 127, dtype=torch.int8)),
        torch.ones(64),
    )
    return 127 if bool((products == 64 * 127 * (255 - _CENTRE)).all()) else 63


def quantize_linear_layers(model: "torch.nn.Module") -> int:
    """Replace the linear layers of a float32 model on the CPU, in place, by layers of 8-bit integers.

    Weights are rounded once, symmetrically, with one scale per output channel. Inputs are rounded as they come, with a
    scale and a zero point per row (token): a token is rounded alone, whatever else is in its batch. A layer keeps
    the shape and dtype of its weight but not the values.

    Parameters
    ----------
    model : torch.nn.Module
        Its layers of the type torch.nn.Linear itself (no subclasses) are replaced.

    Returns
    -------
    int
        Number of layers replaced.

    References
    ----------
    .. [1] T. Dettmers, M. Lewis, Y. Belkada and L. Zettlemoyer, "LLM.int8(): 8-bit matrix multiplication for
       transformers at scale", NeurIPS 2022: scales per row of the input and per column of the weights.

    Examples
    --------
    >>> import torch
    >>> from skllmrec._backbone.layers.int8_linear import can_quantize, quantize_linear_layers
    >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    >>> quantize_linear_layers(model) if can_quantize() else 2
    2
    """
    import numpy as np
    import torch

    from skllmrec._backbone.layers.int8_loops import quantize_rows, rescale_rows

    largest = largest_weight_code()

    class Int8Linear(torch.nn.Module):
        """A linear layer whose weights are 8-bit integers."""

        def __init__(self, layer: "torch.nn.Linear") -> None:
            super().__init__()
            self.in_features = layer.in_features
            self.out_features = layer.out_features
            weight = layer.weight.detach()
            self._scales = weight.abs().amax(dim=1).clamp_min(1e-30) / largest
            codes = (weight / self._scales[:, None]).round()
            self._column_sums = (codes.sum(dim=1) * self._scales).numpy()
            self._packed = _pack(codes.to(torch.int8))
            self.weight = weight.to("meta")  # shape and dtype, for models that look at them
            self.bias = None if layer.bias is None else layer.bias.detach()
            self._offsets = np.zeros(len(weight), np.float32) if self.bias is None else self.bias.numpy()

        def forward(self, inputs: "torch.Tensor") -> "torch.Tensor":
            rows = inputs.reshape(-1, self.in_features).contiguous()
            codes = torch.empty(rows.shape, dtype=torch.uint8)
            scales, zeros = np.empty((2, len(rows)), dtype=np.float32)
            quantize_rows(rows.numpy(), codes.numpy(), scales, zeros)
            products = _multiply(codes, self._packed, self._scales)
            rescale_rows(products.numpy(), scales, zeros - _CENTRE, self._column_sums, self._offsets)
            return products.view(*inputs.shape[:-1], self.out_features)

    return replace_linear_layers(model, Int8Linear)
