"""Questions of the next item: lists and metrics against loops over questions, and every error."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from stand_in import StandIn

from skllmrec.exceptions import RepeatedRowsWarning, UnknownIdError
from skllmrec.metrics import make_ranking_scorer, rank_test_users
from skllmrec.model_selection import LeaveLastOut, add_histories, next_item_split
from skllmrec.recommenders import (
    BlendRecommender,
    FeatureMFRecommender,
    LinearAutoencoderRecommender,
    MarkovRecommender,
    NeighborsRecommender,
    PopularityRecommender,
)

COLUMNS = {"user": "user", "item": "item"}


def make_rows(seed=0, n_users=30, n_items=25, length=9):
    """Users who walk through the items in steps of one to three, at distinct times; repeats occur."""
    rng = np.random.default_rng(seed)
    walks = (
        rng.integers(0, n_items, n_users)[:, None] + rng.integers(0, 4, (n_users, length)).cumsum(axis=1)
    ) % n_items
    frame = pd.DataFrame({"user": np.repeat([f"u{user}" for user in range(n_users)], length), "item": walks.ravel()})
    frame["item"] = [f"i{item:02d}" for item in frame["item"]]
    frame["time"] = np.tile(np.arange(length) * 1000, n_users) + rng.permutation(len(frame))
    return frame.sort_values("time", ignore_index=True)


ROWS = make_rows()
TRAIN, QUESTIONS = next_item_split(ROWS, **COLUMNS, time="time", n_last=2)


def naive_ranks(recommender, questions, candidates, *, exclude_seen):
    """Place of what came next in the list of each question, asked one by one; infinite where it is not listed."""
    ranks = []
    for history, item in zip(questions["history"], questions["item"], strict=True):
        ids, scores = recommender.recommend(
            history=[list(history)], candidates=candidates, n_items=len(candidates), exclude_seen=exclude_seen
        )
        listed = ids[0][scores[0] > -np.inf].tolist()
        ranks.append(listed.index(item) + 1 if item in listed else np.inf)
    return np.array(ranks)


RECOMMENDERS = {
    "popularity": PopularityRecommender(**COLUMNS, feedback="implicit"),
    "markov": MarkovRecommender(**COLUMNS, time="time"),
    "neighbours": NeighborsRecommender(**COLUMNS, by="interactions"),
    "factors": FeatureMFRecommender(4, **COLUMNS, feedback="implicit", random_state=0),
    "autoencoder": LinearAutoencoderRecommender(**COLUMNS, alpha=5.0),
    "pipeline": make_pipeline(FunctionTransformer(), MarkovRecommender(**COLUMNS, time="time")),
}


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("name", RECOMMENDERS)
@pytest.mark.filterwarnings("ignore::skllmrec.exceptions.RepeatedRowsWarning")
def test_metrics_are_those_of_a_loop_over_questions(name, exclude_seen):
    recommender = RECOMMENDERS[name].fit(TRAIN)
    ranked = rank_test_users(recommender, QUESTIONS, history="history", k=5, exclude_seen=exclude_seen)
    assert len(ranked.users) == len(ranked.rows) == len(QUESTIONS)
    inner = recommender[-1] if name == "pipeline" else recommender
    ranks = naive_ranks(inner, QUESTIONS, ranked.items, exclude_seen=exclude_seen)
    hit = ranks <= 5
    for metric, expected in {
        "hit_rate": hit,
        "recall": hit,
        "precision": hit / 5,
        "mrr": hit / ranks,
        "ndcg": hit / np.log2(1 + ranks),
        "map": hit / ranks,
    }.items():
        np.testing.assert_allclose(ranked.evaluate(metric, average=False), expected, err_msg=metric)
        scorer = make_ranking_scorer(metric, k=5, exclude_seen=exclude_seen, history="history")
        assert scorer(recommender, QUESTIONS) == pytest.approx(np.mean(expected))
    assert 0 < hit.mean() < 1


def test_the_history_of_a_question_is_what_diversity_is_measured_against():
    ranked = rank_test_users(RECOMMENDERS["markov"].fit(TRAIN), QUESTIONS, history="history", exclude_seen=False)
    known = ranked.history.toarray()
    for row, history in enumerate(QUESTIONS["history"]):
        assert set(ranked.items[known[row]]) == set(history)
    assert ranked.users.tolist() == QUESTIONS["user"].tolist()


def test_people_whom_training_never_met_and_tables_without_users():
    markov = RECOMMENDERS["markov"].fit(TRAIN)
    options = {"history": "history", "exclude_seen": False, "k": 5}
    expected = rank_test_users(markov, QUESTIONS, **options)
    strangers = QUESTIONS.assign(user=[f"new {row}" for row in range(len(QUESTIONS))])
    nobody = QUESTIONS[["history", "item"]]
    arrays = nobody.assign(history=[np.array(history, dtype=object) for history in nobody["history"]])
    for table in (strangers, nobody, arrays, pl.from_pandas(nobody)):
        ranked = rank_test_users(markov, table, **options)
        np.testing.assert_array_equal(ranked.recommended, expected.recommended)
    assert rank_test_users(markov, nobody, **options).users.tolist() == list(range(len(QUESTIONS)))


def test_arrays_have_their_histories_in_the_last_column():
    train, questions = next_item_split(ROWS.to_numpy(), time=2)
    markov = MarkovRecommender(time=2).fit(train)
    ranked = rank_test_users(markov, questions, history=-1, k=5, exclude_seen=False)
    framed = next_item_split(ROWS, **COLUMNS, time="time")[1]
    expected = rank_test_users(
        markov.set_params(**COLUMNS, time="time").fit(TRAIN), framed, history="history", k=5, exclude_seen=False
    )
    assert ranked.relevant.shape == expected.relevant.shape


def test_new_items_bring_their_features_or_are_left_out():
    texts = {f"i{item:02d}": f"word{item % 5} series{item // 5 if item < 25 else 4}" for item in range(26)}
    train, questions = (table.assign(text=table["item"].map(texts)) for table in (TRAIN, QUESTIONS))
    new = pd.DataFrame({"user": ["u1"], "item": ["i25"], "text": [texts["i25"]], "history": [["i20", "i21"]]})
    questions = pd.concat([questions, new], ignore_index=True)
    recommender = NeighborsRecommender(**COLUMNS, by="content", item_features="text", item_encoder=TfidfVectorizer())
    options = {"history": "history", "exclude_seen": False, "k": 20}
    ranked = rank_test_users(recommender.fit(train), questions, **options)
    assert ranked.rows[-1] == len(questions) - 1
    assert ranked.items[ranked.relevant[[len(ranked.users) - 1]].indices].tolist() == ["i25"]
    assert ranked.evaluate("hit_rate", average=False)[-1] == 1
    fitted = rank_test_users(recommender, questions, candidates="fitted", **options)
    assert len(fitted.users) == len(questions) - 1


def test_ratings_decide_which_rows_ask_and_empty_histories_do_not():
    table = add_histories(ROWS, **COLUMNS, time="time")
    y = np.arange(len(table)) % 5
    ranked = rank_test_users(
        RECOMMENDERS["markov"].fit(TRAIN), table, y, threshold=3, history="history", exclude_seen=False
    )
    expected = [row for row in range(len(table)) if y[row] >= 3 and table["history"][row]]
    assert ranked.rows.tolist() == expected


def test_repeats_are_counted_left_out_or_hits():
    repeats = sum(item in history for item, history in zip(QUESTIONS["item"], QUESTIONS["history"], strict=True))
    assert repeats > 5
    recommender = RECOMMENDERS["markov"].fit(TRAIN)
    message = (
        rf"{repeats} of {len(QUESTIONS)} test rows .* have an item that is in the history of the same row. What is"
    )
    with pytest.warns(RepeatedRowsWarning, match=message):
        without = rank_test_users(recommender, QUESTIONS, history="history", k=20)
    with pytest.warns(RepeatedRowsWarning, match=message):
        make_ranking_scorer("ndcg", history="history")(recommender, QUESTIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ranked = rank_test_users(recommender, QUESTIONS, history="history", k=20, exclude_seen=False)
    repeated = [item in history for item, history in zip(QUESTIONS["item"], QUESTIONS["history"], strict=True)]
    assert not without.evaluate("hit_rate", average=False)[repeated].any()
    assert ranked.evaluate("hit_rate", average=False)[repeated].any()


def test_unknown_items_in_histories_say_nothing_or_are_refused():
    table = pd.DataFrame({"item": ["i03", "i03"], "history": [["i01", "gone"], ["gone"]]})
    recommender = MarkovRecommender(**COLUMNS, time="time").fit(TRAIN)
    ranked = rank_test_users(recommender, table, history="history", exclude_seen=False)
    assert ranked.recommended.shape == (2, 10)
    assert ranked.history.sum(axis=1).tolist() == [1, 0]
    with pytest.raises(UnknownIdError, match="gone"):
        rank_test_users(recommender.set_params(handle_unknown="error").fit(TRAIN), table, history="history")


def test_one_item_and_100_000_items_are_histories():
    table = pd.DataFrame({"item": ["i03", "i03"], "history": [["i01"], ["i01", "i02"] * 50_000]})
    for name in ("markov", "factors"):
        ranked = rank_test_users(RECOMMENDERS[name].fit(TRAIN), table, history="history", exclude_seen=False)
        assert ranked.recommended.shape == (2, 10)
        assert ranked.history.sum(axis=1).tolist() == [1, 2]


def test_a_search_chooses_by_questions():
    table = add_histories(ROWS, **COLUMNS, time="time")
    scorer = make_ranking_scorer("ndcg", k=5, history="history", exclude_seen=False)
    grid = {"window": [1, 3], "decay": [0.1, 1.0]}
    cv = LeaveLastOut(user="user", time="time")
    search = GridSearchCV(MarkovRecommender(**COLUMNS, time="time"), grid, scoring=scorer, cv=cv).fit(table)
    (train, test), point = next(cv.split(table)), search.best_params_
    by_hand = MarkovRecommender(**COLUMNS, time="time", **point).fit(table.iloc[train])
    assert search.best_score_ == pytest.approx(scorer(by_hand, table.iloc[test]))
    assert repr(scorer).endswith("exclude_seen=False, history='history')")


def test_a_blend_answers():
    blend = BlendRecommender(
        [("markov", RECOMMENDERS["markov"]), ("neighbours", RECOMMENDERS["neighbours"])], **COLUMNS, random_state=0
    )
    ranked = rank_test_users(blend.fit(TRAIN), QUESTIONS, history="history", k=5, exclude_seen=False)
    assert ranked.evaluate("hit_rate") > 0.2


ASKED = pd.DataFrame({"item": ["i01", "i02", "i03"], "history": [["i02"], ["i03"], ["i04"]]})


@pytest.mark.parametrize(
    ("table", "change", "error", "message"),
    [
        (ASKED, {"history": "before"}, ValueError, r"history='before' is not a column of X: its columns are \['item'"),
        (ASKED.assign(history=[["i02"], "i03", []]), {}, ValueError, "that of row 1 is 'i03' .str.: put it in a list"),
        (
            ASKED.assign(history=[["i02"], None, []]),
            {},
            ValueError,
            "that of row 1 is None .NoneType.: put it in a list",
        ),
        (ASKED.assign(history=[["i02"], [], ["i01", None]]), {}, ValueError, "of row 2 holds a missing id .None."),
        (ASKED.assign(history=[["i02"], [], [np.nan]]), {}, ValueError, "of row 2 holds a missing id .nan."),
        (ASKED.assign(history=[["i02"], [], ["i01", 3]]), {}, TypeError, "mix"),
        (ASKED.assign(history=[[["i02"]], [], []]), {}, ValueError, "must be one-dimensional, got shape"),
        (ASKED.assign(history=[[2], [3], [4]]), {}, TypeError, "numbers"),
        (ASKED.rename(columns={"item": "next"}), {}, ValueError, "item='item' is not a column of X"),
        (ASKED.assign(item=[1, 2, 3]), {}, TypeError, "a string never equals a number"),
    ],
)
def test_what_is_wrong_is_named(table, change, error, message):
    with pytest.raises(error, match=message):
        rank_test_users(RECOMMENDERS["markov"].fit(TRAIN), table, **{"history": "history", **change})


def test_nothing_to_ask_is_named_by_the_scorer():
    empty = ASKED.assign(history=[[], [], []])
    scorer = make_ranking_scorer("mrr", history="history")
    with pytest.raises(ValueError, match="no row with a history has a relevant item among the candidates"):
        scorer(RECOMMENDERS["markov"].fit(TRAIN), empty)
    assert len(rank_test_users(RECOMMENDERS["markov"], empty, history="history").users) == 0


def test_recommenders_without_histories_are_refused():
    rows = TRAIN[["user", "item"]].to_numpy()
    with pytest.raises(TypeError, match=r"StandIn\.recommend has no parameter history"):
        rank_test_users(StandIn().fit(rows), ASKED, history="history")


def test_a_recommender_that_repeats_what_it_was_to_leave_out_is_refused():
    class Stubborn(MarkovRecommender):
        def recommend(self, users=None, n_items=10, *, exclude_seen=True, **options):
            return super().recommend(users, n_items, exclude_seen=False, **options)

    rows = QUESTIONS[
        [item not in history for item, history in zip(QUESTIONS["item"], QUESTIONS["history"], strict=True)]
    ]
    with pytest.raises(ValueError, match="who had it in the history, although exclude_seen=True"):
        rank_test_users(Stubborn(**COLUMNS, time="time").fit(TRAIN), rows, history="history", k=20)
