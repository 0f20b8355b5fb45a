"""Pooling against loops over tokens."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch")

from skllmrec._backbone.pooling import POOLINGS, pool  # noqa: E402 - after the skip


def naive(states, pooling, skip_first_token):
    """Pool the states of one text, a list of (position counted from 1, vector)."""
    if not states:
        return None
    if skip_first_token and len(states) > 1:
        states = states[1:]
    vectors = [vector for _, vector in states]
    if pooling == "cls":
        return vectors[0]
    if pooling == "last":
        return vectors[-1]
    if pooling == "max":
        return np.max(vectors, axis=0)
    if pooling == "mean":
        return sum(vectors) / len(vectors)
    total = sum(position for position, _ in states)
    return sum(position * vector for position, vector in states) / total


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("skip_first_token", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_equals_a_loop_over_tokens(pooling, skip_first_token, side, seed):
    rng = np.random.default_rng(seed)
    lengths = [0, 1, 2, 5, 7]
    hidden = rng.standard_normal((5, 7, 3)).astype(np.float32) - 2  # maxima are negative: padding must not win
    mask = np.array([np.arange(7) < n if side == "right" else np.arange(7) >= 7 - n for n in lengths])
    got = pool(torch.from_numpy(hidden), torch.from_numpy(mask), pooling=pooling, skip_first_token=skip_first_token)
    for row, states in enumerate(hidden):
        tokens = list(enumerate(states[mask[row]].astype(float), start=1))
        expected = naive(tokens, pooling, skip_first_token)
        assert_allclose(got[row], np.zeros(3) if expected is None else expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("skip_first_token", [False, True])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_no_mask_means_no_padding(pooling, skip_first_token):
    hidden = torch.randn(4, 6, 3, generator=torch.Generator().manual_seed(0))
    got = pool(hidden, pooling=pooling, skip_first_token=skip_first_token)
    full = pool(hidden, torch.ones(4, 6), pooling=pooling, skip_first_token=skip_first_token)
    assert_allclose(got, full, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_may_hold_anything(pooling):
    hidden = torch.tensor([[[1.0], [2.0], [torch.inf], [torch.nan]], [[3.0], [5.0], [4.0], [1.0]]])
    got = pool(hidden, torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]]), pooling=pooling)
    assert torch.isfinite(got).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype):
    # 4,096 ones: float16 stops counting at 2,048
    hidden = torch.ones(1, 4096, 1, dtype=dtype)
    got = pool(hidden, pooling="mean")
    assert got.dtype == torch.float32
    assert got.item() == 1.0
    assert pool(hidden, torch.ones(1, 4096), pooling="weighted_mean").item() == pytest.approx(1.0)
