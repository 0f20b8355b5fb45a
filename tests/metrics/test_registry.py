"""The table of metrics: complete, scored by name, and open to metrics of one's own."""

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer
from stand_in import StandIn, make_rows

from skllmrec import metrics
from skllmrec.base import FeatureTable
from skllmrec.metrics import Metric, get_metric, get_metric_names, make_ranking_scorer, rank_test_users
from skllmrec.metrics._registry import METRICS, as_metric

TRAIN, TEST = make_rows(1)
ITEMS = np.unique(np.concatenate([TRAIN[:, 1], TEST[:, 1]]))
USERS = np.unique(np.concatenate([TRAIN[:, 0], TEST[:, 0]]))
RNG = np.random.default_rng(0)
VECTORS = RNG.normal(size=(len(ITEMS), 3))
GENRES = ["|".join(RNG.choice(["drama", "comedy", "war"], 1 + i % 2, replace=False)) for i in range(len(ITEMS))]
GROUPS = np.where(USERS % 2, "odd", "even")
SPACE = FeatureTable(pd.DataFrame(VECTORS, columns=list("abc")).assign(item=ITEMS), key="item")
CLASSES = FeatureTable(pd.DataFrame({"item": ITEMS, "genres": GENRES}), key="item")
BY_USER = FeatureTable(pd.DataFrame({"user": USERS, "group": GROUPS}), key="user")
TABLES = {"item_vectors": SPACE, "item_classes": CLASSES, "user_groups": BY_USER}


@pytest.fixture(scope="module")
def recommender():
    return StandIn().fit(TRAIN)


@pytest.fixture(scope="module")
def ranked(recommender):
    return rank_test_users(recommender, TEST, k=4)


def by_hand(ranked):
    """Every metric, by the public function and arrays that are put together here."""
    items = np.searchsorted(ITEMS, ranked.items)
    known = {tuple(row) for row in TRAIN.tolist()}
    history = np.array([[(user, item) in known for item in ranked.items] for user in ranked.users])
    counts = np.array([(TRAIN[:, 1] == item).sum() for item in ranked.items])
    classes = CountVectorizer().fit_transform(GENRES).toarray()[items]
    relevant, lists, n_items = ranked.relevant, ranked.recommended, len(ranked.items)
    ndcg = metrics.ndcg_at_k(relevant, lists, k=4, average=False)
    groups = GROUPS[np.searchsorted(USERS, ranked.users)]
    return {
        "ndcg": np.nanmean(ndcg),
        "recall": metrics.recall_at_k(relevant, lists, k=4),
        "precision": metrics.precision_at_k(relevant, lists, k=4),
        "hit_rate": metrics.hit_rate_at_k(relevant, lists, k=4),
        "map": metrics.map_at_k(relevant, lists, k=4),
        "mrr": metrics.mrr_at_k(relevant, lists, k=4),
        "ild": metrics.intra_list_diversity(lists, VECTORS[items], k=4),
        "serendipity": metrics.serendipity(relevant, lists, history, VECTORS[items], k=4),
        "novelty": metrics.novelty(lists, counts, len(np.unique(TRAIN[:, 0])), k=4),
        "miscalibration": metrics.miscalibration(lists, history, classes, k=4),
        "coverage": metrics.catalog_coverage(lists, n_items, k=4),
        "gini": metrics.gini_index(lists, n_items, k=4),
        "personalization": metrics.personalization(lists, n_items, k=4),
        "popularity_lift": metrics.popularity_lift(lists, history, counts, k=4),
        "fairness_gap": abs(ndcg[groups == "odd"].mean() - ndcg[groups == "even"].mean()),
    }


OF_LISTS = [name for name in get_metric_names() if not get_metric(name).of_predictions]


def test_every_public_metric_is_in_the_table():
    arguments = {"relevant", "recommended", "values"}
    public = [getattr(metrics, name) for name in metrics.__all__]
    functions = [f for f in public if inspect.isfunction(f) and arguments & set(inspect.signature(f).parameters)]
    functions = [f for f in functions if f is not metrics.by_segment]  # a table of a metric, not a number
    listed = [metric.function for metric in METRICS.values()]
    through_ndcg = [metrics.fairness_gap]
    assert len(functions) == 15
    assert all(function in listed or function in through_ndcg for function in functions)
    assert all(metric.description for metric in METRICS.values())
    assert list(METRICS) == [metric.name for metric in METRICS.values()]


