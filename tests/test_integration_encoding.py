"""How often texts go through the language model; recommenders with one in a file of skops."""

import numpy as np
import pandas as pd
import pytest
import skops.io
from integration_data import N_ITEMS, llm, make_frame, make_recommender
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV

from skllmrec import _backbone
from skllmrec.base import FeatureTable
from skllmrec.encoders import EmbeddingStore, LLMTextEncoder
from skllmrec.recommenders import FeatureMFRecommender

FRAME, Y = make_frame()


@pytest.fixture
def encoded(monkeypatch):
    """Texts that went through a language model in this process, in order."""
    texts, start = [], _backbone.EncodingJob.__init__

    def watch(self, weights, given, **options):
        texts.extend(given)
        start(self, weights, given, **options)

    monkeypatch.setattr(_backbone.EncodingJob, "__init__", watch)
    return texts


def test_each_item_once_in_fit_and_never_again(tiny_bert, encoded):
    model = make_recommender(llm(tiny_bert)).fit(FRAME, Y)
    assert len(encoded) == len(set(encoded)) == N_ITEMS
    encoded.clear()
    model.predict(FRAME)
    model.recommend(FRAME["user_id"].unique(), n_items=3)
    model.recommend(FRAME[:3], n_items=3, candidates=FRAME)
    model.similar_items([1, 2], n_items=3)
    model.transform(FRAME)
    model.partial_fit(FRAME[:5], Y[:5])
    assert encoded == [], "known items were encoded again"
    model.predict(FRAME.assign(item_id=FRAME["item_id"].where(FRAME["item_id"] > 1, 77)))
    assert len(encoded) == 1, "one new item, one text"


def test_catalogue_is_encoded_once(tiny_bert, encoded):
    items = FRAME.drop_duplicates("item_id")[["item_id", "title", "genre"]]
    cold = items.assign(item_id=items["item_id"] + 50, title=items["title"] + " again")
    table = FeatureTable(pd.concat([items, cold]), key="item_id")
    model = make_recommender(llm(tiny_bert)).fit(FRAME, Y, item_table=table)
    assert len(encoded) == len(set(encoded)) == 2 * N_ITEMS
    encoded.clear()
    model.recommend(FRAME["user_id"][:3], n_items=30)
    assert encoded == []


def test_million_rows_cost_the_texts_of_their_items(tiny_bert, encoded):
    n_rows, n_users, n_items = 1_000_000, 5_000, 2_000
    rng = np.random.default_rng(0)
    items = np.append(rng.integers(n_items, size=n_rows - n_items), np.arange(n_items))
    titles = np.array([f"film {item}" for item in range(n_items)], dtype=object)
    frame = pd.DataFrame({"user": rng.integers(n_users, size=n_rows), "item": items, "title": titles[items]})
    model = FeatureMFRecommender(
        2,
        user="user",
        item="item",
        item_features="title",
        item_encoder=LLMTextEncoder(tiny_bert),
        feedback="implicit",
        max_iter=1,
        random_state=0,
    )
    model.fit(frame)
    assert len(encoded) == n_items
    encoded.clear()
    assert np.isfinite(model.predict(frame)).all()
    assert encoded == []


def test_each_text_once_over_folds_candidates_and_workers(tiny_bert, tmp_path):
    store = EmbeddingStore(tmp_path)
    search = GridSearchCV(
        make_recommender(llm(tiny_bert, memory=store)),
        {"item_encoder__llmtextencoder__pooling": ["mean", "max"], "n_components": [2, 3, 4]},
        cv=3,
        n_jobs=2,
        error_score="raise",
    ).fit(FRAME, Y)
    stats = store.stats()
    assert stats["encoded"] == stats["texts"] == 2 * N_ITEMS, "2 encodings of every item, over 19 fits"
    assert np.isfinite(search.best_score_)


def test_store_changes_nothing(tiny_bert, tmp_path):
    plain = make_recommender(llm(tiny_bert)).fit(FRAME, Y)
    stored = [make_recommender(llm(tiny_bert, memory=tmp_path)).fit(FRAME, Y) for _ in range(2)]
    for model in stored:
        assert_allclose(model.predict(FRAME), plain.predict(FRAME), rtol=1e-4)


@pytest.mark.parametrize("feedback", ["explicit", "implicit"])
def test_skops_file(tiny_bert, tmp_path, feedback):
    frame = FRAME.assign(user_id="u" + FRAME["user_id"].astype(str))  # ids of both kinds
    y = Y if feedback == "explicit" else (Y >= 4).astype(float)
    model = make_recommender(llm(str(tiny_bert)), feedback=feedback).fit(frame, y)
    skops.io.dump(model, tmp_path / "model.skops")
    types = skops.io.get_untrusted_types(file=tmp_path / "model.skops")
    foreign = [name for name in types if not name.startswith("skllmrec.")]
    assert foreign == ["scipy.sparse._csr.csr_matrix"], "beside our own, only seen_ needs to be trusted"
    loaded = skops.io.load(tmp_path / "model.skops", trusted=types)
    assert_array_equal(loaded.predict(frame), model.predict(frame))
    for mine, its in zip(loaded.recommend(frame[:4], n_items=3), model.recommend(frame[:4], n_items=3), strict=True):
        assert_array_equal(mine, its)
    new = frame[:3].assign(item_id=[70, 71, 72])
    assert_allclose(loaded.predict(new), model.predict(new))
    assert loaded.get_params()["item_encoder__llmtextencoder__model"] == str(tiny_bert)
