"""Packed linear layers against the layers they replace."""

import copy

import pytest
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch")

from skllmrec._backbone.layers.packed_linear import can_pack, pack_linear_layers  # noqa: E402 - after the skip

pytestmark = pytest.mark.skipif(not can_pack(), reason="this build of torch has no oneDNN")


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 24), (7, 24), (2, 5, 24), (3, 400, 24), (0, 24)])
def test_equals_the_plain_layer(shape, bias):
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Linear(24, 40, bias=bias), torch.nn.GELU(), torch.nn.Linear(40, 9, bias=bias))
    packed = copy.deepcopy(plain)
    assert pack_linear_layers(packed) == 2
    inputs = torch.randn(*shape)
    with torch.inference_mode():
        assert_allclose(packed(inputs), plain(inputs), rtol=1e-5, atol=1e-6)
        turned = inputs.transpose(0, -1).contiguous().transpose(0, -1)  # not contiguous
        assert_allclose(packed(turned), plain(turned), rtol=1e-5, atol=1e-6)


def test_weights_keep_shape_and_dtype_but_take_no_memory():
    layer = torch.nn.Sequential(torch.nn.Linear(24, 40))
    pack_linear_layers(layer)
    weight = layer[0].weight
    assert (weight.shape, weight.dtype, weight.device.type) == ((40, 24), torch.float32, "meta")


def test_subclasses_are_left_alone():
    class Own(torch.nn.Linear):
        pass

    assert pack_linear_layers(torch.nn.Sequential(Own(3, 3))) == 0
