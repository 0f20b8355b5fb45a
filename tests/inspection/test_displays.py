"""The displays: numbers against loops, pictures that hold what they should."""

import matplotlib as mpl
import numpy as np
import pytest
from scipy.sparse import csr_array

from skllmrec.inspection import (
    ColdStartDisplay,
    EmbeddingMapDisplay,
    FrontierDisplay,
    LearningHistoryDisplay,
    PopularityDisplay,
)
from skllmrec.metrics import rank_test_users, recall_at_k
from skllmrec.model_selection import PerUserKFold
from skllmrec.recommenders import NeighborsRecommender, PopularityRecommender

mpl.use("agg")


@pytest.fixture(autouse=True)
def _close():
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def rows(seed=0):
    """Users like items of their own half more; some have many rows, some few."""
    rng = np.random.default_rng(seed)
    X = [
        (user, int(item))
        for user in range(40)
        for item in rng.choice(np.arange(user % 2, 30, 2), size=3 + user % 9, replace=False)
    ]
    return np.array(X)


@pytest.fixture
def split():
    X = rows()
    train, test = next(PerUserKFold(3, random_state=0).split(X))
    return X[train], X[test]


def test_popularity_equals_a_loop_over_bins(split):
    train, test = split
    model = NeighborsRecommender(by="interactions", feedback="implicit").fit(train)
    display = PopularityDisplay.from_estimator(model, test, k=5, n_bins=4)
    ranked = rank_test_users(model, test, k=5)
    counts = ranked.item_counts
    groups = [[] for _ in range(4)]
    for item, count in enumerate(counts):
        groups[4 * sum(other < count for other in counts) // len(counts)].append(item)
    groups = [members for members in groups if members]
    assert len(groups) == len(display.bins)
    for place, members in enumerate(groups):
        part = np.zeros(ranked.relevant.shape)
        part[:, members] = ranked.relevant.toarray()[:, members]
        values = recall_at_k(part, ranked.recommended, k=5, average=False)
        values = values[~np.isnan(values)]
        assert display.means[place] == pytest.approx(values.mean())
        assert display.errors[place] == pytest.approx(1.96 * values.std(ddof=1) / len(values) ** 0.5)
        assert display.n_users[place] == len(values)
    assert display.line_.get_ydata().tolist() == display.means.tolist()
    assert display.ax_.get_ylabel() == "recall@5"
    assert [text.get_text() for text in display.ax_.get_xticklabels()] == display.bins
    assert display.ax_.get_legend().get_texts()[0].get_text() == "NeighborsRecommender"


def test_popularity_shows_who_serves_the_tail():
    relevant, counts = np.eye(6), np.array([1, 2, 3, 10, 20, 30])
    only_known = PopularityDisplay.from_predictions(relevant, [[3], [4], [5], [3], [4], [5]], counts, k=1, n_bins=2)
    assert only_known.means.tolist() == [0.0, 1.0]
    assert only_known.bins == ["1-3", "10-30"]
    both = PopularityDisplay.from_predictions(
        csr_array(relevant), np.arange(6)[:, None], counts, n_bins=2, ax=only_known.ax_
    )
    assert both.means.tolist() == [1.0, 1.0]
    assert both.ax_ is only_known.ax_
    assert both.line_.get_color() != only_known.line_.get_color()
    higher = PopularityDisplay(means=np.array([3.0]), errors=np.array([0.1]), n_users=[1], bins=["x"], metric="m")
    assert higher.plot(ax=both.ax_).ax_.get_ylim()[1] > 3


def test_cold_start_equals_a_loop(split):
    train, test = split
    model = PopularityRecommender(feedback="implicit").fit(train)
    display = ColdStartDisplay.from_estimator(model, test, k=5, bounds=(1, 4, 6), name="counts")
    ranked = rank_test_users(model, test, k=5)
    values = ranked.evaluate("ndcg", average=False)
    known = np.array([(train[:, 0] == user).sum() for user in ranked.users])
    assert display.bins == ["1-3", "4-5", "6+"]
    for mean, low, high in zip(display.means, (1, 4, 6), (4, 6, 99), strict=True):
        assert mean == pytest.approx(values[(known >= low) & (known < high)].mean())
    assert display.figure_ is display.ax_.get_figure()


def test_frontier():
    rng = np.random.default_rng(0)
    points = {f"model {n}": rng.random(2).round(1) for n in range(30)}
    display = FrontierDisplay.from_predictions(
        {k: v[1] for k, v in points.items()}, {k: v[0] for k, v in points.items()}
    )
    for name, kept in zip(display.names, display.on_frontier, strict=True):
        x, y = points[name]
        beaten = any((a >= x and b >= y) and (a > x or b > y) for a, b in points.values())
        assert kept == (not beaten)
    line = display.ax_.lines[0]
    assert (np.diff(line.get_xdata()) >= 0).all()
    assert (np.diff(line.get_ydata()) <= 0).all()


def test_frontier_of_estimators(split):
    train, test = split
    models = {
        "popularity": PopularityRecommender(feedback="implicit").fit(train),
        "neighbours": NeighborsRecommender(by="interactions", feedback="implicit").fit(train),
    }
    display = FrontierDisplay.from_estimators(
        models, test, k=5, diversity="ild", item_vectors=lambda ids: np.eye(30)[ids]
    )
    assert display.diversity == pytest.approx([1.0, 1.0])
    display = FrontierDisplay.from_estimators(models, test, k=5, plot=False)
    assert display.diversity[1] == rank_test_users(models["neighbours"], test, k=5).evaluate("coverage")
    assert not hasattr(display, "ax_")


def test_learning_history():
    records = [
        {
            "objective": name,
            "epoch": epoch,
            "loss": 1.0 / (epoch + 1),
            "score": 0.1 * epoch,
            "seconds": 1.0,
            "step": epoch,
        }
        for name in ("contrastive", "factors")
        for epoch in range(3)
    ]

    class Trained:
        history_ = records

    display = LearningHistoryDisplay.from_estimator(Trained())
    assert display.keys == ["loss", "score"]
    assert [len(ax.lines) for ax in display.ax_] == [2, 2]
    assert display.ax_[1].lines[1].get_ydata().tolist() == pytest.approx([0.0, 0.1, 0.2])
    assert LearningHistoryDisplay.from_estimator(Trained(), keys=["score"], plot=False).keys == ["score"]


@pytest.mark.parametrize("method", ["pca", "tsne"])
@pytest.mark.parametrize("container", [np.asarray, csr_array], ids=["dense", "sparse"])
def test_map_keeps_groups_apart(method, container):
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b", "c"], [30, 20, 4])
    vectors = rng.normal(size=(54, 8)) * 0.05 + 3 * np.eye(8)[np.repeat([0, 1, 2], [30, 20, 4])]
    display = EmbeddingMapDisplay.from_predictions(container(vectors), labels, method=method, n_labels=2)
    assert set(display.labels) == {"a", "b", "other"}
    a, b = (display.coordinates[labels == name] for name in "ab")
    spread = max(np.linalg.norm(part - part.mean(axis=0), axis=1).mean() for part in (a, b))
    assert np.linalg.norm(a.mean(axis=0) - b.mean(axis=0)) > 2 * spread
    shown = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert shown == ["a (30)", "b (20)", "other (4)"]


def test_map_of_an_encoder_draws_a_part_of_many():
    class Encoder:
        def transform(self, X):
            return np.array([[len(text), text.count("a"), 1.0] for text in X])

    texts = ["a" * (n % 7) + "b" * (n % 5) for n in range(100)]
    display = EmbeddingMapDisplay.from_estimator(Encoder(), texts, max_points=40)
    assert display.coordinates.shape == (40, 2)
    assert display.ax_.get_legend() is None


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: PopularityDisplay.from_predictions(np.eye(2), [[0], [1]], [1, 2], metric="auc"), "metric='auc'"),
        (lambda: ColdStartDisplay.from_predictions([1.0], [1, 2]), "one entry per user"),
        (lambda: FrontierDisplay.from_predictions({"a": 1.0}, {"b": 1.0}), "name the same ones"),
        (lambda: FrontierDisplay.from_estimators({}, [], diversity="ild"), "needs item_vectors"),
        (lambda: LearningHistoryDisplay.from_estimator(object()), "has no history_"),
        (lambda: LearningHistoryDisplay.from_predictions([{"epoch": 1, "loss": 1.0}], keys=["acc"]), r"\['acc'\]"),
        (lambda: EmbeddingMapDisplay.from_predictions(np.eye(3), ["a"]), "3 vectors and 1 labels"),
        (lambda: EmbeddingMapDisplay.from_predictions(np.eye(3), method="umap"), "method='umap'"),
        (lambda: EmbeddingMapDisplay.from_predictions(np.eye(3), n_labels=9), "n_labels must be from 1 to 7"),
    ],
    ids=["metric", "lengths", "names", "space", "history", "keys", "labels", "method", "n_labels"],
)
def test_bad_input(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_items_of_equal_popularity_share_a_bin():
    counts = np.array([1] * 12 + [2, 2, 2, 3, 3, 5, 7, 9])
    relevant = np.eye(20)
    recommended = np.arange(20)[:, None]
    display = PopularityDisplay.from_predictions(relevant, recommended, counts, k=1, plot=False)
    assert display.bins == ["1", "2", "3", "5", "7-9"]
    np.testing.assert_array_equal(display.n_users, [12, 3, 2, 1, 2])
    shuffled = np.random.default_rng(0).permutation(20)  # the order of the items decides nothing
    again = PopularityDisplay.from_predictions(relevant[:, shuffled], recommended, counts[shuffled], k=1, plot=False)
    assert again.bins == display.bins
    np.testing.assert_array_equal(again.n_users, display.n_users)


@pytest.mark.parametrize("n_bins", [0, 2.5])
def test_bad_number_of_bins(n_bins):
    with pytest.raises(ValueError, match="n_bins must be an integer >= 1"):
        PopularityDisplay.from_predictions(np.eye(2), [[0], [1]], [1, 2], n_bins=n_bins, plot=False)
