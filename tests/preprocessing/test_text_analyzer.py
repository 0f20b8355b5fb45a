"""TextAnalyzer: scikit-learn's tokens on Latin text, sensible ones on every other script."""
# ruff: noqa: RUF001 - full-width and typographic characters are the subject

import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skllmrec.preprocessing import TextAnalyzer, _text_analyzer

LATIN = [
    "Toy Story (1995)",
    "L'Âge d'or — Buñuel's 2nd film!",
    "Ærøskøbing & Łódź, naïve café",
    "Hollywood’s “best” films… 50 %",
    "Война и мир; Ζορμπάς, İstanbul",
    "a I x 7",
    "",
    "snake_case foo_bar2",
]


def reloaded(obj):
    return pickle.loads(pickle.dumps(obj))  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lowercase": False},
        {"ngram_range": (1, 2)},
        {"strip_accents": "unicode"},
        {"stop_words": "english"},
        {"stop_words": ["film", "story"], "ngram_range": (2, 3)},
    ],
    ids=str,
)
def test_default_tokens_on_latin_text(options):
    default = TfidfVectorizer(**options).build_analyzer()
    ours = TextAnalyzer(**options)
    for text in LATIN:
        assert ours(text) == default(text)
    if not options:
        same = TfidfVectorizer(analyzer=ours).fit_transform(LATIN) - TfidfVectorizer().fit_transform(LATIN)
        assert same.nnz == 0


@given(st.text(st.characters(max_codepoint=0x2FF)))
def test_default_tokens_on_any_latin_text(text):
    assert TextAnalyzer()(text) == TfidfVectorizer().build_analyzer()(text)


@given(st.text())
def test_any_text_gives_tokens_without_spaces(text):
    assert all(token and not token.isspace() for token in TextAnalyzer()(text))


@pytest.mark.realdata
def test_default_tokens_on_real_titles(data_folder):
    pd = pytest.importorskip("pandas")
    default, ours = TfidfVectorizer().build_analyzer(), TextAnalyzer()
    for name in ("ml_latest_small", "lastfm_hetrec", "book_crossing"):
        titles = pd.read_parquet(data_folder / name / "items.parquet")["title"].dropna()
        assert len(titles) > 5000
        assert [title for title in titles if ours(title) != default(title)] == []


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("战争片", ["战争", "争片"]),
        ("爱", ["爱"]),
        ("爱，死亡", ["爱", "死亡"]),
        ("流浪地球2 (2019)", ["流浪", "浪地", "地球", "2019"]),
        ("Love爱情film", ["love", "爱情", "film"]),
        ("T恤", ["恤"]),
        ("東京タワー・愛", ["東京", "京タ", "タワ", "ワー", "愛"]),
        ("時々〇", ["時々", "々〇"]),
        ("𠮷野家", ["𠮷野", "野家"]),
        ("ﾊﾟﾋﾟ", ["パピ"]),  # half-width, two characters a syllable
        ("ＤＶＤ", ["dvd"]),
        ("葛\U000e0100城", ["葛城"]),  # variation selector
        ("한국어 영화", ["한국", "국어", "영화"]),
        ("\u1112\u1161\u11ab\u1100\u116e\u11a8", ["한국"]),  # decomposed
        ("か\u3099き", ["がき"]),
        ("ไทยง่าย", ["ไท", "ทย", "ยง่", "ง่า", "าย"]),
        ("ខ្មែរ", ["ខ្មែ", "មែរ"]),
        ("ລາວ", ["ລາ", "າວ"]),
        ("हिन्दी फ़िल्म", ["हिन्दी", "फ\u093cिल्म"]),
        ("cafe\u0301 x\u0301y", ["café", "x\u0301y"]),
    ],
)
def test_tokens_of_other_scripts(text, tokens):
    assert TextAnalyzer()(text) == tokens


def test_options_hold_for_every_script():
    assert TextAnalyzer(ngram_range=(1, 2))("战争片 war") == ["战争", "争片", "war", "战争 争片", "争片 war"]
    assert TextAnalyzer(stop_words=["战争"])("战争片") == ["争片"]
    assert TextAnalyzer(lowercase=False)("爱 Love") == ["爱", "Love"]
    assert TextAnalyzer(strip_accents="unicode")("爱 café 한국") == ["爱", "cafe", "한국"]


