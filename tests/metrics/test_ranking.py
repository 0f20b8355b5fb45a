"""Ranking of test users, against a naive ranking and a stand-in that records how it is called."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from stand_in import StandIn, make_rows

from skllmrec._ids import IdIndex
from skllmrec.metrics import ndcg_at_k, personalization, popularity_lift, rank_test_users


@pytest.fixture
def rows():
    return make_rows()


def naive_ranking(train, test, candidates, order, k):
    """Lists by count for each test user; ties in the given order."""
    lists = {}
    for user in sorted(set(test[:, 0].tolist())):
        seen = set(train[train[:, 0] == user, 1].tolist())
        counts = {i: int((train[:, 1] == i).sum()) or -1 for i in candidates}
        lists[user] = sorted((i for i in order if i in candidates and i not in seen), key=lambda i: -counts[i])[:k]
    return lists


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("candidates", ["all", "fitted", "test"])
def test_equals_a_naive_ranking(candidates, seed):
    train, test = make_rows(seed)
    ranked = rank_test_users(StandIn().fit(train), test, k=5, candidates=candidates, random_state=seed)
    fitted, tested = set(train[:, 1].tolist()), set(test[:, 1].tolist())
    wanted = {"all": fitted | tested, "fitted": fitted, "test": tested}[candidates]
    assert set(ranked.items.tolist()) == wanted
    assert len(ranked.items) == len(wanted)
    lists = naive_ranking(train, test, wanted, ranked.items.tolist(), 5)
    for position, user in enumerate(ranked.users.tolist()):
        relevant = {int(item) for u, item in test if u == user and item in wanted}
        assert set(ranked.items[ranked.relevant[[position]].indices].tolist()) == relevant
        listed = ranked.recommended[position]
        assert ranked.items[listed[listed >= 0]].tolist() == lists[user]
    without = {int(u) for u, _ in test} - {int(u) for u, item in test if item in wanted}
    assert set(ranked.users.tolist()) == {int(u) for u, _ in test} - without


def test_new_items_are_passed_as_rows_and_known_ones_as_ids(rows):
    train, test = rows
    recommender = StandIn().fit(train)
    rank_test_users(recommender, test)
    ids, new = recommender.asked_
    assert sorted(ids) == recommender.items_.tolist()
    assert set(new[:, 1]) == set(test[:, 1]) - set(train[:, 1]) == {13, 14}
    rank_test_users(recommender, test, candidates="test")
    assert recommender.asked_.ndim == 2
    known = test[np.isin(test[:, 1], train[:, 1])]
    for candidates in ("all", "test", "fitted"):
        rank_test_users(recommender, known, candidates=candidates)
        assert recommender.asked_.ndim == 1


def as_frame(rows, library=pd.DataFrame):
    return library({"who": rows[:, 0], "what": rows[:, 1], "hour": np.arange(len(rows)) % 24})


def as_text(rows):
    return np.array([[f"u{user:02d}", f"i{item:02d}"] for user, item in rows.tolist()], dtype=object)


@pytest.mark.parametrize(
    ("convert", "columns"),
    [
        (lambda r: r.astype(np.float32), (0, 1)),
        (lambda r: r.astype(object), (0, -1)),
        (as_text, (0, 1)),
        (as_frame, ("who", "what")),
        (as_frame, (0, 1)),
        (lambda r: as_frame(r, pl.DataFrame), ("who", "what")),
        (lambda r: as_frame(r[:, ::-1])[["hour", "who", "what"]], ("what", "who")),
    ],
)
def test_containers_do_not_change_the_lists(rows, convert, columns):
    train, test = rows
    expected = rank_test_users(StandIn().fit(train), test, k=4)
    recommender = StandIn(user=columns[0], item=columns[1]).fit(convert(train))
    ranked = rank_test_users(recommender, convert(test), k=4)
    np.testing.assert_array_equal(ranked.recommended, expected.recommended)
    np.testing.assert_array_equal(ranked.relevant.toarray(), expected.relevant.toarray())
    assert (IdIndex(ranked.items).encode(ranked.items) == np.arange(len(ranked.items))).all()


def test_ids_compare_by_value_and_lists_are_taken(rows):
    train, test = rows
    recommender = StandIn().fit(train)
    expected = rank_test_users(recommender, test)
    for given in (test.astype(np.float64), test.tolist()):
        ranked = rank_test_users(recommender, given)
        np.testing.assert_array_equal(ranked.items, expected.items)
        np.testing.assert_array_equal(ranked.recommended, expected.recommended)


def test_order_of_test_rows_does_not_matter(rows):
    train, test = rows
    recommender = StandIn(constant=True).fit(train)
    expected = rank_test_users(recommender, test)
    ranked = rank_test_users(recommender, test[::-1])
    np.testing.assert_array_equal(ranked.recommended, expected.recommended)


def test_relevance_follows_y_and_threshold(rows):
    train, test = rows
    recommender = StandIn().fit(train)
    y = np.arange(len(test)) % 5
    for given, threshold, mask in [
        (None, None, np.ones(len(test), dtype=bool)),
        (y, None, y > 0),
        (y, 3, y >= 3),
        (pd.Series(y, index=y[::-1]), 3, y >= 3),
        (pl.Series(y), 0, y >= 0),
        (y[:, None].tolist(), 2.5, y >= 2.5),
        (y > 2, None, y > 2),
    ]:
        ranked = rank_test_users(recommender, test, given, threshold=threshold)
        found = {(ranked.users[u], ranked.items[i]) for u, i in zip(*ranked.relevant.nonzero(), strict=True)}
        assert found == {tuple(row) for row in test[mask]}
        assert np.diff(ranked.relevant.indptr).min() >= 1


def test_one_relevant_row_of_several_is_enough():
    train = np.array([[0, 0], [1, 1], [1, 2]])
    test = np.array([[0, 1], [0, 1], [0, 2], [0, 2]])
    ranked = rank_test_users(StandIn().fit(train), test, [5, 1, 1, 1], threshold=4)
    assert ranked.relevant.nnz == 1
    assert ranked.items[ranked.relevant.indices].tolist() == [1]


def test_rows_that_training_saw_are_never_hit(rows):
    train, _ = rows
    for candidates in ("all", "fitted", "test"):
        ranked = rank_test_users(StandIn().fit(train), train, candidates=candidates, k=15)
        assert len(ranked.users) == len(np.unique(train[:, 0]))
        assert ranked.evaluate("hit_rate") == 0.0


def test_k_is_clipped_and_short_lists_are_padded():
    train = np.array([[0, 0], [0, 1], [1, 2], [1, 0]])
    ranked = rank_test_users(StandIn().fit(train), [[0, 2], [1, 1]], k=10)
    assert ranked.recommended.shape == (2, 3)
    assert [ranked.items[row[row >= 0]].tolist() for row in ranked.recommended] == [[2], [1]]
    assert ranked.evaluate("precision") == pytest.approx(1 / 3)
    assert ranked.evaluate("precision", k=1) == 1.0
    assert ranked.evaluate("precision", k=99) == ranked.evaluate("precision")


def test_equal_scores_are_not_ranked_by_id():
    rng = np.random.default_rng(0)
    train = np.column_stack([np.repeat(np.arange(40), 5), rng.integers(0, 1000, 200)])
    recommender = StandIn(constant=True).fit(train)
    means = []
    for seed in range(30):
        ranked = rank_test_users(recommender, [[99, 1001], [99, 1002]], k=10, random_state=seed)
        means.append(ranked.items[ranked.recommended].mean())
        again = rank_test_users(recommender, [[99, 1001], [99, 1002]], k=10, random_state=seed)
        np.testing.assert_array_equal(again.items, ranked.items)
    assert len(set(means)) == 30
    assert abs(np.mean(means) - recommender.items_.mean()) < 75  # five standard errors


def test_searches_and_pipelines_are_looked_through(rows):
    train, test = rows
    expected = rank_test_users(StandIn().fit(train), test)
    swap = FunctionTransformer(lambda X: X[:, ::-1])
    pipeline = Pipeline([("swap", swap), ("none", "passthrough"), ("rec", StandIn(user=1, item=0))])
    search = GridSearchCV(
        make_pipeline(FunctionTransformer(), pipeline),
        {"pipeline__rec__constant": [False]},
        scoring=lambda *_: 0.0,
        cv=2,
    )
    for estimator in (pipeline, search):
        ranked = rank_test_users(estimator.fit(train), test)
        np.testing.assert_array_equal(ranked.recommended, expected.recommended)


def test_evaluate_gives_every_metric(rows):
    train, test = rows
    ranked = rank_test_users(StandIn().fit(train), test, k=5)
    assert ranked.evaluate("ndcg", k=3) == ndcg_at_k(ranked.relevant, ranked.recommended, k=3)
    assert ranked.evaluate("ndcg", average=False).shape == ranked.users.shape
    assert ranked.evaluate(ndcg_at_k) == ranked.evaluate("ndcg")
    listed = ranked.items[ranked.recommended]
    assert ranked.evaluate("coverage") == len(np.unique(listed)) / len(ranked.items)
    counts = np.array([(train[:, 1] == item).sum() for item in ranked.items])
    np.testing.assert_array_equal(ranked.item_counts, counts)
    assert ranked.n_training_users == len(np.unique(train[:, 0]))
    surprise = -np.log2(np.maximum(counts, 1) / ranked.n_training_users)
    assert ranked.evaluate("novelty") == pytest.approx(surprise[ranked.recommended].mean())
    assert 0 < ranked.evaluate("gini") < 1
    had = {(user, item) for user, item in train.tolist()}
    history = [[(user, item) in had for item in ranked.items] for user in ranked.users]
    np.testing.assert_array_equal(ranked.history.toarray(), history)
    assert ranked.history.sum() > 0
    lift = popularity_lift(ranked.recommended, history, counts, k=5)
    assert ranked.evaluate("popularity_lift") == pytest.approx(lift)
    assert ranked.evaluate("personalization") == personalization(ranked.recommended, len(ranked.items), k=5)
    for metric in ("coverage", "gini", "personalization"):
        with pytest.raises(ValueError, match="no values per user"):
            ranked.evaluate(metric, average=False)
    with pytest.raises(ValueError, match="metric='auc' is unknown: pass one of coverage"):
        ranked.evaluate("auc")


def test_recommender_without_seen_has_no_novelty(rows):
    train, test = rows

    class Forgetful(StandIn):
        def recommend(self, users, n_items=10, *, candidates=None, exclude_seen=True):
            return np.zeros((len(users), n_items), dtype=int) + self.items_[:n_items], np.zeros((len(users), n_items))

    recommender = Forgetful().fit(train)
    del recommender.seen_
    ranked = rank_test_users(recommender, test)
    assert ranked.item_counts is None
    assert ranked.evaluate("recall") > 0
    with pytest.raises(ValueError, match="training counts"):
        ranked.evaluate("novelty")
    with pytest.raises(ValueError, match="training counts"):
        ranked.evaluate("popularity_lift")


class Stray(StandIn):
    def recommend(self, users, n_items=10, *, candidates=None, exclude_seen=True):
        return np.full((len(users), n_items), 77), np.zeros((len(users), n_items))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"k": 0}, ValueError, "k must be an integer >= 1"),
        ({"candidates": "some"}, ValueError, "candidates must be one of .*'some'"),
        ({"threshold": "4"}, ValueError, "threshold must be a number or None"),
        ({"threshold": np.nan}, ValueError, "threshold must be a number or None"),
        ({"threshold": 4}, ValueError, "needs ratings, but y is None"),
        ({"y": [1.0]}, ValueError, r"one value per row of X, 32, got shape \(1,\)"),
        ({"y": ["a"] * 32}, ValueError, "y must be numbers"),
        ({"y": [np.nan] + [1] * 31}, ValueError, "y is NaN at position 0"),
        ({"X": as_text(make_rows()[1])}, TypeError, "a string never equals a number"),
        ({"X": np.array([[1.0, np.nan]])}, ValueError, "item column 1 has a missing id"),
        ({"estimator": StandIn(user="u")}, ValueError, "user='u' names a column"),
        ({"estimator": Stray()}, ValueError, "returned .*77.* not a candidate"),
    ],
)
def test_bad_input_is_named(rows, change, error, message):
    train, test = rows
    arguments = {"estimator": StandIn(), "X": test, **change}
    recommender = arguments["estimator"]
    if recommender.user == "u":
        recommender.set_params(user=0).fit(train).set_params(user="u")
    else:
        recommender.fit(train)
    with pytest.raises(error, match=message):
        rank_test_users(**arguments)


def test_what_is_no_recommender_is_named(rows):
    from sklearn.dummy import DummyRegressor

    train, test = rows
    with pytest.raises(TypeError, match="DummyRegressor has no `recommend` method"):
        rank_test_users(DummyRegressor().fit(train, train[:, 0]), test)
    with pytest.raises(TypeError, match="Pipeline cannot be ranked: DummyRegressor"):
        rank_test_users(make_pipeline(FunctionTransformer(), DummyRegressor()), test)
    with pytest.raises(TypeError, match="GridSearchCV cannot be ranked"):
        rank_test_users(GridSearchCV(StandIn(), {}), test)
    with pytest.raises(NotFittedError, match="StandIn is not fitted"):
        rank_test_users(StandIn(), test)
    nameless = StandIn().fit(train)
    del nameless.item
    with pytest.raises(TypeError, match="no parameter 'item'"):
        rank_test_users(nameless, test)


def test_no_relevant_user_gives_an_empty_ranking(rows):
    train, test = rows
    ranked = rank_test_users(StandIn().fit(train), test, np.zeros(len(test)))
    assert ranked.users.shape == (0,)
    assert ranked.relevant.shape == (0, len(ranked.items))
    assert ranked.recommended.shape == (0, 10)
