"""Models whose positions begin after the padding token, as RoBERTa's: a table of 514 rows reads 512 tokens."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from tiny_models import HIDDEN, SENTENCES

from skllmrec import LLMTextEncoder

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
ROWS = 34  # of the table of positions, the first two of which no token has


@pytest.fixture(scope="module")
def tiny_roberta(tmp_path_factory):
    """Directory of a two-layer RoBERTa whose tokenizer knows no limit."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

    folder = tmp_path_factory.mktemp("tiny-roberta")
    trained = Tokenizer(models.BPE(unk_token="<unk>"))  # noqa: S106 - a word, no password
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL))
    trained.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    names = dict(zip(("bos_token", "pad_token", "eos_token", "unk_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=trained, **names).save_pretrained(folder)
    config = RobertaConfig(
        hidden_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        pad_token_id=1,
        vocab_size=trained.get_vocab_size(),
        max_position_embeddings=ROWS,
        initializer_range=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        RobertaModel(config).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("max_length", [None, 256])
def test_long_texts_are_cut_where_the_positions_end(tiny_roberta, max_length):
    import torch
    from transformers import AutoModel, AutoTokenizer

    texts = [" ".join(SENTENCES), *SENTENCES]
    encoder = LLMTextEncoder(tiny_roberta, max_length=max_length).fit(texts)
    assert encoder.max_length_ == ROWS - 2
    tokenizer, model = AutoTokenizer.from_pretrained(tiny_roberta), AutoModel.from_pretrained(tiny_roberta).eval()
    lengths, expected = [], []
    for text in texts:
        tokens = tokenizer(text, return_tensors="pt", truncation=True, max_length=ROWS - 2)["input_ids"]
        with torch.no_grad():
            expected.append(model(input_ids=tokens).last_hidden_state[0].mean(dim=0).numpy())
        lengths.append(tokens.shape[1])
    assert max(lengths) == ROWS - 2 > min(lengths)  # and some texts are padded
    assert_allclose(encoder.transform(texts), np.array(expected), rtol=1e-4, atol=1e-5)


def test_windows_of_long_texts(tiny_roberta):
    vectors = LLMTextEncoder(tiny_roberta, max_length=None, overflow="mean").fit_transform([" ".join(SENTENCES)])
    assert np.isfinite(vectors).all()
