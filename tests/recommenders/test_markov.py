"""MarkovRecommender against the formula, and what orders a history."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.feature_extraction.text import CountVectorizer

from skllmrec import MarkovRecommender

WORDS = ("red apple", "red cherry", "blue river", "blue ocean", "red plum", "blue lake")
TEXT = {"item_features": 3, "item_encoder": CountVectorizer()}


def data(seed, n=50):
    generator = np.random.default_rng(seed)
    drawn = np.unique(generator.integers(0, [9, 6, 8], size=(n, 3)), axis=0)
    return np.array([[user, item, time, WORDS[item]] for user, item, time in drawn.tolist()], dtype=object)


def ages(X, user):
    """How many moments ago a user had each item."""
    last = {}
    for u, item, time, _ in X:
        if u == user:
            last[item] = max(time, last.get(item, -1))
    moments = sorted(set(last.values()), reverse=True)
    return {item: moments.index(time) for item, time in last.items()}


def transition_table(model, similarity=None):
    c = model.transitions_.toarray()
    shares = np.broadcast_to(model._popularity, c.shape)
    if similarity is not None:
        S = np.maximum(similarity, 0)
        np.fill_diagonal(S, 0)
        shares = S / np.maximum(S.sum(axis=1, keepdims=True), 1e-300)
    return (c + model.backoff * shares) / (c.sum(axis=1, keepdims=True) + model.backoff)


@pytest.mark.parametrize("with_text", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_scores_against_the_formula(with_text, seed):
    X = data(seed)
    model = MarkovRecommender(time=2, decay=0.6, backoff=2.0, **(TEXT if with_text else {})).fit(X)
    similarity = None
    if with_text:
        Z = CountVectorizer().fit_transform(WORDS[item] for item in model.items_).toarray()
        Z = Z / np.linalg.norm(Z, axis=1, keepdims=True)
        similarity = Z @ Z.T
    T, items = transition_table(model, similarity), list(model.items_)
    expected = np.array(
        [
            sum(0.6**age * T[items.index(item)] for item, age in ages(X, user).items()) + 1e-6 * model._popularity
            for user in model.users_
        ]
    )
    pairs = np.array([[user, item, 0, ""] for user in model.users_ for item in items], dtype=object)
    assert_allclose(model.predict(pairs), expected.ravel())


def test_transitions_follow_the_time():
    X = [["ann", "a", 3], ["ann", "b", 1], ["ann", "c", 2], ["bob", "b", 9], ["bob", "c", 9]]
    found = MarkovRecommender(time=2, window=1).fit(X).transitions_.toarray()
    # ann: b, c, a one after the other; bob: b and c at one moment
    assert_allclose(found, [[0, 0, 0], [0, 0, 2], [1, 1, 0]])


@pytest.mark.parametrize("time", [None, 2])
def test_the_pairs_of_a_user_with_very_many_items_are_bounded(time):
    X = [["ann", f"i{n}", n % 2] for n in range(6000)] + [["bob", "i0", 0], ["bob", "new", 0]]
    model = MarkovRecommender(time=time).fit(X)
    assert model.transitions_.nnz <= 3 * 1000**2 + 2  # of 36 million
    places = [model.items_.tolist().index(item) for item in ("i0", "new")]
    assert model.transitions_[places[1], places[0]] == model.transitions_[places[0], places[1]] == 1
    assert len(model.recommend(["bob"], n_items=5)[0][0]) == 5


def test_the_last_mention_in_a_history_comes_last():
    X = data(0)[:, :3].astype(int)
    model = MarkovRecommender(time=2, decay=0.5).fit(X)
    rule = {"n_items": 6, "exclude_seen": False}
    one = model.recommend(history=[[3, 1, 3]], **rule)
    other = model.recommend(history=[[1, 3]], **rule)
    assert_allclose(one[1], other[1])
    turned = model.recommend(history=[[3, 1]], **rule)
    assert not np.allclose(one[1], turned[1])
    user = X[0, 0]
    after = model._histories(model._target_users([user], [[3]])).toarray()[0]
    before = model._histories(model._target_users([user], None)).toarray()[0]
    expected = 0.5 * before
    expected[list(model.items_).index(3)] = 1.0
    assert_allclose(after, expected)


def test_fold_in_is_the_newest_moment_and_knows_new_items_by_their_text():
    X = data(1)
    model = MarkovRecommender(time=2, decay=0.5, **TEXT).fit(X)
    before = model._recent.toarray()
    model.partial_fit(np.array([[X[0, 0], 2, 100, WORDS[2]], [77, 50, 100, "blue sea river"]], dtype=object))
    row = list(model.users_).index(X[0, 0])
    expected = 0.5 * before[row]
    expected[list(model.items_).index(2)] = 1.0
    assert_allclose(model._recent.toarray()[row, :6], expected)
    assert_allclose(model._recent.toarray()[row + 1 : 9, :6], before[row + 1 :])
    ids, _ = model.recommend(history=[[2]], n_items=1, candidates=[1, 50])
    assert ids[0, 0] == 50


def test_dates_order_rows_like_numbers():
    pd = pytest.importorskip("pandas")
    X = data(2)
    frame = pd.DataFrame({"user": X[:, 0], "item": X[:, 1], "when": pd.Timestamp("2026-01-01")})
    frame["when"] += pd.to_timedelta(X[:, 2].astype(int), unit="D")
    by_date = MarkovRecommender(user="user", item="item", time="when").fit(frame)
    by_number = MarkovRecommender(time=2).fit(X[:, :3].astype(int))
    assert_allclose(by_date.transitions_.toarray(), by_number.transitions_.toarray())
    zoned = frame.assign(when=frame["when"].dt.tz_localize("Europe/Paris"))
    assert_allclose(clone(by_date).fit(zoned).transitions_.toarray(), by_date.transitions_.toarray())
    frame.loc[3, "when"] = pd.NaT
    with pytest.raises(ValueError, match=r"time='when' is missing at position 3 \(1 in total\)"):
        by_date.fit(frame)


@pytest.mark.parametrize(
    ("value", "message"),
    [("yesterday", "time column 2 holds 'yesterday', which is no number"), (np.nan, "time=2 is missing at position 0")],
)
def test_times_that_cannot_be_ordered(value, message):
    X = np.array([["ann", "a", value], ["bob", "b", 1.0]], dtype=object)
    with pytest.raises(ValueError, match=message):
        MarkovRecommender(time=2).fit(X)


@pytest.mark.parametrize("with_text", [False, True])
def test_items_that_came_after_the_fit_are_like_nothing_and_break_nothing(with_text):
    X = data(0)
    model = MarkovRecommender(time=2, **(TEXT if with_text else {})).fit(X)
    ids, scores = model.similar_items([0, 2], n_items=5)
    model.partial_fit(np.array([[50, 90, 9, "red fruit"], [51, 91, 9, "blue water"]], dtype=object))
    later_ids, later = model.similar_items([0, 2, 90], n_items=7)
    known = [dict(zip(*pair, strict=True)) for pair in zip(later_ids, later, strict=True)]
    for row, found in enumerate(known[:2]):
        assert_allclose([found[item] for item in ids[row]], scores[row])
        alike, other = ((90, 91), (91, 90))[row]  # by "red", by "blue"
        assert (found[alike] > 0) == with_text and found[other] == 0
    assert (later[2, 0] > 0) == with_text


def test_rows_of_weight_zero_are_no_events():
    X = [["a", "p", 1], ["a", "s", 2], ["b", "s", 1], ["b", "p", 2]]
    model = MarkovRecommender(time=2).fit(X, [1, 0, 1, 1])
    assert_array_equal(model.transitions_.toarray(), [[0, 0], [1, 0]])  # p after s, of b alone
    model.partial_fit([["c", "p", 1], ["c", "s", 2]], [1, 0])
    removed = MarkovRecommender(time=2).fit(X, [1, 0, 1, 1]).partial_fit([["c", "p", 1]], [1])
    found, expected = (each.recommend(["c"], 2, exclude_seen=False) for each in (model, removed))
    assert_array_equal(found[0], expected[0])
    assert_allclose(found[1], expected[1])
    assert MarkovRecommender(time=2).fit(X, [0, 0, 0, 0]).transitions_.nnz == 0


def naive_transitions(X, items, *, window=3, decay=0.8):
    """Count c_ji by the definition: each pair of a user and an item at its last time, moments of a user in order."""
    counts = np.zeros((len(items), len(items)))
    for user in {row[0] for row in X}:
        last = {}
        for _, item, time in (row[:3] for row in X if row[0] == user):
            last[item] = max(time, last.get(item, time))
        moments = sorted(set(last.values()))
        for j, t in last.items():
            for i, s in last.items():
                gap = moments.index(s) - moments.index(t)
                if i != j and 0 <= gap <= window:
                    counts[items.index(j), items.index(i)] += decay ** max(gap - 1, 0)
    return counts


def require_like_a_fit_on_all(model, whole, X):
    items = model.items_.tolist()
    places = [items.index(item) for item in whole.items_]
    for found, of in ((model, items), (whole, whole.items_.tolist())):
        assert_allclose(found.transitions_.toarray(), naive_transitions(X, of), atol=1e-12)
    assert_allclose(model.seen_.toarray().sum(axis=0)[places], whole.seen_.toarray().sum(axis=0))
    pairs = [[user, item, 0, WORDS[item % 6]] for user in whole.users_ for item in items]
    pairs = np.array(pairs, dtype=object)[:, : whole.n_features_in_]
    assert_allclose(model.predict(pairs), whole.predict(pairs), rtol=1e-12)
    one, other = (each.recommend(whole.users_, len(items), exclude_seen=False) for each in (model, whole))
    assert_allclose(one[1], other[1], rtol=1e-12)


@pytest.mark.parametrize("with_text", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_parts_in_any_order_of_time_are_like_a_fit_on_all(seed, with_text):
    X = data(seed, 80)
    X = X[np.random.default_rng(seed).permutation(len(X))]  # late rows, and repeated pairs
    assert set(X[:40, 1]) == set(range(6)), "the texts of the fit are those of all rows"
    settings = {"time": 2, **(TEXT if with_text else {})}
    model = MarkovRecommender(**settings).fit(X[:40])
    for first, last in ((40, 55), (55, 56), (56, len(X))):
        model.partial_fit(X[first:last])
    require_like_a_fit_on_all(model, MarkovRecommender(**settings).fit(X), X)


@pytest.mark.parametrize("by_time", [True, False])
def test_late_rows_with_new_users_and_items_are_like_a_fit_on_all(by_time):
    first = [["b", 4, 5], ["b", 2, 9], ["c", 2, 1], ["c", 4, 1]]
    later = [["b", 3, 7], ["b", 4, 2], ["a", 0, 3], ["a", 4, 1], ["c", 0, 0]]  # in between, too early, new, earliest
    time = 2 if by_time else None
    model, whole = MarkovRecommender(time=time).fit(first).partial_fit(later), MarkovRecommender(time=time)
    rows = first + later if by_time else [[*row[:2], 0] for row in first + later]
    require_like_a_fit_on_all(model, whole.fit(first + later), rows)
    if by_time:  # of b: 4, 3, 2; the history of b is what they had, 2 last
        row = model._recent[[model.users_.tolist().index("b")]].toarray()[0]
        assert_allclose(row[[model.items_.tolist().index(item) for item in (4, 3, 2)]], [0.64, 0.8, 1.0])


def test_a_repeated_fold_in_that_fails_changes_nothing():
    model = MarkovRecommender(time=2).fit([["a", "p", 1], ["a", "s", 2]])
    before = model.transitions_.toarray()
    with pytest.raises(ValueError, match="time=2 is missing"):
        model.partial_fit(np.array([["a", "q", np.nan]], dtype=object))
    assert_array_equal(model.transitions_.toarray(), before)
    assert model.items_.tolist() == ["p", "s"]


def test_times_of_several_calls_are_compared_as_they_are():
    pd = pytest.importorskip("pandas")
    names = {"user": "user", "item": "item", "time": "when"}
    late = 1_700_000_000_000_000_001  # nanoseconds, which float64 does not tell apart
    first = pd.DataFrame({"user": "a", "item": ["p", "s"], "when": [late, late + 2]})
    between = pd.DataFrame({"user": ["a"], "item": ["q"], "when": [late + 1]})
    expected = [[0, 0.8, 1.0], [0, 0, 0], [0, 1.0, 0]]  # p, q, s; the items are p, s, q
    for convert in (lambda when: when, pd.to_datetime, lambda when: pd.to_datetime(when, utc=True)):
        parts = [part.assign(when=convert(part["when"])) for part in (first, between)]
        model = MarkovRecommender(**names).fit(parts[0]).partial_fit(parts[1])
        assert_allclose(model.transitions_.toarray(), expected)
    with pytest.raises(TypeError, match=r"time='when'.*earlier rows: these are dates .*now there are numbers \(int64"):
        model.partial_fit(between)
    with pytest.raises(ValueError, match=r"time='when'.*int64 in the earlier rows and float64 now"):
        MarkovRecommender(**names).fit(first).partial_fit(between.assign(when=0.5))


def test_days_and_seconds_have_one_order():
    import datetime

    day = datetime.date(2026, 1, 1)
    model = MarkovRecommender(time=2).fit([["a", "p", day], ["a", "s", day + datetime.timedelta(days=1)]])
    noon = np.array(["2026-01-01T12:00"], dtype="datetime64[s]").astype(object)[0]
    model.partial_fit([["a", "q", noon]])
    assert_allclose(model.transitions_.toarray(), [[0, 0.8, 1.0], [0, 0, 0], [0, 1.0, 0]])


def test_a_file_without_times_says_what_to_do():
    model = MarkovRecommender(time=2).fit([["a", "p", 1], ["a", "s", 2]])
    del model._times
    with pytest.raises(ValueError, match=r"file that does not hold the times of its rows.*fit it again"):
        model.partial_fit([["a", "q", 3]])
    assert model.recommend(["a"], 1, exclude_seen=False)[0].tolist() == [["s"]]
