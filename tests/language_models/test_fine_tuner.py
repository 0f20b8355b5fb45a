"""LLMFineTuner: it learns, never loses, keeps no weights, and says what is wrong."""

import pickle
import shutil

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from safetensors.numpy import load_file
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from tiny_models import SENTENCES, change_weights, save_bert
from tuning_data import make_catalogue

from skllmrec import (
    EmbeddingWhitener,
    FeatureMFRecommender,
    LLMFineTuner,
    LLMTextEncoder,
    PerUserKFold,
    TextAugmenter,
    TextTemplate,
    _backbone,
    make_ranking_scorer,
)
from skllmrec.exceptions import ModelNotFoundError
from skllmrec.testing import check_encoder

FAST = {"learning_rate_init": 3e-3, "max_iter": 2, "random_state": 0, "device": "cpu", "dtype": "float32"}
OBJECTIVES = ("contrastive", "factors", "interactions", "multitask")


def frozen_vectors(model, texts, **params):
    return LLMTextEncoder(model, max_length=48, normalize=True, device="cpu", **params).fit_transform(texts)


def assert_same_vectors(vectors, others):
    assert_allclose(vectors, others, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("params", [{}, {"early_stopping": False, "n_components": 3, "trainable": 1}])
def test_contract(params, tiny_bert, tmp_path):
    tuner = LLMFineTuner(tiny_bert, checkpoint_dir=tmp_path / "tuned", memory=tmp_path / "store", **FAST)
    assert "failed" not in check_encoder(tuner.set_params(max_iter=1, **params)).values()


# -- learning -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_auto_learns_which_words_matter(teachable_bert, seed):
    texts, liked, kinds = make_catalogue(300, seed=seed)
    new, _, new_kinds = make_catalogue(300, seed=seed + 100)
    params = FAST | {"max_iter": 6, "random_state": seed, "trainable": "all"}
    tuner = LLMFineTuner(teachable_bert, **params).fit(texts, liked)
    assert tuner.improved_ is True and tuner.objective_ in ("contrastive", "factors")
    assert {record["objective"] for record in tuner.history_} == {"contrastive", "factors"}
    best = max(tuner.history_, key=lambda record: record["score"])
    assert best["objective"] == tuner.objective_ and best["epoch"] > 0

    def accuracy(encode):
        return LogisticRegression(C=10, max_iter=2000).fit(encode(texts), kinds).score(encode(new), new_kinds)

    frozen = LLMTextEncoder(teachable_bert, max_length=48, normalize=True, device="cpu").fit(texts)
    assert accuracy(tuner.transform) > accuracy(frozen.transform) + 0.08


def test_nothing_to_learn_leaves_the_model_as_it_was(tiny_bert, model_cache):
    texts, liked, _ = make_catalogue()
    shuffled = liked[np.random.default_rng(0).permutation(liked.shape[0])]
    tuner = LLMFineTuner(tiny_bert, **FAST | {"learning_rate_init": 1e-9})
    vectors = tuner.fit_transform(texts, shuffled)
    assert tuner.improved_ is False and tuner.objective_ is None
    assert_same_vectors(vectors, frozen_vectors(tiny_bert, texts))
    assert not model_cache.exists(), "the weights of the model are not copied"


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_objectives_fall(objective, teachable_bert):
    texts, liked, _ = make_catalogue()
    tuner = LLMFineTuner(
        teachable_bert, objective=objective, **FAST | {"max_iter": 5}, trainable="all", n_iter_no_change=None
    )
    tuner.fit(texts, liked)
    losses = [record["loss"] for record in tuner.history_[1:]]
    assert losses[-1] < losses[0] and len(losses) == 5
    assert {record["objective"] for record in tuner.history_} == {objective}
    assert "loss" not in tuner.history_[0] and all("score" in record for record in tuner.history_)


@pytest.mark.parametrize(
    ("kind", "objective"), [("labels", "classification"), ("numbers", "regression"), ("matrix", "regression")]
)
def test_other_targets(kind, objective, teachable_bert):
    texts, _, kinds = make_catalogue()
    y = {
        "labels": np.array(["one kind", "the other"])[kinds],
        "numbers": kinds + 0.1 * np.random.default_rng(0).normal(size=len(kinds)),
        "matrix": kinds[:, None] * [1.0, -2.0, 0.5] + 0.1 * np.random.default_rng(0).normal(size=(len(kinds), 3)),
    }[kind]
    tuner = LLMFineTuner(teachable_bert, **FAST | {"max_iter": 6}, trainable="all").fit(texts, y)
    assert {record["objective"] for record in tuner.history_} == {objective}
    losses = [record["loss"] for record in tuner.history_[1:]]
    assert losses[-1] < losses[0]
    if kind == "matrix":
        tuner = LLMFineTuner(teachable_bert, objective="factors", **FAST).fit(texts, y)
        assert tuner.history_[0]["objective"] == "factors"


def test_multitask_of_several_targets_with_weights(tiny_bert):
    texts, liked, kinds = make_catalogue()
    y = {"contrastive": liked, "classification": kinds}
    tuner = LLMFineTuner(tiny_bert, objective="multitask", **FAST).fit(texts, y)
    assert {"contrastive", "classification"} <= set(tuner.history_[1])
    weights = {"contrastive": 0.25, "classification": 3.0}
    tuner.set_params(task_weights=weights).fit(texts, y)
    record = tuner.history_[1]
    assert_allclose(record["loss"], sum(weights[name] * record[name] for name in weights), rtol=1e-5)


def test_projection_starts_from_principal_directions(tiny_bert):
    texts, liked, _ = make_catalogue()
    tuner = LLMFineTuner(tiny_bert, n_components=4, **FAST | {"learning_rate_init": 1e-9, "early_stopping": False})
    vectors = tuner.fit_transform(texts, liked)
    expected = EmbeddingWhitener(n_components=4).fit_transform(frozen_vectors(tiny_bert, texts))
    assert vectors.shape == (len(texts), 4)
    assert_allclose(vectors @ vectors.T, expected @ expected.T, atol=1e-3)  # signs of directions are free


# -- what is trained ----------------------------------------------------------------------------------------------


def changed_parts(model, tuner):
    before, after = load_file(model / "model.safetensors"), load_file(f"{tuner.checkpoint_}/model.safetensors")
    assert set(before) == set(after)
    parts = {name.split(".attention")[0].split(".intermediate")[0].split(".output")[0] for name in before}
    return {part for part in parts if any((before[n] != after[n]).any() for n in before if n.startswith(part))}


@pytest.mark.parametrize("trainable", [1, 2, "all", "lora"])
def test_only_what_is_trainable_changes(trainable, tiny_bert):
    if trainable == "lora":
        pytest.importorskip("peft")
    texts, liked, _ = make_catalogue(60)
    tuner = LLMFineTuner(tiny_bert, objective="factors", trainable=trainable, early_stopping=False, **FAST)
    vectors = tuner.fit_transform(texts, liked)
    changed = changed_parts(tiny_bert, tuner)
    assert not any("pooler" in part for part in changed)
    assert ("encoder.layer.0" in changed) == (trainable != 1)
    assert "encoder.layer.1" in changed
    assert any("word_embeddings" in part for part in changed) == (trainable == "all")
    assert_same_vectors(vectors, frozen_vectors(tuner.checkpoint_, texts))
    assert not np.allclose(vectors, frozen_vectors(tiny_bert, texts), atol=1e-3)


def test_causal_model(tiny_llama):
    texts, liked, _ = make_catalogue(60)
    tuner = LLMFineTuner(tiny_llama, objective="contrastive", trainable=1, pooling="last", early_stopping=False, **FAST)
    vectors = tuner.fit_transform(texts, liked)
    assert_same_vectors(vectors, frozen_vectors(tuner.checkpoint_, texts, pooling="last"))
    assert not np.allclose(vectors, frozen_vectors(tiny_llama, texts, pooling="last"), atol=1e-3)


def test_augmented_texts_are_those_of_training_only(tiny_bert, monkeypatch):
    texts, liked, _ = make_catalogue(60)
    seen, augment = [], TextAugmenter.augment

    def watch(self, texts, rng):
        seen.append(augment(self, texts, rng))
        return seen[-1]

    monkeypatch.setattr(TextAugmenter, "augment", watch)
    params = {"objective": "factors", "trainable": 1, "early_stopping": False, **FAST}
    plain = LLMFineTuner(tiny_bert, **params).fit_transform(texts, liked)
    vectors = [
        LLMFineTuner(tiny_bert, augmenter=TextAugmenter(token_dropout=0.4), **params).fit_transform(texts, liked)
        for _ in range(2)
    ]
    assert_array_equal(vectors[0], vectors[1])
    assert not np.allclose(vectors[0], plain, atol=1e-3)
    assert len(seen) == 2 * 2 * 2 and all(len(batch) in (32, 28) for batch in seen)
    assert any(text not in texts for batch in seen for text in batch)


def test_random_state(tiny_bert):
    texts, liked, _ = make_catalogue(60)
    params = FAST | {"early_stopping": False, "objective": "contrastive"}
    first, second, other = (
        LLMFineTuner(tiny_bert, **params | {"random_state": seed}).fit(texts, liked) for seed in (1, 1, 2)
    )
    assert first.checkpoint_ == second.checkpoint_ != other.checkpoint_
    shared = np.random.RandomState(0)
    tuner = LLMFineTuner(tiny_bert, **params | {"random_state": shared})
    assert tuner.fit(texts, liked).checkpoint_ != tuner.fit(texts, liked).checkpoint_


# -- where weights are --------------------------------------------------------------------------------------------


def test_no_weights_in_the_pickle_and_a_clear_error_when_they_are_gone(tiny_bert, model_cache):
    texts, liked, _ = make_catalogue(60)
    tuner = LLMFineTuner(tiny_bert, **FAST, early_stopping=False).fit(texts, liked)
    vectors, dumped = tuner.transform(texts), pickle.dumps(tuner)
    assert len(dumped) < 5_000
    assert [folder.name for folder in model_cache.iterdir()] == [tuner.checkpoint_.rpartition("/")[2]]
    assert_same_vectors(pickle.loads(dumped).transform(texts), vectors)  # noqa: S301 - just written
    change_weights(model_cache / tuner.checkpoint_)
    with pytest.raises(ValueError, match="have changed since LLMFineTuner was fitted"):
        tuner.transform(texts)
    shutil.rmtree(tuner.checkpoint_)
    with pytest.raises(ModelNotFoundError, match="LLMFineTuner has trained are gone"):
        tuner.transform(texts)


def test_few_tuned_models_stay_in_memory(tiny_bert):
    texts, liked, _ = make_catalogue(40)
    loaded = _backbone._model._models, _backbone._tokenizer._tokenizers
    before = [len(registry) for registry in loaded]
    for seed in range(5):
        params = FAST | {"random_state": seed, "max_iter": 1}
        LLMFineTuner(tiny_bert, **params, early_stopping=False).fit_transform(texts, liked)
    assert all(len(own) <= n + 3 for own, n in zip(loaded, before, strict=True))  # the untuned one, and two


def test_store_is_keyed_by_the_tuned_weights(tiny_bert, tmp_path):
    texts, liked, kinds = make_catalogue(60)
    params = FAST | {"early_stopping": False, "memory": tmp_path / "store"}
    tuner = LLMFineTuner(tiny_bert, **params)
    first, second = tuner.fit_transform(texts, liked), tuner.fit_transform(texts, kinds)
    assert not np.allclose(first, second, atol=1e-3)
    assert_same_vectors(second, clone(tuner).set_params(memory=None).fit_transform(texts, kinds))
    frozen = LLMTextEncoder(tiny_bert, max_length=48, normalize=True, memory=tmp_path / "store").fit_transform(texts)
    assert_same_vectors(frozen, frozen_vectors(tiny_bert, texts))


def test_projected_vectors_are_not_those_of_the_model_beside_them(tiny_bert, tmp_path):
    params = FAST | {"early_stopping": False, "max_iter": 1, "memory": tmp_path}
    tuner = LLMFineTuner(tiny_bert, n_components=16, **params)  # as many as the model has
    vectors = tuner.fit_transform(TEXTS, LIKED)
    plain = frozen_vectors(tuner.checkpoint_, TEXTS, memory=tmp_path)
    assert_same_vectors(plain, frozen_vectors(tuner.checkpoint_, TEXTS))
    assert not np.allclose(vectors, plain, atol=1e-3)


# -- inside recommenders ------------------------------------------------------------------------------------------


def make_rows(seed=0):
    texts, liked, _ = make_catalogue(50, seed=seed)
    items, users = liked.nonzero()
    return np.column_stack([users, items, np.array(texts, dtype=object)[items]]).astype(object)


def make_recommender(model, **params):
    encoder = make_pipeline(TextTemplate("{0}"), LLMFineTuner(model, **FAST | params), EmbeddingWhitener())
    return FeatureMFRecommender(
        4, feedback="implicit", item_features=[2], item_encoder=encoder, max_iter=3, random_state=0
    )


def test_in_a_grid_search(tiny_bert):
    X = make_rows()
    search = GridSearchCV(
        make_recommender(tiny_bert),
        {"item_encoder__llmfinetuner__objective": ["contrastive", "factors"]},
        scoring=make_ranking_scorer("ndcg", k=5),
        cv=PerUserKFold(2, random_state=0),
        error_score="raise",
    ).fit(X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.item_encoder_[1].checkpoint_


def test_test_interactions_cannot_change_the_encoder(tiny_bert):
    """What a fold holds out, and only that, is replaced: encoders, vectors and lists of the fold stay as they were."""
    X = make_rows()
    train, test = next(PerUserKFold(3, random_state=0).split(X))
    changed = X.copy()
    changed[test, 1:] = changed[np.random.default_rng(1).permutation(test), 1:]
    assert (changed[test, 1] != X[test, 1]).mean() > 0.8
    found = []
    for rows in (X, changed):
        fitted = make_recommender(tiny_bert, early_stopping=False).fit(rows[train])
        found.append((fitted.item_encoder_[1].weights_sha256_, fitted.recommend(fitted.users_, n_items=5)[0]))
    assert found[0][0] == found[1][0]
    assert_array_equal(found[0][1], found[1][1])
    more = make_recommender(tiny_bert, early_stopping=False).fit(X)  # and what is learned from does change it
    assert more.item_encoder_[1].weights_sha256_ != found[0][0]


# -- bad input ----------------------------------------------------------------------------------------------------


TEXTS, LIKED, KINDS = make_catalogue(20)
NAN = csr_matrix(np.where(LIKED.toarray() > 0, np.nan, 0.0))


@pytest.mark.parametrize(
    ("texts", "y", "params", "message"),
    [
        ([], LIKED, {}, "minimum of 1 is required by LLMFineTuner"),
        (TEXTS[:1], LIKED[:1], {}, r"1 text\(s\) with targets are too few to learn from, of which 1 would be held out"),
        (TEXTS[:2], LIKED[:2], {}, "too few to learn from"),
        (TEXTS, None, {}, "requires y to be passed, but the target y is None"),
        (TEXTS, LIKED[:-1], {}, "X has 20 texts, but y has 19 rows"),
        (TEXTS, KINDS[:-1], {}, "X has 20 texts, but y has 19 rows"),
        (TEXTS, LIKED * 0, {}, "none above 0: there is nothing to learn from"),
        (TEXTS, LIKED, {"threshold": 2}, "none of at least threshold=2"),
        (TEXTS, NAN, {}, r"not finite; the first, nan, is in row 0"),
        (TEXTS, [0.5] * 20, {}, r"all targets are equal \(0.5"),
        (TEXTS, [0.5, np.nan] * 10, {}, r"10 value\(s\) that are not finite; the first, nan, is in row 1"),
        (TEXTS, ["a", None] * 10, {}, r"10 missing label\(s\); the first, None, is in row 1"),
        (TEXTS, ["a"] * 20, {}, "all labels are 'a'"),
        (TEXTS, np.ones((20, 2, 2)), {}, r"shape \(20, 2, 2\)"),
        (TEXTS, KINDS, {"objective": "contrastive"}, "learns from interactions"),
        (TEXTS, LIKED, {"objective": "classification"}, "y is sparse"),
        (TEXTS, LIKED.toarray(), {"objective": "classification"}, "one label for each text"),
        (TEXTS, {"factors": LIKED}, {}, "dict of targets"),
        (TEXTS, {"facts": LIKED}, {"objective": "multitask"}, r"\['facts'\]"),
        (TEXTS, LIKED, {"task_weights": {"factors": 1.0}}, 'belong to objective="multitask"'),
        (TEXTS, LIKED, {"objective": "multitask", "task_weights": {"facts": 1.0}}, r"\['facts'\]"),
        (TEXTS, LIKED, {"objective": "multitask", "task_weights": {"factors": -1}}, "above 0"),
        (TEXTS, LIKED, {"trainable": 3}, "trainable=3 is more than the 2 layers"),
        (TEXTS, LIKED, {"n_components": 17}, "n_components=17 is more than the 16 dimensions"),
        (TEXTS, LIKED, {"max_length": 2}, "max_length=2 leaves no room for text"),
        (TEXTS, LIKED, {"learning_rate_init": 0.0}, "learning_rate"),
        (TEXTS, LIKED, {"augmenter": "yes"}, "augmenter"),
    ],
)
def test_bad_input(texts, y, params, message, tiny_bert, model_cache):
    tuner = LLMFineTuner(tiny_bert, **FAST | params)
    with pytest.raises(ValueError, match=message):
        tuner.fit(texts, y)
    assert not hasattr(tuner, "checkpoint_") and not model_cache.exists()


def test_nothing_to_judge_by(tiny_bert):
    alone = csr_matrix(np.eye(20))  # every text has a user of its own
    with pytest.raises(ValueError, match="no held-out text has a user who also has a text to train on"):
        LLMFineTuner(tiny_bert, objective="factors", **FAST).fit(TEXTS, alone)
    tuner = LLMFineTuner(tiny_bert, **FAST).fit(TEXTS, alone)
    assert tuner.improved_ is False and tuner.history_ == []


def test_tokenizer_of_another_model(tmp_path):
    model, other = save_bert(tmp_path / "model", vocab_size=40), save_bert(tmp_path / "other")
    assert other != model
    with pytest.raises(
        ValueError, match=r"the tokenizer in .*model has \d+ tokens, but the model has embeddings for 40"
    ):
        LLMFineTuner(model, **FAST).fit(TEXTS, LIKED)


def test_a_failed_fit_leaves_the_estimator_as_it_was(tiny_bert):
    tuner = LLMFineTuner(tiny_bert, **FAST, early_stopping=False).fit(TEXTS, LIKED)
    vectors = tuner.transform(SENTENCES)
    with pytest.raises(ValueError, match="19 rows"):
        tuner.fit(TEXTS, LIKED[:-1])
    assert_array_equal(tuner.transform(SENTENCES), vectors)
