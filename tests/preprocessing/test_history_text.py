"""HistoryText against a naive loop, in pipelines, without a look at the test rows."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline

from skllmrec.metrics import make_ranking_scorer
from skllmrec.preprocessing import HistoryText
from skllmrec.recommenders import FeatureMFRecommender


def rows_of(seed, n=300):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"user": rng.integers(0, 20, n), "item": rng.integers(0, 40, n), "time": rng.integers(0, 50, n)}
    )
    frame["title"] = ["" if item == 7 else f"film {item % 30}" for item in frame["item"]]
    return frame, rng.integers(1, 6, n).astype(float)


def naive(frame, y, *, order, threshold, n_rows):
    texts = {}
    for user, rows in frame.assign(y=y, row=range(len(frame))).groupby("user"):
        rows = rows[(rows["title"] != "") & (rows["y"] >= threshold)]
        keys = ["time", "row"] if order == "time" else ["y", "time"]
        titles = []
        for title in rows.sort_values([*keys, "row"][:3], ascending=False)["title"]:
            if title not in titles:
                titles.append(title)
        texts[user] = "; ".join(titles[:n_rows])
    return texts


@pytest.mark.parametrize("order", ["time", "weight"])
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_naive_loop(order, seed):
    frame, y = rows_of(seed)
    if order == "weight":
        frame["time"] = np.random.default_rng(seed).permutation(len(frame))  # no ties beyond the weight
    step = HistoryText("{title}", user="user", time="time", order=order, threshold=2, n_rows=4).fit(frame, y)
    wanted = naive(frame, y, order=order, threshold=2, n_rows=4)
    assert dict(zip(step.users_.tolist(), step.texts_.tolist(), strict=True)) == wanted
    assert max(text.count(";") for text in step.texts_) == 3


def test_rows_are_in_the_order_of_time_where_none_is_named():
    X = np.array([["a", "x"], ["a", "y"], ["a", "x"], ["b", None]], dtype=object)
    assert HistoryText("{1}").fit(X).texts_.tolist() == ["x; y", ""]
    assert HistoryText("{1}").fit(X, [9, 1, 1, 1]).texts_.tolist() == ["x; y", ""]
    heavy = HistoryText("{1}", order="weight", separator=" | ").fit(X, [1, 9, 1, 1])
    assert heavy.texts_.tolist() == ["y | x", ""]


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames_keep_their_kind(frame):
    X = frame({"user": [3, 3, 5], "title": ["x", "y", "z"]})
    step = HistoryText("{title}", user="user", name="liked").fit(X)
    out = step.transform(frame({"user": [5, 4], "title": ["q", "q"]}))
    assert isinstance(out, frame)
    assert out["liked"].to_list() == ["z", ""]
    assert list(out.columns) == step.get_feature_names_out().tolist() == ["user", "title", "liked"]
    with pytest.raises(ValueError, match="has a column 'liked' already"):
        step.transform(out)


def test_index_of_pandas_stays():
    X = pd.DataFrame({"user": [3, 5], "title": ["x", "z"]}, index=[8, 2])
    assert HistoryText("{title}", user="user").fit_transform(X)["history"].loc[2] == "z"


def test_in_cross_validation_it_reads_training_rows_only():
    frame, _ = rows_of(0)
    train, test = next(KFold(3, shuffle=True, random_state=0).split(frame))
    changed = frame.copy()
    changed.loc[changed.index[test], "title"] = "unheard of"
    texts = [
        HistoryText("{title}", user="user").fit(rows.iloc[train]).transform(rows.iloc[test])
        for rows in (frame, changed)
    ]
    assert texts[0]["history"].tolist() == texts[1]["history"].tolist()
    assert texts[0]["history"].str.len().min() > 0


def test_gives_a_recommender_features_of_users():
    frame, _ = rows_of(1)
    model = make_pipeline(
        HistoryText("{title}", user="user"),
        FeatureMFRecommender(
            4,
            user="user",
            item="item",
            user_features="history",
            user_encoder=TfidfVectorizer(),
            feedback="implicit",
            alpha=0.01,
            random_state=0,
        ),
    )
    scores = cross_val_score(
        model, frame, cv=KFold(3, shuffle=True, random_state=0), scoring=make_ranking_scorer("ndcg", exclude_seen=False)
    )
    assert np.isfinite(scores).all()
    ids, _ = model.fit(frame)[-1].recommend([0, 1], n_items=3)
    assert ids.shape == (2, 3)


@pytest.mark.parametrize(
    ("parameters", "y", "error", "says"),
    [
        ({"order": "weight"}, None, ValueError, "need y"),
        ({"threshold": 1.0}, [1.0, np.nan], ValueError, "y contains NaN"),
        ({"threshold": 1.0}, [1.0], ValueError, "inconsistent"),
        ({"n_rows": 0}, None, ValueError, "n_rows"),
        ({"template": "{5}"}, None, ValueError, "asks for column 5"),
        ({"time": 1}, None, TypeError, "holds strings"),
    ],
    ids=["weight", "nan", "length", "number", "template", "time"],
)
def test_bad_input(parameters, y, error, says):
    with pytest.raises(error, match=says):
        HistoryText(**({"template": "{1}"} | parameters)).fit([["a", "x"], ["b", "y"]], y)
    with pytest.raises(NotFittedError):
        HistoryText().transform([["a", "x"]])
