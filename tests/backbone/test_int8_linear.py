"""Linear layers in 8-bit integers against plain numpy."""

import numpy as np
import pytest
import torch

from skllmrec._backbone.layers import int8_linear
from skllmrec._backbone.layers.int8_linear import can_quantize, largest_weight_code, quantize_linear_layers

pytestmark = pytest.mark.skipif(not can_quantize(), reason="no fast products of 8-bit integers here")


def layer_of(n_in, n_out, *, bias=True, seed=0):
    """A linear layer with uneven channels, and its copy in integers."""
    torch.manual_seed(seed)
    layer = torch.nn.Linear(n_in, n_out, bias=bias).requires_grad_(False)
    layer.weight *= torch.logspace(-2, 1, n_out)[:, None]
    holder = torch.nn.Sequential(torch.nn.Linear(n_in, n_out, bias=bias).requires_grad_(False))
    holder.load_state_dict({f"0.{name}": tensor for name, tensor in layer.state_dict().items()})
    assert quantize_linear_layers(holder) == 1
    return layer, holder[0]


def by_hand(layer, inputs, largest):
    """The formula in float64: round rows and channels, multiply, scale."""
    values = inputs.double().numpy()
    low, high = np.minimum(values.min(1), 0), np.maximum(values.max(1), 0)
    steps = (high - low) / 255
    zeros = np.floor(-low / steps + 0.5)
    codes = np.floor(values / steps[:, None] + zeros[:, None] + 0.5)
    assert codes.min() >= 0
    assert codes.max() <= 255
    weight = layer.weight.double().numpy()
    scales = np.abs(weight).max(axis=1) / largest
    weights = np.rint(weight / scales[:, None])
    products = (codes - zeros[:, None]) @ weights.T * steps[:, None] * scales
    return products + (0 if layer.bias is None else layer.bias.double().numpy())


@pytest.mark.parametrize(("n_in", "n_out"), [(16, 32), (3, 5), (100, 1), (384, 70)])
@pytest.mark.parametrize("bias", [True, False])
def test_equals_the_formula(n_in, n_out, bias):
    layer, quantised = layer_of(n_in, n_out, bias=bias)
    inputs = torch.randn(7, n_in) * torch.logspace(-3, 2, 7)[:, None] + 0.3
    expected = by_hand(layer, inputs, largest_weight_code())
    found = quantised(inputs).numpy()
    # a value halfway between two codes may fall either way in float32
    step = np.abs(layer.weight.numpy()).max() * np.ptp(inputs.numpy(), axis=1, keepdims=True).clip(1e-3) / 50
    assert (np.abs(found - expected) <= step).all()
    assert np.median(np.abs(found - expected) / np.abs(expected).max(axis=1, keepdims=True)) < 1e-5


def test_is_close_to_float32_with_uneven_channels():
    layer, quantised = layer_of(384, 64)
    inputs = torch.nn.functional.gelu(torch.randn(50, 384) * 2)
    expected, found = layer(inputs), quantised(inputs)
    error = (found - expected).norm(dim=0) / expected.norm(dim=0)
    assert error.max() < 0.02  # each channel is as good as the others


def test_a_row_does_not_depend_on_the_others():
    _, quantised = layer_of(32, 16)
    inputs = torch.randn(6, 32)
    alone = torch.cat([quantised(row[None]) for row in inputs])
    inputs[0] *= 1000
    torch.testing.assert_close(quantised(inputs)[1:], alone[1:], rtol=1e-5, atol=1e-5)


def test_shapes_rows_of_zeros_and_strides():
    layer, quantised = layer_of(8, 4)
    inputs = torch.randn(2, 3, 8)
    inputs[1, 2] = 0
    found = quantised(inputs)
    assert found.shape == (2, 3, 4)
    torch.testing.assert_close(found[1, 2], layer.bias)
    wide = torch.randn(5, 16)
    torch.testing.assert_close(quantised(wide[:, :8]), quantised(wide[:, :8].contiguous()))
    torch.testing.assert_close(quantised(inputs[:, :1].expand(2, 4, 8)), found[:, :1].expand(2, 4, 4))
    assert quantised(torch.empty(0, 8)).shape == (0, 4)


@pytest.mark.parametrize("bad", [float("nan"), -float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_stays_visible(bad):
    _, quantised = layer_of(8, 4)
    inputs = torch.ones(2, 8)
    inputs[0, 3] = bad
    found = quantised(inputs)
    assert not found[0].isfinite().any()
    assert found[1].isfinite().all()


def test_a_channel_of_zeros_gives_its_bias():
    layer = torch.nn.Linear(8, 2).requires_grad_(False)
    layer.weight[1] = 0
    holder = torch.nn.Sequential(layer)
    bias = layer.bias[1].item()
    quantize_linear_layers(holder)
    assert holder(torch.randn(3, 8))[:, 1].tolist() == pytest.approx([bias] * 3)


def test_seven_bits_where_sums_of_pairs_overflow(monkeypatch):
    exact = int8_linear._multiply
    monkeypatch.setattr(int8_linear, "_multiply", lambda *args: exact(*args).clamp(max=100))
    assert largest_weight_code() == 63
    monkeypatch.setattr(int8_linear, "largest_weight_code", lambda: 63)
    layer, quantised = layer_of(32, 16)
    inputs = torch.randn(4, 32)
    monkeypatch.setattr(int8_linear, "_multiply", exact)
    np.testing.assert_allclose(quantised(inputs).numpy(), by_hand(layer, inputs, 63), atol=0.3)
    assert 2 * 255 * 63 < 2**15


def test_subclasses_and_other_layers_stay():
    class Own(torch.nn.Linear):
        pass

    model = torch.nn.Sequential(Own(4, 4), torch.nn.Embedding(3, 4), torch.nn.Linear(4, 4))
    assert quantize_linear_layers(model) == 1
    assert type(model[0]) is Own
    assert model[2].weight.shape == (4, 4)
