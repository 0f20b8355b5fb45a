"""TextCleaner: what each step takes away and what it leaves, one by one and joined."""

import unicodedata

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skllmrec.preprocessing import TextCleaner, TextTemplate, _cleaning

OFF = dict.fromkeys(
    ("html", "entities", "control", "urls", "emails", "ips", "phones", "punctuation", "spaces"), False
) | {"normal_form": None}


def only(**steps):
    """Return a cleaner that takes one step."""
    return TextCleaner(**(OFF | steps))


CASES = {
    "tag between lines": ("html", "one<br/>two</p>", "one two "),
    "tag within a word": ("html", "bread<b>crumb</b>s", "breadcrumbs"),
    "tag with attributes": ("html", '<a href="x?a=1">text</a>', "text"),
    "comment": ("html", "a<!-- b -->c", "a c"),
    "script": ("html", "a<SCRIPT src=x>if (a < b) {}</script>b", "a b"),
    "less than": ("html", "a < b, a<b and c>d, I <3 you", "a < b, a<b and c>d, I <3 you"),
    "no element": ("html", "<Someone> said", "<Someone> said"),
    "entity": ("entities", "Tom &amp; Jerry &#39;40 &eacute;&#x41;", "Tom & Jerry '40 éA"),
    "no entity": ("entities", "AT&T, R&D; a&copy=1", "AT&T, R&D; a&copy=1"),
    "entity of nothing": ("entities", "a&#0;b", "a\ufffdb"),
    "entity of a control character": ("entities", "a&#1;b&#xD800;", "ab\ufffd"),
    "control": ("control", "a\x07b\x7fc\u200bd\ufeffe\u202ef", "a bcdef"),
    "surrogate": ("control", "a\ud800b", "ab"),
    "joiner": (
        "control",
        "👩\u200d🔬 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "👩\u200d🔬 \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    ),
    "line breaks": ("control", "a\tb\r\nc", "a\tb\r\nc"),
    "address": ("urls", "see https://a.example/b?c=d#e. Now WWW.b.example/x, ok", "see  . Now  , ok"),
    "address in Chinese": ("urls", "见https://a.example/b。好", "见 。好"),
    "no address": ("urls", "www and http: are words", "www and http: are words"),
    "mail": ("emails", "ask bob.b+c@mail.example.org!", "ask  !"),
    "no mail": ("emails", "@user a@b 5@noon", "@user a@b 5@noon"),
    "version 4": ("ips", "at 192.168.0.1, 1.2.3.4.", "at  ,  ."),
    "version 6": ("ips", "at fe80::1:2 or 2001:db8:0:0:0:0:0:1.", "at   or  ."),
    "no computer": ("ips", "1.2.3.4.5, 999.1.1.1, 12:30:15, a::b", "1.2.3.4.5, 999.1.1.1, 12:30:15, a::b"),
    "phone": ("phones", "+49 30 1234567, (030) 123 4567, 555-123-4567, 138 1234 5678", " ,  ,  ,  "),
    "few digits": ("phones", "+10 20, +1 2 3, +20 30 40", None),
    "country code": ("phones", "+1 555 0101", " "),
    "no phone": ("phones", "1999-2000, 978-0-306-40615-7, 1234567890, 10 000 000", None),
    "marks": (
        "punctuation",
        "Wow!!!! What??? ---- ...... ... !? 好\uff01\uff01\uff01",
        "Wow! What? - ... ... !? 好\uff01",
    ),
    "full-width marks": ("punctuation", "\u597d\uff01\uff01\u2026\u2026", "\u597d\uff01\u2026"),
    "two dashes": ("punctuation", "a -- b, C++, http://x", "a -- b, C++, http://x"),
    "spaces": ("spaces", "  a \n b\u3000c\u00a0 d\u2003", "a b c d"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_step_takes_its_dirt_and_nothing_else(case):
    step, text, cleaned = CASES[case]
    cleaned = text if cleaned is None else cleaned
    assert only(**{step: True}).transform([text]).tolist() == [cleaned]
    assert only().transform([text]).tolist() == [text]


def test_normal_form():
    text = "cafe\u0301 \ufb01ne \uff2e\uff11"
    for form in ("NFC", "NFKC", "NFD", "NFKD"):
        assert only(normal_form=form).transform([text]).tolist() == [unicodedata.normalize(form, text)]


def test_tags_behind_entities_and_lowercase():
    assert TextCleaner(lowercase=True).transform(["&lt;B&gt;Ärger&lt;/b&gt; &amp;lt; 3"]).tolist() == ["ärger &lt; 3"]


def test_replacement_is_literal():
    assert TextCleaner(replacement=r"[\1]").transform(["a b@c.example d"]).tolist() == [r"a [\1] d"]


def test_replacement_never_is_the_separator():
    cleaned = TextCleaner(replacement="\x00", control=False).transform(["a b@c.example d", "e"])
    assert cleaned.tolist() == ["a \x00 d", "e"]


def one_by_one(text, separator="\x00"):
    """All steps on a single text, whatever its bytes say."""
    for clean, _ in TextCleaner()._steps(separator):
        text = clean(text)
    return text.strip()


SIGNS = "ab <>&;!.?-:@/19\n\t\x00\x01\x1c\x7f\u00a0\u00ad\u0301\u1680\u2003\u200b\u3000\u3002\ufeff\uff01\ud800é好"
WORDS = ["<br>", "<b>", "&lt;", "&#1;", "www.", "http://", "a@b.example", "1.2.3.4", "::1", "+49 ", "1381234567"]
DIRT = st.lists(st.sampled_from([*SIGNS, *WORDS, "<!--", "-->", "   "]), max_size=25)


@settings(max_examples=400, deadline=None)
@given(st.lists(DIRT.map("".join), min_size=1, max_size=6))
def test_joined_equals_one_by_one(texts):
    used = set("".join(texts))
    separator = next(sign for sign in _cleaning.SEPARATORS if sign not in used)
    assert TextCleaner().transform(texts).tolist() == [one_by_one(text, separator) for text in texts]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_any_text(texts):
    cleaned = TextCleaner().transform(texts)
    assert cleaned.shape == (len(texts),)
    for text in cleaned:
        assert text == text.strip()
        assert "  " not in text
        text.encode()


def test_texts_that_use_every_separator():
    text = _cleaning.SEPARATORS + "a!!!"
    assert only(punctuation=True).transform([text, "b??"]).tolist() == [_cleaning.SEPARATORS + "a!", "b?"]
    assert TextCleaner().transform([text, "b??"]).tolist() == ["a!", "b?"]


@pytest.mark.parametrize(
    "part", ["<!--", "<b ", "<b a=", "=", "a@", "http://", "::1:", "+1 ", "<script>", "&#1", "1.", "(1"]
)
def test_long_texts_without_an_end_are_searched_once(part):
    # quadratic time would be hours here
    text = "<b a " + part * 300_000
    assert only(html=True, urls=True, emails=True, ips=True, phones=True).transform([text, "<p>"])[1] == " "


def test_blocks_change_nothing(monkeypatch):
    texts = [f"<p>text {n}</p> !!!" for n in range(50)]
    whole = TextCleaner().transform(texts)
    monkeypatch.setattr("skllmrec.preprocessing._text_cleaner._BLOCK_CHARS", 40)
    assert TextCleaner().transform(texts).tolist() == whole.tolist() == [f"text {n} !" for n in range(50)]


def test_pandas_table_keeps_index_names_and_other_values():
    table = pd.DataFrame({"title": ["A<br>B", None], "year": [1.5, np.nan], "tags": [["x"], "y!!"]}, index=[7, 3])
    cleaned = TextCleaner().fit_transform(table)
    assert isinstance(cleaned, pd.DataFrame)
    assert cleaned.index.tolist() == [7, 3]
    assert cleaned["title"].tolist()[0] == "A B"
    assert pd.isna(cleaned["title"].iloc[1])
    assert cleaned["tags"].tolist() == [["x"], "y!"]
    assert cleaned["year"].dtype == float
    assert table["title"].iloc[0] == "A<br>B"


def test_polars_table_and_arrays():
    cleaned = TextCleaner().fit_transform(pl.DataFrame({"title": ["A<br>B", None], "year": [1, 2]}))
    assert isinstance(cleaned, pl.DataFrame)
    assert cleaned["title"].to_list() == ["A B", None]
    array = np.array([["A!!", None], ["b", 3]], dtype=object)
    assert TextCleaner().transform(array).tolist() == [["A!", None], ["b", 3]]
    for column in (pl.Series(["a!!"]), pd.Series(["a!!"], index=[5]), ("a!!",), np.array(["a!!"])):
        assert TextCleaner().transform(column).tolist() == ["a!"]


def test_in_a_pipeline_before_and_after_the_template():
    table = pd.DataFrame({"title": ["Toy&nbsp;Story", "Heat"], "plot": ["<p>a toy</p>", None]})
    texts = {"Toy Story. a toy", "Heat"}
    template = TextTemplate("{title}. {plot}")
    for steps in ((TextCleaner(), template), (template, TextCleaner())):
        assert set(make_pipeline(*steps).fit_transform(table)) == texts
    tfidf = make_pipeline(template, clone(TextCleaner()), TfidfVectorizer()).fit(table)
    assert sorted(tfidf[-1].vocabulary_) == ["heat", "story", "toy"]


def test_pipeline_may_set_the_output():
    pipeline = make_pipeline(TextTemplate("{0}"), TextCleaner()).set_output(transform="pandas")
    assert pipeline.fit_transform(np.array([["a!!"]], dtype=object)).tolist() == ["a!"]


@pytest.mark.parametrize(
    ("texts", "error", "says"),
    [
        ("one", TypeError, "one text per row"),
        (sparse.csr_matrix((2, 2)), TypeError, "csr_matrix"),
        (["a", None], TypeError, "position 1 is None"),
        ([b"a"], TypeError, r"position 0 is b'a' \(bytes\)"),
        (np.zeros((1, 1, 1)), ValueError, r"shape \(1, 1, 1\)"),
    ],
    ids=["str", "sparse", "missing", "bytes", "dimensions"],
)
def test_bad_input(texts, error, says):
    with pytest.raises(error, match=says):
        TextCleaner().transform(texts)


def test_bad_parameters():
    for wrong in ({"normal_form": "nfc"}, {"html": "yes"}, {"replacement": None}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            TextCleaner(**wrong).transform(["a"])
    assert TextCleaner().transform([]).tolist() == []


def test_columns_whose_names_are_numbers():
    frame = pd.DataFrame({0: ["<b>a</b>"], 1: ["b"]})
    cleaned = TextCleaner().fit_transform(frame)
    assert cleaned.to_dict("list") == {0: ["a"], 1: ["b"]}
    assert frame.loc[0, 0] == "<b>a</b>"  # what came in stays


NAMES = [
    *("1.2.3.4", "1.2.3.4 (Live)", "Album 1.2.3.4", "macOS 10.4.1.2", "99.99.99.99", "::1", "7.62.39"),
    *("Blink-182", "(500) Days of Summer", "9.99", "3.11", "U2", "deadmau5", "1984", "2001: A Space Odyssey", "$9.99"),
    *("will.i.am", "f.e.a.r", "S.H.I.E.L.D.", "M.I.A.", "t.A.T.u.", "$uicideboy$", "A$AP Rocky", "P!nk", "AC/DC"),
    *("!!!", "***", "???", "K-On!", "Re::Zero", "std::vector", "C++", "<3", "M@D", "*NSYNC", "4'33\""),
    *("ISBN 978-0-306-40615-7", "0-306-40615-2", "978-030-640-6157", "9780306406157", "2024-01-31", "11/22/63"),
    *("15000000000", "13812345678", "+10000000 plays", "+1250000", "1 000 000 000", "30.000.000", "100-200-3000"),
    *("1999-2000", "Best of (1999) 2000-2005", "(1995) 1996 1998", "(12) 2001-2002", "Toy Story (1995) 100 200"),
    *("1-800-273-8255", "867-5309/Jenny", "+44", "+1 2 3 4 5 6 7", "www.youtube.com", "12:30:15"),
]


@pytest.mark.parametrize("name", NAMES)
def test_names_and_plain_numbers_stay(name):
    assert TextCleaner().transform([name, "other"]).tolist() == [name, "other"]


def test_an_address_alone_is_a_name_unless_the_replacement_is_visible():
    texts = ["1.2.3.4", "see 1.2.3.4", "www.a.example", "see www.a.example", "555-123-4567", "call 555-123-4567"]
    assert TextCleaner(ips=True).transform(texts).tolist() == [
        *("1.2.3.4", "see", "www.a.example", "see", "555-123-4567", "call")
    ]
    replaced = TextCleaner(ips=True, replacement="#").transform(texts).tolist()
    assert replaced == ["#", "see #", "#", "see #", "#", "call #"]


@pytest.mark.parametrize("text", ["+49 30 1234567", "+1 (555) 123-4567", "+4930123456", "bob@mail.example"])
def test_private_data_alone_is_removed(text):
    assert TextCleaner().transform([text]).tolist() == [""]


@pytest.mark.parametrize(
    "number",
    [
        *(
            "1-800-273-8255",
            "(030) 123 4567",
            "(020) 7946 0958",
            "(11) 3123-4567",
            "(555) 123-4567",
            "+33 1 23 45 67 89",
        ),
        *("+49 (0)30 1234567", "+447911123456", "+86 138 1234 5678", "138-1234-5678"),
    ],
)
def test_telephone_numbers_in_a_text(number):
    assert TextCleaner(replacement="#").transform([f"call {number} now"]).tolist() == ["call # now"]


def test_chinese_mobile_number_without_spaces_needs_a_word_before_it():
    texts = ["\u624b\u673a13812345678\u597d", "\u7535\u8bdd\uff1a13812345678", "\u7968\u623f15000000000\u5143"]
    assert TextCleaner(replacement="#").transform(texts).tolist() == [
        "\u624b\u673a#\u597d",
        "\u7535\u8bdd\uff1a#",
        "\u7968\u623f15000000000\u5143",
    ]


def test_numbers_keep_their_type():
    numbers = np.array([[1, 2**60 + 1]])
    cleaned = TextCleaner().fit_transform(numbers)
    assert cleaned.dtype == numbers.dtype
    assert cleaned.tolist() == numbers.tolist()
    rows = [[2**60 + 1, 0.5]]  # as an array of floats the id would be rounded
    assert TextCleaner().fit_transform(rows).tolist() == rows
    with pytest.raises(ValueError, match=r"one dimension of numbers .*astype\(str\)"):
        TextCleaner().transform(np.array([1.5, 2.5]))
    assert TextCleaner().fit_transform(iter(["a!!"])).tolist() == ["a!"]


def test_fit_checks_columns_of_arrays_only():
    cleaner = TextCleaner().fit(pd.DataFrame({"title": ["a"], "plot": ["b"]}))
    assert cleaner.feature_names_in_.tolist() == ["title", "plot"]
    assert cleaner.transform(pd.DataFrame({"title": ["a!!"]}))["title"].tolist() == ["a!"]
    with pytest.raises(ValueError, match="X has 1 features, but TextCleaner is expecting 2 features"):
        cleaner.transform(np.array([["a"]], dtype=object))
    assert not hasattr(cleaner.fit(["a"]), "n_features_in_")
