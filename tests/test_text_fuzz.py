"""Any text at all through template, encoder and store: a finite vector of its own, or an error that says where."""
# ruff: noqa: RUF001 - full-width, right-to-left and typographic characters are the subject

import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from skllmrec import EmbeddingStore, LLMTextEncoder
from skllmrec.preprocessing import TextTemplate

LANGUAGES = {
    "Afrikaans": "Die skip kom eers teen die aand terug.",
    "Albanian": "Anija kthehet vetëm në mbrëmje.",
    "Amharic": "መርከቡ የሚመለሰው ማታ ነው።",
    "Arabic": "لا تعود السفينة إلا في المساء.",
    "Armenian": "Նավը վերադառնում է միայն երեկոյան։",
    "Bengali": "জাহাজটি সন্ধ্যায় ফিরে আসে।",
    "Bulgarian": "Корабът се връща чак вечерта.",
    "Burmese": "သင်္ဘောသည် ညနေမှ ပြန်လာသည်။",
    "Chinese": "那艘船傍晚才回来。",
    "Croatian": "Brod se vraća tek navečer.",
    "Czech": "Loď se vrací až večer.",
    "Dutch": "Het schip komt pas ’s avonds terug.",
    "English": "The ship comes back only in the evening.",
    "Estonian": "Laev tuleb tagasi alles õhtul.",
    "Finnish": "Laiva palaa vasta illalla.",
    "French": "Le bateau ne rentre qu’à la nuit tombée.",
    "Georgian": "გემი მხოლოდ საღამოს ბრუნდება.",
    "German": "Das Schiff kehrt erst am Abend zurück.",
    "Greek": "Το πλοίο γυρίζει μόνο το βράδυ.",
    "Hebrew": "הספינה חוזרת רק בערב.",
    "Hindi": "जहाज़ शाम को ही लौटता है।",
    "Hungarian": "A hajó csak este tér vissza.",
    "Icelandic": "Skipið kemur ekki aftur fyrr en um kvöldið.",
    "Indonesian": "Kapal itu baru kembali pada malam hari.",
    "Italian": "La nave torna soltanto di sera.",
    "Japanese": "その船は夕方になってやっと戻ってくる。",
    "Khmer": "កប៉ាល់ត្រឡប់មកវិញនៅពេលល្ងាច។",
    "Korean": "그 배는 저녁이 되어서야 돌아온다.",
    "Persian": "کشتی تازه شب برمی‌گردد.",
    "Polish": "Statek wraca dopiero wieczorem.",
    "Portuguese": "O navio só volta ao anoitecer.",
    "Romanian": "Vaporul se întoarce abia seara.",
    "Russian": "Корабль вернётся только вечером.",
    "Spanish": "El barco no vuelve hasta la noche.",
    "Swahili": "Meli hurudi jioni tu.",
    "Swedish": "Båten kommer tillbaka först på kvällen.",
    "Tamil": "கப்பல் மாலையில்தான் திரும்புகிறது.",
    "Thai": "เรือกลับมาตอนเย็นเท่านั้น",
    "Turkish": "Gemi ancak akşam geri döner.",
    "Ukrainian": "Корабель повернеться лише ввечері.",
    "Urdu": "جہاز شام ہی کو لوٹتا ہے۔",
    "Vietnamese": "Con tàu chỉ trở về vào buổi tối.",
}
ODDITIES = {
    "empty": "",
    "white space": " \t\n\r\x0b\x0c\x85\xa0\u2028\u3000",
    "NUL": "a\x00b\x00",
    "only NUL": "\x00",
    "controls": "".join(map(chr, range(1, 32))) + "\x7f\x9f",
    "family of emoji": "👩‍👩‍👧‍👦 and 🏳️‍🌈, 👍🏽",
    "flags": "🇩🇪🇯🇵🇿",
    "combining": "e\u0301 n\u0303 " + "o" + "\u0308" * 50,
    "composed": "é ñ ö",
    "right to left": "\u202eabc\u202c \u200fשלום\u200e",
    "zero width": "zero\u200bwidth\u200c\u200d\u2060\ufeff",
    "ligatures": "ﬁlm ﷺ Ⅷ ½ ﬄ",
    "full width": "ＦＩＬＭ　１２３",
    "beyond the first plane": "𝔉𝔦𝔩𝔪 𐍈 𠜎",
    "not characters": "\ufffe\uffff\U0010ffff",
    "private use": "\ue000\uf8ff",
    "special tokens": "[PAD] [MASK] [CLS] [SEP] <|end|> <s> </s> ##ing",
    "html": "<p>R&amp;B <!-- x --></p>",
    "one long word": "x" * 5000,
}
SURROGATES = st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF)
PIECES = st.sampled_from([*ODDITIES.values(), *list(LANGUAGES.values())[::8]])
TEXTS = st.lists(st.one_of(st.text(max_size=20), PIECES), max_size=6).map("".join)
fuzz = settings(deadline=None, derandomize=True, database=None)
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.fixture(scope="module", params=["tiny_bert", "tiny_llama"])
def model(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def pipeline(model):
    with tempfile.TemporaryDirectory() as folder:
        yield make_pipeline(TextTemplate("{0}"), LLMTextEncoder(model, memory=EmbeddingStore(folder)))


def assert_sound(encoder, texts):
    """All that a vector has to be, whatever the text."""
    vectors = encoder.fit_transform(texts)
    assert vectors.shape == (len(texts), 16)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert_array_equal(encoder.transform(texts), vectors)
    assert_array_equal(encoder.transform(texts[::-1]), vectors[::-1])
    for text, vector in zip(texts, vectors, strict=True):
        assert_array_equal(vectors[texts.index(text)], vector)  # of the first that is the same
    return vectors


@settings(fuzz, max_examples=12)
@given(texts=st.lists(TEXTS, min_size=1, max_size=8), data=st.data())
def test_any_texts(pipeline, texts, data):
    vectors = assert_sound(pipeline, texts)
    alone, rendered = clone(pipeline[-1]).set_params(memory=None).fit(texts), pipeline[0].transform(texts)
    assert_allclose(alone.transform(iter(rendered)), vectors, **TOLERANCE)
    place = data.draw(st.integers(0, len(texts) - 1))
    assert_allclose(alone.transform([rendered[place]])[0], vectors[place], **TOLERANCE)


@settings(fuzz, max_examples=20)
@given(texts=st.lists(TEXTS, max_size=5), before=st.text(max_size=3), bad=SURROGATES, data=st.data())
def test_lone_surrogates_are_named(pipeline, texts, before, bad, data):
    place = data.draw(st.integers(0, len(texts)))
    texts = [*texts[:place], before + bad, *texts[place:]]
    for call in (pipeline.fit, pipeline.fit_transform):
        with pytest.raises(ValueError, match=f"text at position {place}, .* is not valid Unicode"):
            call(texts)


@settings(fuzz, max_examples=30)
@given(
    column=st.lists(
        st.one_of(TEXTS, st.none(), st.floats(), st.integers(), st.binary(max_size=5), st.text(SURROGATES, max_size=2)),
        max_size=6,
    )
)
def test_any_column_is_encoded_or_an_error_that_says_where(model, column):
    encoder = LLMTextEncoder(model).fit(["a"])
    wrong = [place for place, value in enumerate(column) if not isinstance(value, str)]
    wrong = wrong or [place for place, value in enumerate(column) if any(0xD800 <= ord(c) <= 0xDFFF for c in value)]
    if column and not wrong:
        assert np.isfinite(encoder.transform(column)).all()
        return
    expected = rf"position {wrong[0]}\b" if wrong else "minimum of 1"
    for make in (list, tuple, lambda values: np.fromiter(values, dtype=object)):
        with pytest.raises(ValueError, match=expected):
            encoder.transform(make(column))


@pytest.mark.parametrize("texts", [ODDITIES, LANGUAGES], ids=["oddities", "languages"])
def test_chosen_texts(model, texts, tmp_path):
    assert len(LANGUAGES) >= 40
    texts = list(texts.values())
    vectors = assert_sound(LLMTextEncoder(model, memory=tmp_path), texts)
    plain = LLMTextEncoder(model).fit(texts)
    for place in range(0, len(texts), 4):
        assert_allclose(plain.transform(texts[place : place + 1])[0], vectors[place], **TOLERANCE)


def test_every_language_has_vectors_of_its_own(tiny_llama):
    vectors = LLMTextEncoder(tiny_llama).fit_transform(list(LANGUAGES.values()))  # bytes: nothing is unknown
    assert len(np.unique(vectors.round(4), axis=0)) == len(LANGUAGES)


@pytest.mark.parametrize("unit", ["a film about the sea ", "x電\x00e\u0301👩‍👩‍👧‍👦"], ids=["words", "no spaces"])
def test_text_of_a_megabyte(model, unit, tmp_path):
    long = unit * (1_000_000 // len(unit.encode()))
    texts = [long, "short", ""]
    encoder = LLMTextEncoder(model, memory=tmp_path / "store")
    vectors = assert_sound(encoder, texts)
    assert_array_equal(encoder.transform(texts, out=tmp_path / "vectors.npy"), vectors)
    assert len(np.unique(vectors, axis=0)) == 3


def test_what_does_not_fit_is_cut_off(model):
    words = "a film about the sea " * 1000
    vectors = LLMTextEncoder(model).fit_transform([words, words + "and more"])
    assert_allclose(vectors[0], vectors[1], **TOLERANCE)