def test_the_test_knows_every_metric(ranked):
    assert sorted(by_hand(ranked)) == OF_LISTS


@pytest.mark.parametrize("name", OF_LISTS)
def test_scores_are_those_of_the_function(name, recommender, ranked):
    expected = by_hand(ranked)[name]
    assert np.isfinite(expected)
    assert ranked.evaluate(name, **TABLES) == pytest.approx(expected, abs=1e-12)
    scorer = make_ranking_scorer(name, k=4, **TABLES)
    sign = 1 if get_metric(name).greater_is_better else -1
    assert scorer(recommender, TEST) == pytest.approx(sign * expected, abs=1e-12)
    assert pickle.loads(pickle.dumps(scorer))(recommender, TEST) == scorer(recommender, TEST)  # noqa: S301 - our own


@pytest.mark.parametrize("name", OF_LISTS)
def test_values_per_user_average_to_the_metric(name, ranked):
    if get_metric(name).per == "user":
        values = ranked.evaluate(name, average=False, **TABLES)
        assert values.shape == ranked.users.shape
        assert np.nanmean(values) == pytest.approx(ranked.evaluate(name, **TABLES))
    elif name != "popularity_lift":  # a ratio of means, which has values per user as well
        with pytest.raises(ValueError, match="no values per user"):
            ranked.evaluate(name, average=False, **TABLES)


@pytest.mark.parametrize("name", OF_LISTS)
def test_a_metric_says_which_table_it_needs(name, ranked):
    for need in set(get_metric(name).needs) & set(TABLES):
        lacking = TABLES | {need: None}
        with pytest.raises(ValueError, match=f"{name}.* needs {need}=FeatureTable"):
            make_ranking_scorer(name, **lacking)
        with pytest.raises(ValueError, match=f"{name}.* needs {need}: pass a FeatureTable"):
            ranked.evaluate(name, **lacking)


def test_functions_of_the_package_are_found_as_well(recommender, ranked):
    assert make_ranking_scorer(metrics.gini_index, k=4)(recommender, TEST) == -ranked.evaluate("gini")
    assert ranked.evaluate(metrics.catalog_coverage) == ranked.evaluate("coverage")


def test_aligned_arrays_are_taken_for_tables(ranked):
    items = np.searchsorted(ITEMS, ranked.items)
    assert ranked.evaluate("ild", item_vectors=VECTORS[items]) == ranked.evaluate("ild", item_vectors=SPACE)


@pytest.mark.parametrize(
    "genres",
    [
        [text.replace("|", ", ") for text in GENRES],
        [text.split("|") for text in GENRES],
        [text + ";" for text in GENRES],
    ],
)
def test_classes_are_read_from_texts_and_lists(genres, ranked):
    table = FeatureTable(pd.DataFrame({"item": ITEMS, "genres": genres}), key="item")
    assert ranked.evaluate("miscalibration", item_classes=table) == ranked.evaluate("miscalibration", **TABLES)


def test_columns_of_numbers_are_classes_and_missing_texts_none(ranked):
    counts = pd.Series(GENRES).str.get_dummies("|").assign(item=ITEMS, nothing=None)
    numbers = FeatureTable(counts, key="item")
    assert ranked.evaluate("miscalibration", item_classes=numbers) == pytest.approx(
        ranked.evaluate("miscalibration", **TABLES)
    )


@pytest.mark.parametrize(
    ("name", "table", "error", "message"),
    [
        ("ild", CLASSES, ValueError, "column 'genres' holds .* not numbers"),
        ("ild", FeatureTable(SPACE.frame.iloc[1:], key="item"), ValueError, "item_vectors lacks 1 of the"),
        ("ild", FeatureTable(SPACE.frame[["item"]], key="item"), ValueError, "no column beside its key"),
        ("ild", [[1.0]], TypeError, "item_vectors must be a FeatureTable"),
        ("fairness_gap", FeatureTable(BY_USER.frame.iloc[:3], key="user"), ValueError, "user_groups lacks .* users"),
        ("fairness_gap", FeatureTable(BY_USER.frame.assign(age=1), key="user"), ValueError, "must have one column"),
        ("fairness_gap", FeatureTable(BY_USER.frame.assign(group=None), key="user"), ValueError, "'group' is missing"),
    ],
)
def test_tables_that_do_not_fit(name, table, error, message, recommender):
    (need,) = set(get_metric(name).needs) & set(TABLES)
    with pytest.raises(error, match=message):
        make_ranking_scorer(name, **{need: table})(recommender, TEST)


