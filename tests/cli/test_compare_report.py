"""The lists of a user."""

import pandas as pd

from skllmrec._cli.compare.data import JobData
from skllmrec._cli.compare.report import lists_of_user, pick_user, side_by_side
from skllmrec.recommenders import PopularityRecommender


def data_of(rows, threshold=None):
    X = pd.DataFrame(rows, columns=["user_id", "item_id", "strength"])
    items = pd.DataFrame({"item_id": [1, 2, 3, 4, 5], "title": ["One", "Two", None, " ", "Five"]})
    return JobData(
        "x", X[["user_id", "item_id"]], None, items, threshold, "{title}", ["title"], "title", X["strength"], ["title"]
    )


def test_lists_of_a_user_name_titles_best_liked_first():
    data = data_of([(7, 1, 3.0), (7, 2, 5.0), (7, 4, 1.0), (8, 5, 5.0), (8, 3, 5.0), (9, 5, 5.0)], threshold=2)
    recommender = PopularityRecommender(feedback="implicit").fit(data.X.to_numpy())
    liked, recommended = lists_of_user(data, recommender, 7)
    assert liked == ["Two", "One"]
    assert recommended == ["Five", "item 3"]


def test_the_user_shown_has_a_history_of_median_length():
    rows = [(user, item, 1.0) for user, length in ((1, 5), (2, 7), (3, 9), (4, 2)) for item in range(length)]
    assert pick_user(data_of(rows)) == 2
    assert type(pick_user(data_of(rows))) is int


def test_columns_are_side_by_side_and_long_titles_cut():
    lines = side_by_side(["short", "x" * 100], ["right"], ("left", "heads"))
    assert lines[1].endswith("right")
    assert lines[1].index("right") == lines[0].index("heads")
    assert lines[2].rstrip().endswith("x...")
