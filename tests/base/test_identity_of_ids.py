"""Ids keep their identity wherever they come in: rounded ids are refused, text never equals a number."""

import numpy as np
import pandas as pd
import pytest

from skllmrec.base import FeatureTable
from skllmrec.metrics import make_ranking_scorer
from skllmrec.model_selection import LeaveLastOut
from skllmrec.preprocessing import HistoryText, InteractionFilter
from skllmrec.recommenders import FeatureMFRecommender, NeighborsRecommender, PopularityRecommender

FIRST = 76561198070234000
X = pd.DataFrame({"user": [FIRST + j % 5 for j in range(30)], "item": [FIRST + j % 7 for j in range(30)]})
ROUNDED = X.astype("float64")
REFUSED = "floating-point number.*read the column as text or Int64"


@pytest.fixture(scope="module")
def model():
    return NeighborsRecommender(user="user", item="item", feedback="implicit").fit(X)


CALLS = {
    "fit": lambda model: PopularityRecommender(user="user", item="item", feedback="explicit").fit(ROUNDED),
    "partial_fit": lambda model: PopularityRecommender(user="user", item="item", feedback="explicit").partial_fit(
        ROUNDED
    ),
    "predict": lambda model: model.predict(ROUNDED),
    "users": lambda model: model.recommend([float(FIRST)]),
    "candidates": lambda model: model.recommend([FIRST], candidates=[float(FIRST)]),
    "candidates array": lambda model: model.recommend([FIRST], candidates=np.array([float(FIRST)])),
    "allow": lambda model: model.recommend([FIRST], allow=[[float(FIRST)]]),
    "deny": lambda model: model.recommend([FIRST], deny=[[float(FIRST)]]),
    "history": lambda model: model.recommend(history=[[float(FIRST)]]),
    "similar_items": lambda model: model.similar_items([float(FIRST)]),
    "table": lambda model: FeatureTable(ROUNDED.drop_duplicates("item"), key="item"),
    "splitter": lambda model: list(LeaveLastOut(user="user").split(ROUNDED)),
    "filter": lambda model: InteractionFilter(user="user", item="item").fit_resample(ROUNDED),
    "history text": lambda model: HistoryText("{item}", user="user").fit(ROUNDED),
    "scorer": lambda model: make_ranking_scorer("ndcg")(model, ROUNDED),
}


@pytest.mark.parametrize("call", CALLS)
def test_rounded_ids_are_refused_wherever_they_come_in(model, call):
    with pytest.raises(ValueError, match=REFUSED):
        CALLS[call](model)


@pytest.mark.parametrize("features", [None, "price"])
def test_a_table_of_texts_for_integers_says_so(features):
    rows = pd.DataFrame({"user": [1, 1, 2], "item": [0, 1, 2]})
    table = FeatureTable(pd.DataFrame({"item": ["0", "1", "2"], "price": [1.0, 2.0, 3.0]}), key="item")
    model = FeatureMFRecommender(2, user="user", item="item", item_features=features, feedback="implicit")
    with pytest.raises(TypeError, match=r"item ids of X are numbers, e.g. 0, but item_table has strings, e.g. '0'"):
        model.fit(rows, item_table=table)