def first_hit(relevant, recommended, k):
    return relevant.toarray()[np.arange(len(recommended)), recommended[:, 0]].astype(float)


def mean_count(recommended, item_counts, *, k, average=True):
    values = np.where(recommended >= 0, item_counts[recommended], np.nan)
    return float(np.nanmean(values)) if average else np.nanmean(values, axis=1)


def test_metrics_of_ones_own(recommender, ranked):
    hit = Metric("first_hit", first_hit)
    known = Metric("known", mean_count, ("recommended", "item_counts"), greater_is_better=False)
    assert ranked.evaluate(hit) == ranked.evaluate("precision", k=1)
    np.testing.assert_array_equal(
        ranked.evaluate(hit, average=False), first_hit(ranked.relevant, ranked.recommended, 4)
    )
    assert ranked.evaluate(known, average=False).shape == ranked.users.shape
    scores = make_ranking_scorer([hit, known, "ndcg"], k=4)(recommender, TEST)
    assert scores == {
        "first_hit": ranked.evaluate(hit),
        "known": -ranked.evaluate(known),
        "ndcg": ranked.evaluate("ndcg"),
    }
    assert repr(make_ranking_scorer(hit)).startswith("make_ranking_scorer(Metric('first_hit', ...), k=10")


def test_values_of_another_shape_are_refused(ranked):
    wrong = Metric("wrong", lambda relevant, recommended, k: 0.5)
    with pytest.raises(ValueError, match=r"'wrong' must return one value per user, .* per='test_set'"):
        ranked.evaluate(wrong)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"name": "a@b"}, ValueError, "without '@'"),
        ({"name": ""}, ValueError, "without '@'"),
        ({"function": 3}, TypeError, "must be callable, got int"),
        ({"needs": ("colour",)}, ValueError, r"needs=\['colour'\]: choose out of relevant"),
        ({"needs": ()}, ValueError, "choose out of"),
        ({"needs": ("relevant", "y_pred")}, ValueError, "lists and predictions"),
        ({"needs": ("y_true", "y_pred")}, ValueError, "per must be one of"),
        ({"per": "list"}, ValueError, "per must be one of"),
    ],
)
def test_records_are_checked(change, error, message):
    with pytest.raises(error, match=message):
        Metric(**{"name": "mine", "function": first_hit, **change})


def test_names_records_and_functions():
    assert as_metric("ndcg") is METRICS["ndcg"]
    assert as_metric(METRICS["gini"]) is METRICS["gini"]
    assert as_metric(first_hit) == Metric("first_hit", first_hit, per="test_set")
    assert as_metric(metrics.gini_index).needs == ("recommended", "n_items")
    with pytest.raises(ValueError, match="metric='ndgc' is unknown"):
        get_metric("ndgc")


def test_errors_of_predictions_are_not_scored_here(ranked):
    with pytest.raises(ValueError, match=r"compares predictions with ratings.*neg_root_mean_squared_error"):
        make_ranking_scorer("rmse")
    with pytest.raises(ValueError, match="compares predictions"):
        ranked.evaluate("mae")


def test_without_training_counts_only_what_needs_none(ranked):
    plain = metrics.RankedUsers(ranked.users, ranked.items, ranked.relevant, ranked.recommended)
    for name in OF_LISTS:
        if {"history", "item_counts"} & set(get_metric(name).needs):
            with pytest.raises(ValueError, match="training counts"):
                plain.evaluate(name, **TABLES)
        else:
            assert np.isfinite(plain.evaluate(name, **TABLES))
    assert plain.known_items.nnz == csr_array(ranked.relevant.shape).nnz
