"""SequentialRecommender: order is learned, text stands for items, repeats, fold-in, checkpoints, bad input."""

import joblib
import numpy as np
import pytest
from fresh_process import run_python
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer

from skllmrec import FeatureTable, SequentialRecommender
from skllmrec._kernels.sequential.events import order_events
from skllmrec._kernels.sequential.states import unit_rows
from skllmrec.exceptions import CheckpointError, UnknownIdError
from skllmrec.recommenders.sequential import _training

WORDS = np.array(["flour mill", "yeast jar", "salt box", "oven iron", "bread loaf", "butter tub"])
TEXT = {"item_features": 3, "item_encoder": TfidfVectorizer()}
SEEDED = {"time": 2, "random_state": 0, "device": "cpu"}
FAST = {"learning_rate_init": 0.03, "max_iter": 8}


def circle(n_users=60, n_days=5, start=0):
    """Users who walk around a circle of six items: what comes next is the next one."""
    return np.array(
        [
            [user, (user + day) % 6, day, WORDS[(user + day) % 6]]
            for user in range(n_users)
            for day in range(start, start + n_days)
        ],
        dtype=object,
    )


def model(**params):
    return SequentialRecommender(16, **{**SEEDED, **FAST, **params})


@pytest.fixture(scope="module")
def fitted():
    return model(**TEXT).fit(circle())


# -- what is learned --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ["pooling", "attention"])
@pytest.mark.parametrize("described", [False, True])
def test_what_comes_next_is_the_next_one(encoder, described):
    found = model(encoder=encoder, **(TEXT if described else {})).fit(circle())
    histories = [[(item - 1) % 6, item] for item in range(6)]
    ids, _ = found.recommend(history=histories, n_items=1)
    assert_array_equal(ids[:, 0], (np.arange(6) + 1) % 6)
    ranker = found.ranker(np.arange(6))
    turned = ranker.scores(history=[history[::-1] for history in histories])
    assert abs(turned - ranker.scores(history=histories)).max() > 1, "the order of a history counts"


def test_known_users_have_their_own_history(fitted):
    ids, scores = fitted.recommend([0, 1], n_items=1)  # had days 0 to 4
    assert_array_equal(ids[:, 0], [5, 0])
    assert_allclose(scores[:, 0], fitted.recommend(history=[[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]], n_items=1)[1][:, 0])


def test_a_history_comes_after_what_a_user_had(fitted):
    ids, scores = fitted.recommend([0], n_items=6, history=[[5, 0]], exclude_seen=False)
    expected = fitted.recommend(history=[[0, 1, 2, 3, 4, 5, 0]], n_items=6, exclude_seen=False)
    assert_array_equal(ids, expected[0])
    assert_allclose(scores, expected[1])
    later = clone(fitted).fit(circle()).partial_fit([[0, 5, 9, WORDS[5]], [0, 0, 10, WORDS[0]]])
    assert_allclose(later.recommend([0], n_items=6, exclude_seen=False)[1], scores)


def test_items_without_interactions_are_recommended_and_stand_in_a_history(fitted):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(circle(), columns=["user", "item", "day", "text"])
    table = FeatureTable(pd.DataFrame({"item": range(8), "text": [*WORDS, "yeast jar", "table cloth"]}), key="item")
    found = model(user="user", item="item", time="day", item_features="text", item_encoder=TfidfVectorizer())
    found.fit(frame[["user", "item", "day"]], item_table=table)
    ids, scores = found.recommend(history=[[0]], n_items=2)
    assert set(ids[0]) == {1, 6}, "6 has the text of 1"
    cosines = scores - found.item_biases_[ids]
    assert_allclose(cosines[0, 0], cosines[0, 1], rtol=1e-5)
    assert_array_equal(found.recommend(history=[[0, 6]], n_items=1)[0], [[2]])
    assert found.recommend(history=[[7]], n_items=6)[0].shape == (1, 6)
    new = np.array([[0, 9, 0, "yeast jar"]], dtype=object)
    rows = pd.DataFrame(new, columns=frame.columns)
    assert found.similar_items(rows, n_items=2)[0][0].tolist() == [1, 6]


