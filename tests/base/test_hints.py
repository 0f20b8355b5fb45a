"""Hints on y and on columns that do not suit: what raises them, what does not, and that they name what exists."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV

from skllmrec import (
    BlendRecommender,
    CountWeighter,
    FeatureMFRecommender,
    InteractionFilter,
    LinearAutoencoderRecommender,
    MarkovRecommender,
    NeighborsRecommender,
    PairwiseRecommender,
    PerUserKFold,
    PopularityRecommender,
    TwoTowerRecommender,
    describe_data,
    make_ranking_scorer,
    matrix_from_interactions,
)
from skllmrec._kernels.target_values import find_heavy_tail
from skllmrec.exceptions import HeavyTailWarning, RatingScaleWarning

RNG = np.random.default_rng(0)
X = np.unique(RNG.integers(40, size=(900, 2)), axis=0)
HOURS = np.round(RNG.lognormal(1, 2.2, len(X)), 1) + 0.1

SMALL = {
    "FeatureMF": FeatureMFRecommender(2, feedback="implicit", max_iter=2, random_state=0),
    "LinearAutoencoder": LinearAutoencoderRecommender(),
    "Neighbors": NeighborsRecommender(feedback="implicit"),
    "Popularity": PopularityRecommender(feedback="implicit"),
    "TwoTower": TwoTowerRecommender(2, max_iter=1, hidden_size=4, random_state=0),
}


SCORER = make_ranking_scorer("ndcg")


def warnings_of(function):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    return [(warning.category, str(warning.message)) for warning in caught]


# -- counts with a heavy tail -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_raw_hours_as_weights_warn_with_figures_and_remedy(name):
    (kind, message), *more = warnings_of(lambda: SMALL[name].fit(X, HOURS))
    assert kind is HeavyTailWarning
    assert more == []
    largest = np.sort(HOURS)[-int(np.ceil(len(HOURS) / 100)) :]
    share = 100 * largest.sum() / HOURS.sum()
    assert f"median {np.median(HOURS):.2g}, maximum {float(f'{HOURS.max():.2g}'):,.0f}" in message
    assert f"the largest 1 % hold {share:.0f} % of the sum" in message
    assert all(word in message for word in ("weighter=CountWeighter", "bm25", "log1p"))


@pytest.mark.parametrize("name", SMALL)
def test_weighted_hours_do_not_warn(name):
    recommender = clone(SMALL[name]).set_params(weighter=CountWeighter())
    assert warnings_of(lambda: recommender.fit(X, HOURS)) == []


def test_events_that_repeat_have_a_tail_too():
    events = np.repeat(X, np.ceil(HOURS).astype(int), axis=0)
    (kind, _), *more = warnings_of(lambda: PopularityRecommender(feedback="implicit").fit(events))
    assert kind is HeavyTailWarning
    assert more == []
    assert warnings_of(lambda: MarkovRecommender().fit(X, HOURS)) == [], "only that there was an event counts there"


@pytest.mark.parametrize(
    ("recommender", "named"),
    [
        (FeatureMFRecommender(2, max_iter=2, feedback="explicit"), "set feedback='implicit'"),
        (NeighborsRecommender(feedback="explicit"), "set feedback='implicit'"),
        (PairwiseRecommender(Ridge(), feedback="explicit"), "set feedback='implicit'"),
    ],
)
def test_hours_as_ratings_warn(recommender, named):
    (kind, message), *more = warnings_of(lambda: recommender.fit(X, HOURS))
    assert kind is HeavyTailWarning
    assert more == []
    assert named in message
    assert "log1p" in message


def test_a_blend_warns_once_and_names_its_estimators():
    parts = [("a", clone(SMALL["Neighbors"])), ("b", clone(SMALL["Popularity"]))]
    blend = BlendRecommender(parts, random_state=0)
    (kind, message), *more = warnings_of(lambda: blend.fit(X, HOURS))
    assert kind is HeavyTailWarning
    assert more == []
    assert "weighter=CountWeighter('log') in each of the estimators" in message
    blend.set_params(a__weighter=CountWeighter(), b__weighter=CountWeighter())
    assert warnings_of(lambda: blend.fit(X, HOURS)) == []
    stars = RNG.integers(1, 6, len(X)) * 1.0
    stars[stars == 1] = 4
    assert [kind for kind, _ in warnings_of(lambda: blend.fit(X, stars))] == [RatingScaleWarning]


def test_a_blend_says_so_again_in_its_next_fit():
    blend = BlendRecommender([("a", clone(SMALL["Popularity"]))], random_state=0)
    assert [len(warnings_of(lambda: blend.fit(X, HOURS))) for _ in range(2)] == [1, 1]


def test_the_folds_of_a_search_say_the_same():
    y = np.ones(len(X))
    y[:: len(X) // 40] = 5000.0
    search = GridSearchCV(PopularityRecommender(feedback="implicit"), {"damping": [1.0]}, scoring=SCORER)
    assert len(set(warnings_of(lambda: search.fit(X, y)))) <= 3, "of six fits: figures are rounded"


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.poisson(1, n),
        lambda rng, n: rng.poisson(30, n),
        lambda rng, n: rng.geometric(0.5, n),
        lambda rng, n: rng.exponential(10, n),
        lambda rng, n: rng.integers(0, 2, n),
        lambda rng, n: rng.integers(0, 101, n),
        lambda rng, n: np.ones(n),
        lambda rng, n: -rng.lognormal(2, 2, n),
    ],
)
@pytest.mark.parametrize("n", [50, 100, 1000, 50_000])
def test_light_tails_do_not_warn(draw, n):
    for seed in range(5):
        assert find_heavy_tail(draw(np.random.default_rng(seed), n).astype(float)) is None


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_the_unit_of_counts_does_not_matter(scale):
    tail = find_heavy_tail(np.r_[np.ones(990), np.full(10, 50.0)] * scale)
    assert tail.share == pytest.approx(500 / 1490)
    assert tail.n_largest == 10


def test_describe_data_names_the_tail():
    found = [finding for finding in describe_data(X, HOURS).findings if "heavy tail" in finding.what]
    assert len(found) == 1
    assert "CountWeighter" in found[0].advice
    stars = RNG.integers(1, 6, len(X))
    assert not any("tail" in finding.what for finding in describe_data(X, stars).findings)


@pytest.mark.realdata
def test_real_counts_and_ratings(data_folder):
    def column(name, column):
        return pd.read_parquet(data_folder / name / "interactions.parquet")[column].to_numpy(float)

    plays = find_heavy_tail(column("lastfm_hetrec", "listen_count"))
    assert (plays.median, plays.maximum) == (260, 352698)
    assert find_heavy_tail(column("completejourney", "quantity")).share > 0.9
    for name, ratings in (("ml_latest_small", "rating"), ("ml_100k_posters", "rating"), ("lastfm_hetrec", "rating")):
        assert find_heavy_tail(column(name, ratings)) is None


# -- rating scales ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [[0, 0.5, 4.5, 5], [0, 2.5, 3.5, 4], [0, 6.5, 10], [1, 30, 95, 100]])
def test_scales_with_halves_or_from_zero_are_known(levels):
    (kind, _), *more = warnings_of(
        lambda: PopularityRecommender(feedback="implicit").fit(X[:60], np.resize([*levels, levels[-1]], 60))
    )
    assert kind is RatingScaleWarning
    assert more == []


@pytest.mark.parametrize(
    ("recommender", "remedy"),
    [
        (FeatureMFRecommender(2, feedback="implicit"), "or use feedback='explicit'"),
        (LinearAutoencoderRecommender(), r"or use a recommender of ratings, such as FeatureMFRecommender"),
        (MarkovRecommender(), r"or use a recommender of ratings, such as FeatureMFRecommender"),
    ],
)
def test_thumbs_and_stars_name_what_the_class_has(recommender, remedy):
    with pytest.raises(ValueError, match=rf"thumbs down and up.*y > 0, {remedy}"):
        recommender.fit(X[:60], np.resize([1, -1, 1], 60))
    with pytest.raises(ValueError, match=rf"y\[1\] is -3.*for ratings {remedy.removeprefix('or ')}"):
        recommender.fit(X[:60], np.resize([1, -3, 1], 60))
    with pytest.warns(RatingScaleWarning, match=remedy):
        recommender.fit(X[:60], np.resize([1, 5, 4, 5], 60))


@pytest.mark.parametrize("y", [[0, 1], [0.0, 1.0, 1.0], [False, True]])
def test_zeros_and_ones_as_ratings_are_explained(y):
    with pytest.warns(RatingScaleWarning, match=r"only 0 and 1 .*dislike.*set feedback='implicit'.*-1 and 1"):
        FeatureMFRecommender(2, max_iter=2, feedback="explicit").fit(X[:60], np.resize(y, 60))
    with pytest.warns(RatingScaleWarning, match="set feedback='implicit'"):
        PairwiseRecommender(Ridge(), feedback="explicit").fit(X[:60], np.resize(y, 60))


def test_ones_alone_as_ratings_are_explained():
    with pytest.warns(RatingScaleWarning, match=r"y is 1 in every row.*set feedback='implicit'"):
        FeatureMFRecommender(2, max_iter=2, feedback="explicit").fit(X[:60], np.ones(60))
    assert (
        warnings_of(
            lambda: FeatureMFRecommender(2, max_iter=2, feedback="explicit").fit(X[:60], np.resize([-1, 1, 1], 60))
        )
        == []
    )


# -- y is None ----------------------------------------------------------------------------------------------------


def frame(**columns):
    return pd.DataFrame({"user_id": X[:60, 0], "item_id": X[:60, 1], **columns})


@pytest.mark.parametrize("name", ["rating", "score", "Stars", "user_rating"])
def test_a_column_of_ratings_is_named_where_y_is_missing(name):
    rows = frame(**{name: np.resize([1, 4, 5, 5], 60)})
    with pytest.raises(ValueError, match=rf"requires y.*y=X\['{name}'\], or set feedback='implicit'"):
        FeatureMFRecommender(2, feedback="explicit").fit(rows)
    with pytest.raises(ValueError, match=rf"y=X\['{name}'\], or set feedback='implicit'"):
        PairwiseRecommender(Ridge(), feedback="explicit").fit(rows)
    with pytest.warns(RatingScaleWarning, match=rf"y is None, although X has a column '{name}'.*between 1 and 5"):
        PopularityRecommender(feedback="implicit").fit(rows)
    likes = rows[rows[name] >= 4]
    assert warnings_of(lambda: PopularityRecommender(feedback="implicit").fit(likes)) == []


def test_times_name_what_the_class_has():
    times = np.arange(60).astype("datetime64[s]")
    with pytest.raises(ValueError, match=r"or no y and set feedback='implicit'$"):
        FeatureMFRecommender(2, feedback="explicit").fit(X[:60], times)
    with pytest.raises(ValueError, match=r"or no y$"):
        LinearAutoencoderRecommender().fit(X[:60], times)


# -- names of columns against their positions ---------------------------------------------------------------------

SWAPPED = [
    ("item_id", "user_id", "rating"),
    ("movieId", "userId", "rating"),
    ("asin", "reviewerID", "overall"),
    ("product_id", "customer", "quantity"),
    ("rating", "user_id", "item_id"),
    ("user_id", "rating", "item_id"),
    ("user_id", "timestamp", "item_id"),
    ("Unnamed: 0", "uid", "iid"),
    ("user_id", "title", "item_id"),
    ("item_id", "buyer name", "price"),
]


@pytest.mark.parametrize("library", [pd, pl])
@pytest.mark.parametrize("names", SWAPPED)
def test_names_are_not_taken_by_position(names, library):
    rows = library.DataFrame({name: np.resize([1, 2, 3, 4, 5], 60) + n for n, name in enumerate(names)})
    calls = [
        lambda: PopularityRecommender(feedback="implicit").fit(rows),
        lambda: TwoTowerRecommender(2).fit(rows),
        lambda: matrix_from_interactions(rows),
        lambda: describe_data(rows),
        lambda: InteractionFilter().fit_resample(rows),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"(user|item)=[01] is the column '.*name the column that holds the ids"):
            call()


def test_by_name_everything_goes():
    rows = pd.DataFrame({"item_id": X[:60, 1], "user_id": X[:60, 0]})
    by_name = PopularityRecommender(user="user_id", item="item_id", feedback="implicit").fit(rows)
    swapped = PopularityRecommender(user="item_id", item="user_id", feedback="implicit").fit(rows)
    by_position = PopularityRecommender(user=1, item=0, feedback="implicit").fit(rows)
    assert by_name.items_.tolist() == by_position.items_.tolist() == np.unique(X[:60, 1]).tolist()
    assert swapped.items_.tolist() == by_name.users_.tolist()
    with pytest.raises(ValueError, match=r"user=0 is the column 'item_id' of X.*user='user_id'"):
        next(PerUserKFold(2).split(rows))


@pytest.mark.parametrize(
    "names",
    [
        ("user_id", "item_id"),
        ("userId", "movieId"),
        ("who", "what"),
        ("user_id", "friend_id"),
        ("customer_id", "thing"),
        ("x0", "x1"),
        ("user", "artist"),
    ],
)
def test_other_frames_stay_as_they_are(names):
    rows = pd.DataFrame({name: X[:60, n] for n, name in enumerate(names)})
    assert PopularityRecommender(feedback="implicit").fit(rows).users_.tolist() == np.unique(X[:60, 0]).tolist()
