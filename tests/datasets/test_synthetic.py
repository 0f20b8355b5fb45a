"""make_interactions: shapes, determinism, and that the text tells the preference."""

import re

import numpy as np
import pytest
from pandas.testing import assert_frame_equal
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline

from skllmrec.datasets import make_interactions
from skllmrec.datasets._synthetic import spread
from skllmrec.datasets._vocabulary import PHRASES, concepts
from skllmrec.preprocessing import TextAnalyzer

SEEDS = [0, 1, 2]


@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_shapes_and_columns(feedback, language):
    data = make_interactions(30, 20, n_interactions=200, feedback=feedback, language=language, random_state=0)
    assert list(data.data.columns) == data.feature_names
    assert data.frame.shape == (200, 9) and data.target.shape == (200,)
    assert not data.frame.duplicated(["user_id", "item_id"]).any()
    assert data.frame["timestamp"].is_monotonic_increasing
    assert data.item_table["item_id"].tolist() == list(range(20))
    assert data.user_table["user_id"].tolist() == list(range(30))
    assert data.user_preferences.shape == (30, 6) and data.item_topics.shape == (20, 6)
    for shares in (data.user_preferences, data.item_topics):
        assert np.allclose(shares.sum(axis=1), 1) and (shares >= 0).all()
    assert set(data.target) == {1.0} if feedback == "implicit" else set(data.target) <= {1.0, 2.0, 3.0, 4.0, 5.0}
    texts = [*data.item_table["title"], *data.item_table["description"], *data.user_table["about"]]
    assert all(text.isascii() == (language == "en") and "{" not in text for text in texts)
    joined = data.item_table.set_index("item_id")["title"][data.frame["item_id"]]
    assert data.frame["title"].tolist() == joined.tolist()


def test_same_seed_same_data():
    first, second, other = (make_interactions(random_state=seed) for seed in (7, 7, 8))
    for name in ("frame", "item_table", "user_table"):
        assert_frame_equal(first[name], second[name])
    assert not first.frame.equals(other.frame)
    X, y = make_interactions(random_state=7, return_X_y=True)
    assert_frame_equal(X, first.data)
    assert y.equals(first.target)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_text_predicts_preference_of_new_items(seed, language):
    data = make_interactions(feedback="explicit", language=language, random_state=seed)
    texts = (data.item_table["title"] + " " + data.item_table["description"]).tolist()
    model = make_pipeline(TfidfVectorizer(analyzer=TextAnalyzer()), Ridge(0.1))
    user, item = data.frame["user_id"].to_numpy(), data.frame["item_id"].to_numpy()

    def correlation(cv):
        topics = cross_val_predict(model, texts, data.item_topics, cv=cv)
        return np.corrcoef(np.einsum("nk,nk->n", data.user_preferences[user], topics[item]), data.target)[0, 1]

    assert correlation(KFold(5, shuffle=True, random_state=0)) > 0.5
    # but word counts say next to nothing across vocabularies: there, meaning is needed
    assert correlation(PredefinedSplit(data.item_vocabularies)) < 0.3


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("feedback", ["implicit", "explicit"])
def test_preference_drives_choice_and_rating(seed, feedback):
    data = make_interactions(feedback=feedback, random_state=seed)
    fit = data.user_preferences @ data.item_topics.T
    chosen = fit[data.frame["user_id"], data.frame["item_id"]]
    assert chosen.mean() > (1.5 if feedback == "implicit" else 1.1) * fit.mean()
    if feedback == "explicit":
        assert np.corrcoef(chosen, data.target)[0, 1] > 0.6


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_loosens_the_fit(seed):
    def correlation(noise):
        data = make_interactions(feedback="explicit", noise=noise, random_state=seed)
        fit = data.user_preferences @ data.item_topics.T
        return np.corrcoef(fit[data.frame["user_id"], data.frame["item_id"]], data.target)[0, 1]

    assert correlation(0.0) > correlation(1.0) > correlation(5.0)


@pytest.mark.parametrize("seed", SEEDS)
def test_popularity_is_long_tailed_and_age_leans_with_taste(seed):
    data = make_interactions(500, 200, density=0.05, random_state=seed)
    counts = np.sort(data.frame.groupby("item_id").size().to_numpy())[::-1]
    assert counts[:20].sum() > 0.25 * counts.sum()  # a tenth of the items
    activity = data.frame.groupby("user_id").size()
    assert activity.max() > 4 * activity.median()
    # within a tenth of the items by popularity, ids say nothing: they are not sorted by it
    assert abs(np.corrcoef(np.arange(200), np.bincount(data.frame["item_id"], minlength=200))[0, 1]) < 0.3
    residual = np.linalg.lstsq(data.user_preferences, data.user_table["age"], rcond=None)[1][0]
    assert 1 - residual / (500 * data.user_table["age"].var()) > 0.3


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_word_belongs_to_two_concepts(language):
    words = [word for topic in concepts(language).values() for concept in topic for word in concept]
    assert len(words) == len(set(words)) == 12 * 6 * 3
    neutral = " ".join(phrase for phrases in PHRASES[language].values() for phrase in phrases)
    assert not set(re.findall(r"\w+", neutral.lower())) & set(words)


@pytest.mark.parametrize("seed", SEEDS)
def test_spread(seed):
    rng = np.random.default_rng(seed)
    for _ in range(50):
        n, ceiling = rng.integers(1, 40), rng.integers(1, 20)
        total = rng.integers(1, n * ceiling + 1)
        counts = spread(total, rng.lognormal(size=n), ceiling)
        assert counts.sum() == total and counts.max() <= ceiling
        assert counts.min() >= (total >= n)


@pytest.mark.parametrize(
    "options",
    [
        {"n_users": 1, "n_items": 1},
        {"n_users": 3, "n_items": 4, "n_interactions": 1},
        {"n_users": 3, "n_items": 4, "n_interactions": 12},
        {"n_users": 3, "n_items": 4, "density": 1.0, "feedback": "explicit"},
        {"n_users": 5, "n_items": 5, "n_topics": 1, "feedback": "explicit"},
        {"n_users": 5, "n_items": 5, "n_topics": 12, "noise": 0},
    ],
    ids=str,
)
def test_extremes(options):
    data = make_interactions(**options, random_state=0)
    wanted = options.get("n_interactions")
    assert wanted is None or len(data.frame) == wanted
    assert np.isfinite(data.target).all() and not data.frame.isna().any(axis=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_users": 0}, "n_users must be a positive int, got 0"),
        ({"n_items": 2.5}, "n_items must be"),
        ({"n_topics": 13}, "at most 12"),
        ({"density": 0}, "density must lie in"),
        ({"density": 1.1}, "density must lie in"),
        ({"n_interactions": 20_001}, "between 1 and n_users . n_items = 20000, got 20001"),
        ({"feedback": "stars"}, "feedback must be one of"),
        ({"language": "fr"}, "language must be one of"),
        ({"noise": -1}, "noise must be"),
        ({"noise": np.nan}, "noise must be"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        make_interactions(**options)
