"""compare_recommenders on questions of the next item: figures, unit, words, checkpoints."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV

from skllmrec import MarkovRecommender, PopularityRecommender, compare_recommenders
from skllmrec.comparison import Comparison
from skllmrec.exceptions import RepeatedRowsWarning
from skllmrec.metrics import make_ranking_scorer, rank_test_users
from skllmrec.model_selection import LeaveLastOut, TemporalSplit, add_histories

COLUMNS = {"user": "user", "item": "item"}
QUICK = {"k": 5, "n_permutations": 199, "n_resamples": 99, "random_state": 0, "history": "history"}
ESTIMATORS = {
    "popularity": PopularityRecommender(**COLUMNS, feedback="implicit"),
    "markov": MarkovRecommender(**COLUMNS, time="time"),
}


def make_walks(seed=0, n_users=30, n_items=25, length=9):
    """Users who walk through the items in steps of zero to three."""
    rng = np.random.default_rng(seed)
    walks = (
        rng.integers(0, n_items, n_users)[:, None] + rng.integers(0, 4, (n_users, length)).cumsum(axis=1)
    ) % n_items
    frame = pd.DataFrame({"user": np.repeat(np.arange(n_users), length), "item": walks.ravel()})
    frame["time"] = np.tile(np.arange(length) * 1000, n_users) + rng.permutation(len(frame))
    return add_histories(frame, **COLUMNS, time="time")


X = make_walks()


def test_questions_are_the_unit_and_the_figures_are_those_of_the_lists():
    cv, names = TemporalSplit(time="time", test_size=0.25, n_splits=2), ("hit_rate", "ndcg", "mrr")
    options = {"metrics": (*names, "coverage"), "exclude_seen": False, **QUICK}
    comparison = compare_recommenders(ESTIMATORS, X, cv=cv, **options)
    rng = np.random.RandomState(0)
    rng.randint(np.iinfo(np.int32).max)
    seeds = rng.randint(np.iinfo(np.int32).max, size=2)  # of ties
    values = []
    for seed, (train, test) in zip(seeds, cv.split(X), strict=True):
        fitted = ESTIMATORS["markov"].fit(X.iloc[train])
        ranked = rank_test_users(
            fitted, X.iloc[test], history="history", k=5, exclude_seen=False, random_state=int(seed)
        )
        found = {f"{name}@5": ranked.evaluate(name, average=False) for name in names}
        values.append(pd.DataFrame({"user": test[ranked.rows], **found}))
    expected, rows = pd.concat(values), comparison.per_user.query("estimator == 'markov'")
    pd.testing.assert_frame_equal(rows[expected.columns].reset_index(drop=True), expected.reset_index(drop=True))
    assert comparison.value("markov", "ndcg", "n_users") == len(expected)
    assert comparison.value("markov", "ndcg") == pytest.approx(expected["ndcg@5"].mean())
    assert comparison.value("markov", "hit_rate") > comparison.value("popularity", "hit_rate") + 0.1
    assert comparison.settings["history"] == "history"


def test_words_are_of_questions_on_the_page_and_after_a_file(tmp_path):
    options = {"metrics": ("ndcg", "hit_rate"), "exclude_seen": False}
    comparison = compare_recommenders(ESTIMATORS, X, cv=LeaveLastOut(user="user", time="time"), **options, **QUICK)
    assert "30 test questions" in repr(comparison)
    assert "permutation test over questions" in comparison.legend()
    page = comparison.to_html()
    assert "what comes next after the &#x27;history&#x27; of each test row" in page
    assert "find what comes next among 5 recommendations" in page
    assert "over users" not in page
    comparison.to_json(tmp_path / "results.json")
    assert "30 test questions" in repr(Comparison.from_json(tmp_path / "results.json"))
    plain = compare_recommenders(
        ESTIMATORS, X, cv=LeaveLastOut(user="user", time="time"), **options, **{**QUICK, "history": None}
    )
    assert "30 test users" in repr(plain)
    assert "Questions" not in plain.to_html()


def test_repeats_are_counted_and_warned_of():
    cv = LeaveLastOut(user="user", time="time")
    last = X.iloc[next(cv.split(X))[1]]
    repeats = sum(item in history for item, history in zip(last["item"], last["history"], strict=True))
    assert repeats > 2
    options = {"cv": cv, "metrics": "hit_rate", **QUICK}
    with pytest.warns(RepeatedRowsWarning, match=f"{repeats} of 30 test rows .* history of the same row"):
        without = compare_recommenders(ESTIMATORS, X, **options)
    comparison = compare_recommenders(ESTIMATORS, X, exclude_seen=False, **options)
    for found in (without, comparison):
        assert found.settings["repeated_rows"] == {"rows": repeats, "of": 30, "by_fold": [repeats]}
        assert "Test rows already in their history" in found.to_html()
    rows = comparison.per_user.query("estimator == 'markov'")["hit_rate@5"].to_numpy()
    repeated = np.array([item in history for item, history in zip(last["item"], last["history"], strict=True)])
    assert rows[repeated].any()
    assert not without.per_user.query("estimator == 'markov'")["hit_rate@5"].to_numpy()[repeated].any()


def test_searches_inside_and_checkpoints_know_the_histories(tmp_path, capsys):
    cv = LeaveLastOut(user="user", time="time")
    scorer = make_ranking_scorer("ndcg", k=5, history="history", exclude_seen=False)
    search = GridSearchCV(ESTIMATORS["markov"], {"window": [1, 3]}, scoring=scorer, cv=cv)
    options = {"cv": cv, "metrics": "ndcg", "exclude_seen": False, "checkpoint_dir": tmp_path, "verbose": True, **QUICK}
    first = compare_recommenders({"search": search}, X, **options)
    assert first.chosen["params"].iloc[0]["window"] in (1, 3)
    capsys.readouterr()
    again = compare_recommenders({"search": search}, X, **options)
    assert "[1/1]" not in capsys.readouterr().out, "nothing is computed again"
    assert again.value("search", "ndcg") == first.value("search", "ndcg")
    shorter = X.assign(history=[history[-1:] for history in X["history"]])
    compare_recommenders({"search": search}, shorter, **options)
    assert "[1/1]" in capsys.readouterr().out, "other histories are other data"


def test_a_column_that_holds_no_histories_is_named():
    with pytest.raises(ValueError, match="history='past' is not a column of X"):
        compare_recommenders(ESTIMATORS, X, cv=3, **{**QUICK, "history": "past"})
    with pytest.raises(ValueError, match="history column 'time' holds one list of item ids for each row"):
        compare_recommenders(ESTIMATORS, X, cv=3, **{**QUICK, "history": "time"})