def test_scores_are_cosines_over_the_temperature_and_repeats_get_what_was_learned(fitted):
    histories = [[3, 1, 3], [2], []]
    scores = fitted.ranker(np.arange(6)).scores(history=histories)
    states = fitted._states(np.array([[3, 1, 3] + [-1] * 17, [2] + [-1] * 19, [-1] * 20]))
    expected = unit_rows(states) @ unit_rows(fitted.item_embeddings_).T / fitted.temperature + fitted.item_biases_
    expected[0, 3] += fitted.repeat_[0]
    expected[0, 1] += fitted.repeat_[1]
    expected[1, 2] += fitted.repeat_[0]
    assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)
    assert (fitted.repeat_ < 0).all(), "on a circle of six nobody had anything again within five days"


def test_repeats_are_learned():
    again = np.array([[user, user % 5, day] for user in range(60) for day in range(6)])
    found = model().fit(again)
    assert found.repeat_[0] > 0.5
    ids, _ = found.recommend(history=[[3], [4]], n_items=1, exclude_seen=False)
    assert ids.ravel().tolist() == [3, 4]


def test_people_of_whom_nothing_is_known_get_what_comes_first():
    X = np.array([[user, item, day] for user in range(60) for day, item in enumerate([user % 2, 2 + user % 3])])
    found = model().fit(X)
    assert set(found.recommend(history=[[]], n_items=2)[0][0]) == {0, 1}
    assert_allclose(found.recommend([777], n_items=5)[1], found.recommend(history=[[]], n_items=5)[1])