def test_texts_on_one_subject_are_similar_at_last():
    texts = ["太空战争的故事", "关于战争与太空", "温馨的爱情喜剧", "爱情喜剧故事集"]
    similarity = TfidfVectorizer(analyzer=TextAnalyzer()).fit_transform(texts)
    similarity = (similarity @ similarity.T).toarray()
    assert similarity[0, 1] > similarity[0, 2] and similarity[2, 3] > similarity[1, 3]
    default = TfidfVectorizer().fit_transform(texts)
    assert np.allclose((default @ default.T).toarray(), np.eye(4))


def test_equality_repr_clone_pickle():
    analyzer = TextAnalyzer("auto", ngram_range=(1, 2))
    analyzer("战争")
    assert analyzer == clone(analyzer) == reloaded(analyzer) != TextAnalyzer()
    assert hash(analyzer) == hash(clone(analyzer))
    assert repr(analyzer) == "TextAnalyzer(cjk='auto', ngram_range=(1, 2))"
    assert reloaded(analyzer)("战争片") == analyzer("战争片")
    analyzer.set_params(cjk="bigram", ngram_range=(1, 1))
    assert analyzer("战争片") == ["战争", "争片"]
    tfidf = clone(TfidfVectorizer(analyzer=TextAnalyzer())).fit(["战争片"])
    assert reloaded(tfidf).get_feature_names_out().tolist() == ["争片", "战争"]


def test_searched_over():
    pytest.importorskip("jieba")
    texts, y = ["战争片很好", "爱情片很好", "关于战争", "关于爱情"] * 3, [0, 1, 0, 1] * 3
    pipeline = make_pipeline(TfidfVectorizer(analyzer=TextAnalyzer()), LogisticRegression())
    search = GridSearchCV(pipeline, {"tfidfvectorizer__analyzer__cjk": ["bigram", "jieba"]}, cv=3).fit(texts, y)
    assert search.best_score_ == 1.0


def test_jieba_words():
    pytest.importorskip("jieba")
    analyzer = TextAnalyzer("jieba")
    assert analyzer("我爱北京清华大学") == ["我", "爱", "北京", "清华大学"]
    assert analyzer("東京タワー") == ["東京", "京タ", "タワ", "ワー"]  # Japanese, not for jieba
    assert TextAnalyzer("auto")("清华大学") == ["清华大学"]


def test_jieba_is_silent_and_keeps_its_cache_in_the_data_home(tmp_path):
    pytest.importorskip("jieba")
    code = 'from skllmrec.preprocessing import TextAnalyzer; print(TextAnalyzer("jieba")("清华大学"))'
    environment = {"SKLLMREC_DATA_HOME": str(tmp_path / "home"), "PYTHONIOENCODING": "utf-8", "TMPDIR": str(tmp_path)}
    for _ in range(2):
        command = [sys.executable, "-W", "error", "-c", code]
        done = subprocess.run(command, capture_output=True, check=True, env=environment, encoding="utf-8")
        assert done.stdout == "['清华大学']\n" and done.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert [path.name for path in (tmp_path / "home").glob("jieba-*/*")] == ["jieba.cache"]


def test_without_jieba(monkeypatch):
    pytest.importorskip("jieba")
    trained = TextAnalyzer("auto")
    assert trained("清华大学") == ["清华大学"]
    trained = pickle.dumps(trained)

    _text_analyzer._jieba.cache_clear()
    monkeypatch.setitem(sys.modules, "jieba", None)
    monkeypatch.setattr(_text_analyzer, "find_spec", lambda name: None)
    assert TextAnalyzer("auto")("清华大学") == ["清华", "华大", "大学"]
    with pytest.raises(ImportError, match=r"skllmrec\[cjk\]"):
        TextAnalyzer("jieba")("清华大学")
    with pytest.raises(ImportError, match=r"skllmrec\[cjk\]"):  # not other tokens than it was trained on
        pickle.loads(trained)("清华大学")  # noqa: S301 - our own bytes


def test_errors():
    with pytest.raises(ValueError, match="cjk must be"):
        TextAnalyzer("words")("text")
    with pytest.raises(TypeError, match="takes a str, got 3"):
        TextAnalyzer()(3)