def test_popular_items_have_larger_biases_and_new_ones_that_of_the_rarest():
    generator = np.random.default_rng(0)
    items = np.minimum(generator.geometric(0.4, size=600), 6) - 1
    X = np.array([[n // 3, item, n % 3, WORDS[item]] for n, item in enumerate(items)], dtype=object)
    found = model(max_iter=30, **TEXT).fit(X)
    counts = np.bincount(items)
    assert found.item_biases_[counts.argmax()] > found.item_biases_[counts.argmin()]
    rare = found.item_biases_[counts == counts.min()].mean()
    found.partial_fit(np.array([[0, 77, 9, WORDS[3]]], dtype=object))
    assert_allclose(found.item_biases_[-1], rare, rtol=1e-6)


def test_ids_beside_features_tell_items_with_one_text_apart():
    X = circle()
    X[:, 3] = "the same"
    without, beside = model(**TEXT).fit(X), model(ids=True, **TEXT).fit(X)
    assert np.ptp(without.recommend(history=[[1]], n_items=5)[1]) == 0 or without.item_embeddings_.any()
    assert_array_equal(beside.recommend(history=[[1]], n_items=1)[0], [[2]])


def test_word_vectors_are_optional(fitted):
    plain = model(word_vectors=False, **TEXT).fit(circle())
    assert plain._item_map.words is None and fitted._item_map.words.any()
    with pytest.raises(ValueError, match="ids=False leaves nothing"):
        model(ids=False).fit(circle())


@pytest.mark.parametrize("encoder", ["pooling", "attention"])
def test_equal_for_a_seed_and_all_negatives_drawn_are_no_sample(encoder):
    first, second, other, drawn = (
        model(encoder=encoder, **params).fit(circle()).item_embeddings_
        for params in ({}, {}, {"random_state": 1}, {"n_negatives": 6})
    )
    assert_array_equal(first, second)
    assert_array_equal(first, drawn)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("encoder", ["pooling", "attention"])
def test_sampled_candidates(encoder, monkeypatch):
    found = model(encoder=encoder, n_negatives=3, max_iter=15, **TEXT).fit(circle())
    assert_array_equal(found.recommend(history=[[1, 2], [4, 5]], n_items=1)[0].ravel(), [3, 0])
    monkeypatch.setattr(_training, "MOST_ITEMS", 5)
    monkeypatch.setattr(_training, "N_DRAWN", 3)
    large = model(encoder=encoder, max_iter=15, **TEXT).fit(circle())
    assert_array_equal(large.item_embeddings_, found.item_embeddings_)


# -- training -----------------------------------------------------------------------------------------------------


def test_early_stopping_holds_out_last_items_and_keeps_the_best_epoch():
    found = model(early_stopping=True, validation_fraction=0.9, max_iter=30, n_iter_no_change=2).fit(circle(80))
    scores = [record["score"] for record in found.history_]
    assert found.n_iter_ == len(scores) - 1 < 30
    assert scores.index(max(scores)) == len(scores) - 3
    few = model(early_stopping=True).fit(circle(20))
    assert "score" not in few.history_[-1], "fewer than 50 are no sample"


def test_held_out_events_are_the_last_ones_of_users_with_several():
    X = circle(10)
    users = np.append(X[:, 0].astype(int), 99)  # 99 has one event
    made = order_events(users, np.append(X[:, 1].astype(int), 0), np.append(X[:, 2].astype(int), 0))
    kept, held_out = _training.hold_out_last_events(made, 1.0, seed=0)
    assert made.times[held_out].tolist() == [4] * 10 and 99 in made.users[kept]
    assert len(kept) + len(held_out) == len(made)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_auto_takes_the_encoder_that_is_better_on_held_out_items(early_stopping, monkeypatch):
    scores = {"pooling": 0.2, "attention": 0.3}
    asked, fit_one = [], _training._fit_one

    def recording(data, architecture, *rest):
        asked.append((architecture.encoder, rest[-1]["early_stopping"]))
        return fit_one(data, architecture, *rest)[0], scores[architecture.encoder]

    monkeypatch.setattr(_training, "_fit_one", recording)
    found = model(encoder="auto", early_stopping=early_stopping).fit(circle())
    assert found.encoder_ == "attention"
    assert asked == [("pooling", True), ("attention", True), *([] if early_stopping else [("attention", False)])]
    assert_array_equal(found.recommend(history=[[1, 2]], n_items=1)[0], [[3]])


INTERRUPTED = """
import sys
import test_sequential
from skllmrec.recommenders.sequential import _training
loss, calls = _training._Descent.loss, []
def failing(self, rows):
    calls.append(1)
    if len(calls) == int(sys.argv[2]):
        raise SystemExit(7)
    return loss(self, rows)
_training._Descent.loss = failing
test_sequential.model(checkpoint_dir=sys.argv[1], encoder=sys.argv[3]).fit(test_sequential.circle())
"""


@pytest.mark.parametrize("encoder", ["pooling", "attention"])
def test_an_interrupted_fit_goes_on_where_it_was(tmp_path, encoder):
    run_python(INTERRUPTED, tmp_path, 31, encoder, status=7)
    resumed = model(checkpoint_dir=tmp_path, encoder=encoder).fit(circle())
    whole = model(encoder=encoder).fit(circle())
    assert_allclose(resumed.item_embeddings_, whole.item_embeddings_, rtol=1e-4, atol=1e-5)
    assert [record["epoch"] for record in resumed.history_] == [record["epoch"] for record in whole.history_]
    for changed in ({"temperature": 0.2}, {"max_length": 3}, {"n_negatives": 2}):
        with pytest.raises(CheckpointError, match="another configuration"):
            model(checkpoint_dir=tmp_path, encoder=encoder, **changed).fit(circle())
    with pytest.raises(CheckpointError, match="another configuration"):
        model(checkpoint_dir=tmp_path, encoder=encoder).fit(circle(50))


def test_auto_has_a_checkpoint_for_each_training(tmp_path):
    model(checkpoint_dir=tmp_path, encoder="auto", max_iter=2).fit(circle(80))
    assert {path.parent.name for path in tmp_path.rglob("*.safetensors")} == {tmp_path.name, "pooling", "attention"}


# -- fold-in ------------------------------------------------------------------------------------------------------


def test_late_rows_stand_where_their_time_belongs():
    X = circle()
    late = np.arange(len(X)) % 3 == 1
    whole = model(max_length=4, **TEXT).fit(X)
    parts = model(max_length=4, **TEXT).fit(X[~late]).partial_fit(X[late])
    assert_array_equal(parts._recent.latest(4), whole._recent.latest(4))
    assert_array_equal(parts._recent_times, whole._recent_times)


def test_without_times_later_rows_are_later():
    found = model(time=None).fit(circle()[:, :2]).partial_fit([[777, 2]]).partial_fit([[777, 3]])
    scores = found.recommend([777], n_items=6, exclude_seen=False)[1]
    assert_allclose(scores, found.recommend(history=[[2, 3]], n_items=6, exclude_seen=False)[1])


def test_new_items_without_features_stand_where_the_histories_before_them_point():
    found = model().fit(circle()[:, :3].astype(int))
    found.partial_fit([[900 + n, item, day] for n in range(5) for day, item in enumerate([0, 1, 77])])
    assert found.recommend(history=[[0, 1]], n_items=2)[0][0].tolist() in ([2, 77], [77, 2])
    assert np.isfinite(found.item_embeddings_).all()
    found.partial_fit([[1000, 78, 0]])
    assert np.isfinite(found.recommend([1000], n_items=3)[1]).all()


def test_new_items_with_features_are_their_text(fitted):
    found = clone(fitted).fit(circle()).partial_fit(np.array([[900, 77, 0, WORDS[3]]], dtype=object))
    assert_allclose(found.item_embeddings_[-1], found.item_embeddings_[3], rtol=1e-5, atol=1e-6)


# -- saved --------------------------------------------------------------------------------------------------------

SERVE = """
import sys
import joblib
model = joblib.load(sys.argv[1])
print(model.recommend(history=[[1, 2]], n_items=1)[0].tolist(), "torch" in sys.modules)
"""


@pytest.mark.parametrize("encoder", ["pooling", "attention"])
def test_a_saved_model_serves_without_torch(encoder, tmp_path):
    joblib.dump(model(encoder=encoder, **TEXT).fit(circle()), tmp_path / "model.joblib")
    assert run_python(SERVE, tmp_path / "model.joblib")[0].split() == ["[[3]]", "False"]


@pytest.mark.parametrize("encoder", ["pooling", "attention"])
def test_skops_opens_what_it_saved(encoder):
    skops = pytest.importorskip("skops.io")
    found = model(encoder=encoder).fit(circle()[:, :3].astype(int))
    data = skops.dumps(found)
    trusted = skops.get_untrusted_types(data=data)
    assert not [name for name in trusted if not name.startswith(("skllmrec.", "scipy.sparse."))]
    again = skops.loads(data, trusted=trusted)
    assert_allclose(again.recommend(history=[[1, 2]], n_items=3)[1], found.recommend(history=[[1, 2]], n_items=3)[1])


# -- bad input ------------------------------------------------------------------------------------------------------


def test_unknown_items_in_a_history_are_left_out_or_an_error(fitted):
    assert_allclose(
        fitted.recommend(history=[[1, 555, 2]], n_items=3)[1], fitted.recommend(history=[[1, 2]], n_items=3)[1]
    )
    strict = clone(fitted).set_params(handle_unknown="error").fit(circle())
    with pytest.raises(UnknownIdError, match="555"):
        strict.recommend(history=[[1, 555]], n_items=1)


def test_a_history_of_very_many_items_is_its_last_ones(fitted):
    generator = np.random.default_rng(0)
    long = generator.integers(6, size=100_000).tolist()
    rule = {"n_items": 6, "exclude_seen": False}
    found = fitted.recommend(history=[long, [2], []], **rule)
    assert_allclose(found[1][0], fitted.recommend(history=[long[-20:]], **rule)[1][0], rtol=1e-5)
    X = np.array([[7, item, day, WORDS[item]] for day, item in enumerate(long[:20_000])], dtype=object)
    one = model(max_iter=1, batch_size=2000, **TEXT).fit(X)
    assert_allclose(one.recommend([7], **rule)[1], one.recommend(history=[long[:20_000][-20:]], **rule)[1], rtol=1e-5)


def test_equal_and_decreasing_times_are_an_order_or_none(fitted):
    turned = clone(fitted).fit(circle()[::-1])
    assert_array_equal(turned.item_embeddings_, fitted.item_embeddings_)
    at_once = circle()
    at_once[:, 2] = 5
    assert_array_equal(
        model(**TEXT).fit(at_once).item_embeddings_, model(**{**TEXT, "time": None}).fit(at_once).item_embeddings_
    )


def test_missing_and_unreadable_times_are_named():
    X = circle()
    X[3, 2] = np.nan
    with pytest.raises(ValueError, match=r"time=2 is missing at position 3"):
        model().fit(X)
    X = circle(5).astype(str)
    X[7, 2] = "nan"
    with pytest.raises(ValueError, match=r"time=2 is missing at position 7"):
        model().fit(X[:, :3])
    X[:, 2] = "2026-01-01"
    with pytest.raises(ValueError, match="no number"):
        model().fit(X[:, :3])
    with pytest.raises(ValueError, match="time"):
        model(time=7).fit(circle())
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(circle(), columns=["user", "item", "day", "text"]).assign(day="monday")
    with pytest.raises((TypeError, ValueError), match="day"):
        model(user="user", item="item", time="day").fit(frame)
    fitted = model().fit(circle()[:, :3])
    with pytest.raises(TypeError, match="cannot be compared"):
        fitted.partial_fit(np.array([[0, 1, np.datetime64("2026-01-01")]], dtype=object))


def test_what_does_not_go_together_is_named():
    with pytest.raises(ValueError, match="n_heads=3"):
        model(encoder="attention", n_heads=3).fit(circle())
    with pytest.raises(ValueError, match="does not learn from ratings"):
        model(feedback="explicit").fit(circle(), np.ones(300))
    with pytest.raises(ValueError, match="does not learn from features of users"):
        model(user_features=[3]).fit(circle())


def test_rows_of_weight_zero_are_no_events():
    X = circle()
    y = (np.arange(len(X)) % 4 != 0).astype(float)
    with_zeros, without = model().fit(X, y), model().fit(X[y > 0])
    assert_array_equal(with_zeros.item_embeddings_, without.item_embeddings_)
    assert not model().fit(X[:2], np.array([0.0, 0.0])).history_


class Recorder:
    """Keeps what estimators predict after each epoch, and asks to stop after some."""

    def __init__(self, stop_after=None):
        self.stop_after, self.predicted = stop_after, []

    def setup(self, estimator, context):
        """Called before the fit."""

    def teardown(self, estimator, context):
        """Called after the fit."""

    def on_fit_task_begin(self, estimator, context):
        """Called before the fit and each epoch."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if fitted_estimator is not None:
            self.predicted.append(fitted_estimator.recommend(history=[[1, 2]], n_items=1)[1][0, 0])
        return len(self.predicted) == self.stop_after


def test_callbacks_see_the_model_of_each_epoch_and_may_stop():
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks since 1.9")
    recorder = Recorder(stop_after=3)
    found = model(learning_rate="constant").set_callbacks(recorder).fit(circle())
    assert found.n_iter_ == 3 and len(set(recorder.predicted)) == 3
    assert_allclose(recorder.predicted[-1], found.recommend(history=[[1, 2]], n_items=1)[1][0, 0])
