"""Tables, contrasts, files and pictures of a comparison."""

import json
import re
from html import unescape
from html.parser import HTMLParser

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
from scripted import Scripted, integer_data

from skllmrec import compare_recommenders
from skllmrec.base import FeatureTable
from skllmrec.comparison import Comparison
from skllmrec.comparison._plots import gain_plot, pool_bins, popularity_plot
from skllmrec.comparison._statistics import permutation_p_values
from skllmrec.metrics import rank_test_users
from skllmrec.model_selection import PerUserKFold

matplotlib.use("Agg")
NAMES = ["popularity", "ids <&> more", "a name that is rather long", "x", "another one"]


@pytest.fixture(scope="module")
def comparison():
    genres = pd.DataFrame({"item": range(40), "genre": [f"kind{i % 5}" for i in range(40)]})
    skills = dict(zip(NAMES, [0.0, 0.1, 0.14, 0.18, 0.6], strict=True))
    return compare_recommenders(
        {name: Scripted(skill) for name, skill in skills.items()}, integer_data(), cv=2, k=5, random_state=0,
        metrics=("ndcg", "ild", "coverage", "gini"), item_vectors=FeatureTable(genres, key="item"),
        reference="ids <&> more", level=0.9, n_permutations=999, n_resamples=200,
    )  # fmt: skip


def test_frame_has_a_row_per_estimator_and_metric(comparison):
    labels = ["ndcg@5", "ild@5", "coverage@5", "gini@5", "fit_seconds", "recommend_seconds", "fit_peak_mb"]
    assert comparison.estimators == NAMES
    assert comparison.metrics == labels
    assert len(comparison.frame) == len(NAMES) * len(labels)
    assert not comparison.frame.duplicated(["estimator", "metric"]).any()
    once_per_fold = comparison.frame["metric"].isin(labels[2:])
    assert comparison.frame.loc[once_per_fold, ["ci_low", "p_value"]].isna().all(axis=None)
    reference = comparison.frame["estimator"] == "ids <&> more"
    assert comparison.frame.loc[reference, ["p_value", "effect_size"]].isna().all(axis=None)


def test_table_and_repr(comparison):
    table = comparison.table()
    assert table.index.tolist() == comparison.metrics
    assert table.loc["ndcg@5", "ids <&> more"] == f"{comparison.value('ids <&> more', 'ndcg'):.4f}"
    assert re.fullmatch(r"0\.\d{4} \+\d+\.\d% \*{1,3}", table.loc["ndcg@5", "another one"])
    assert re.fullmatch(r"\d\.\d\d", table.loc["fit_seconds", "x"])
    assert comparison.table(metrics=["gini"]).index.tolist() == ["gini@5"]
    text = repr(comparison)
    assert text.startswith("Comparison of 5 estimators, 2 fold(s), 60 test users, k=5")
    assert "Lower is better: gini@5" in text


def test_contrast_is_the_paired_test_of_two_columns(comparison):
    wide = comparison.per_user.groupby(["user", "estimator"])["ndcg@5"].mean().unstack()
    difference = wide["another one"] - wide["x"]
    contrast = comparison.contrast("another one", "x")
    assert contrast["gain"] == pytest.approx(wide["another one"].mean() / wide["x"].mean() - 1)
    assert contrast["effect_size"] == pytest.approx(difference.mean() / difference.std())
    expected = permutation_p_values(difference.to_numpy(), n_permutations=20_000, random_state=5)[0]
    assert contrast["p_value"] == pytest.approx(expected, abs=0.02)
    assert comparison.contrast("x", "x")["p_value"] == 1.0


def test_unknown_names(comparison):
    with pytest.raises(ValueError, match="metric='mrr' is not in this comparison"):
        comparison.plot(y="mrr")
    with pytest.raises(ValueError, match="estimator='nobody'"):
        comparison.value("nobody", "ndcg")
    with pytest.raises(ValueError, match="once per fold"):
        comparison.contrast("x", "popularity", "coverage")


def test_csv_is_the_frame(comparison, tmp_path):
    comparison.to_csv(tmp_path / "new" / "results.csv")
    read = pd.read_csv(tmp_path / "new" / "results.csv")
    pd.testing.assert_frame_equal(read, comparison.frame, check_dtype=False)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["results.csv"]


def no_constant(name):
    raise AssertionError(f"{name} is not JSON")


def test_json_is_strict_and_comes_back(comparison, tmp_path):
    comparison.to_json(tmp_path / "results.json", job={"infinite": np.inf, "path": tmp_path, "verdict": ["yes"]})
    text = (tmp_path / "results.json").read_text(encoding="utf-8")
    document = json.loads(text, parse_constant=no_constant)
    assert list(document) == ["schema", "settings", "frame", "per_fold", "by_popularity", "chosen", "job"]
    assert document["schema"] == "skllmrec.comparison/1"
    assert document["job"] == {"infinite": "inf", "path": repr(tmp_path), "verdict": ["yes"]}
    assert document["settings"]["versions"]["numpy"] == np.__version__
    assert list(document["frame"][0]) == list(comparison.frame.columns)
    read = Comparison.from_json(tmp_path / "results.json")
    for name in ("frame", "per_fold", "by_popularity", "chosen"):
        pd.testing.assert_frame_equal(getattr(read, name), getattr(comparison, name))
    assert read.settings == comparison.settings
    assert repr(read) == repr(comparison)
    assert read.to_html() == comparison.to_html()
    with pytest.raises(ValueError, match="no values per user"):
        read.contrast("x", "popularity")


def test_infinite_gains_come_back_from_json(comparison, tmp_path):
    frame = comparison.frame.assign(gain=np.inf, gain_low=-np.inf)
    given = Comparison(frame, comparison.per_user, comparison.per_fold, comparison.chosen, comparison.settings)
    given.to_json(tmp_path / "results.json")
    pd.testing.assert_frame_equal(Comparison.from_json(tmp_path / "results.json").frame, frame)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON"), ('{"schema": "other/9"}', "schema 'other/9', not"), ("[]", "schema None")],
)
def test_other_files_are_refused(tmp_path, text, message):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        Comparison.from_json(tmp_path / "x.json")


def test_costs_are_told_and_not_tested(comparison):
    costs = comparison.frame[comparison.frame["metric"].isin(["fit_seconds", "recommend_seconds", "fit_peak_mb"])]
    assert (costs["mean"] >= 0).all()
    assert costs["p_value"].isna().all()
    html = comparison.to_html()
    assert html.index("<h2>Results</h2>") < html.index("<h2>Time and memory</h2>") < html.index("<h2>Versions</h2>")
    assert "%" not in comparison.table().loc["fit_peak_mb", "x"]


def test_recall_by_popularity_adds_up(comparison):
    rows = comparison.by_popularity
    assert len(rows) == len(NAMES) * 2 * 10
    one = rows[(rows["estimator"] == "x") & (rows["fold"] == 0)]
    some = one[one["high"] > 0]
    assert (some["low"] <= some["high"]).all()
    assert (some["low"].to_numpy()[1:] > some["high"].to_numpy()[:-1]).all()  # they do not overlap
    # by hand: the recall of each user on the relevant items of a group, over the users who have one
    X = integer_data()
    train, test = next(iter(PerUserKFold(2, random_state=comparison.settings["seed"]).split(X)))
    rng = np.random.RandomState(0)  # items known equally well are ordered by the seed of the fold
    assert rng.randint(np.iinfo(np.int32).max) == comparison.settings["seed"]
    seed = rng.randint(np.iinfo(np.int32).max, size=2)[0]
    ranked = rank_test_users(Scripted(0.18).fit(X[train]), X[test], k=5, random_state=seed)
    order = np.argsort(ranked.item_counts, kind="stable")
    relevant = ranked.relevant.toarray()[:, order]
    known = ranked.item_counts[order]
    below = np.array([relevant[:, known < count].sum() for count in known])  # pairs of items that are known less
    same = np.array([relevant[:, known == count].sum() for count in known])
    group = (10 * (below + same / 2) / relevant.sum()).astype(int).clip(0, 9)
    hits = np.array([np.isin(order, top) for top in ranked.recommended])
    for place in range(10):
        there = relevant & (group == place)
        users = there.any(axis=1)
        assert one["n_users"].iloc[place] == users.sum()
        if users.any():
            values = (there & hits).sum(axis=1)[users] / there.sum(axis=1)[users]
            assert one["mean"].iloc[place] == pytest.approx(values.mean(), abs=1e-12)
        counts = known[group == place]
        ends = (counts.min(), counts.max()) if counts.size else (0, 0)
        assert (one["low"].iloc[place], one["high"].iloc[place]) == ends


def test_folds_are_pooled_by_their_users():
    rows = pd.DataFrame(
        [(0, 0, 0.5, 0.1, 30, 1, 2), (1, 0, 0.2, 0.3, 10, 2, 4), (0, 1, 1.0, np.nan, 1, 5, 5),
         (1, 1, np.nan, np.nan, 0, 0, 0), (0, 2, np.nan, np.nan, 0, 6, 7)],
        columns=["fold", "bin", "mean", "error", "n_users", "low", "high"],
    )  # fmt: skip
    pooled = pool_bins(rows)
    assert pooled["means"] == pytest.approx([(0.5 * 30 + 0.2 * 10) / 40, 1.0])
    assert pooled["errors"][0] == pytest.approx(np.hypot(0.1 * 30, 0.3 * 10) / 40)
    assert pooled["bins"] == ["1-4", "5"]
    rows["bin"] = [0, 1, 0, 1, 2]
    rows[["low", "high"]] = 3  # known equally well, in one bin in a fold, and in the next in the other
    assert pool_bins(rows)["bins"] == ["3"]
    assert pool_bins(rows)["means"] == pytest.approx([(0.5 * 30 + 0.2 * 10 + 1.0) / 41])


def test_popularity_plot_draws_a_curve_for_each(comparison):
    ax = popularity_plot(comparison, ["x", "another one"], ax=matplotlib.figure.Figure().add_subplot())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["x", "another one"]


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.links, self.count, self.text = [], [], {}, ""

    def handle_starttag(self, tag, attrs):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.links += [value for name, value in attrs if name in ("src", "href") and not value.startswith("#")]

    def handle_data(self, data):
        self.text += data


def test_page_is_self_contained_and_escaped(comparison, tmp_path):
    html = comparison.to_html(tmp_path / "page.html", title="A & B")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == html
    page = Page()
    page.feed(html)
    assert page.links == []
    assert "url(http" not in html
    assert page.count["svg"] == 4
    assert page.count["table"] == 2
    assert "ids <&> more" in page.text
    assert "ids <&" not in html
    assert f"{comparison.value('x', 'ndcg'):.4f}" in page.text
    assert comparison.table().index[0] in page.text
    assert "<table" in comparison._repr_html_()


def boxes(ax):
    ax.figure.canvas.draw()
    renderer = ax.figure.canvas.get_renderer()
    texts = [text for text in ax.texts if text.get_text()]
    return [matplotlib.text.Text.get_window_extent(text, renderer) for text in texts], texts


@pytest.fixture(scope="module")
def crowd():
    """Five estimators whose points lie almost on each other."""
    estimators = {name: Scripted(0.2 + 0.002 * j) for j, name in enumerate(NAMES)}
    return compare_recommenders(
        estimators, integer_data(), cv=2, k=5, random_state=0, metrics=("ndcg", "novelty", "coverage"),
        n_permutations=99, n_resamples=100,
    )  # fmt: skip


@pytest.mark.parametrize(("case", "x"), [("comparison", "coverage"), ("comparison", "ild"), ("crowd", "novelty")])
def test_labels_of_the_plot_do_not_overlap(case, x, request):
    comparison = request.getfixturevalue(case)
    ax = comparison.plot(x, "ndcg")
    extents, texts = boxes(ax)
    assert [text.get_text() for text in texts] == NAMES
    for position, box in enumerate(extents):
        assert not any(box.overlaps(other) for other in extents[position + 1 :])
    points = ax.transData.transform([[comparison.value(name, m) for m in (x, "ndcg")] for name in NAMES])
    assert not any(box.contains(*point) for box in extents for point in points)
    assert (ax.get_xlabel(), ax.get_ylabel()) == (f"{x}@5", "ndcg@5")
    matplotlib.pyplot.close(ax.figure)


def test_points_and_bars_are_where_the_figures_are(comparison):
    ax = matplotlib.figure.Figure().add_subplot()
    assert comparison.plot("ild", "ndcg", ax=ax) is ax
    container = ax.containers[-1]
    assert container.lines[0].get_xydata()[0] == pytest.approx(
        [comparison.value(NAMES[-1], "ild"), comparison.value(NAMES[-1], "ndcg")]
    )
    ends = np.vstack([segment for bars in container.lines[2] for segment in bars.get_segments()])
    assert ends[:, 1].max() == pytest.approx(comparison.value(NAMES[-1], "ndcg", "ci_high"))
    assert ends[:, 0].min() == pytest.approx(comparison.value(NAMES[-1], "ild", "ci_low"))


@pytest.mark.parametrize("x", ["coverage", "gini"])
def test_the_dashed_line_joins_those_that_nothing_beats(comparison, x):
    ax = comparison.plot(x, "ndcg", ax=matplotlib.figure.Figure().add_subplot())
    (line,) = [line for line in ax.lines if line.get_linestyle() == "--"]
    sign = -1 if x == "gini" else 1
    points = [(comparison.value(name, x), comparison.value(name, "ndcg")) for name in NAMES]
    expected = [
        (a, b) for a, b in points if not any((sign * c >= sign * a and d >= b) and (c, d) != (a, b) for c, d in points)
    ]
    assert 0 < len(expected) < len(NAMES)
    assert line.get_xydata().tolist() == [list(point) for point in sorted(expected)]


def test_gain_plot_writes_the_gains(comparison):
    ax = gain_plot(comparison, "ndcg@5", ax=matplotlib.figure.Figure().add_subplot())
    texts = [text.get_text() for text in ax.texts]
    assert "reference" in texts
    assert f"{100 * comparison.value('x', 'ndcg', 'gain'):+.1f} %" in texts
    assert ax.get_xlabel() == "gain of ndcg@5 over 'ids <&> more' in %,\nwith 90 % interval over users"


def drawn_and_best(comparison):
    """Names in the picture of the gains, and names whose figures are bold, by metric."""
    ax = gain_plot(comparison, "ndcg@5", ax=matplotlib.figure.Figure().add_subplot())
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert len([line for line in ax.lines if line.get_marker() not in ("None", "")]) == len(names)  # a point for each
    html = comparison._repr_html_()
    rows = re.findall(r"<tr><th scope=row>(\S+?)(?: &darr;)?</th>(.*?)</tr>", html)
    return names, {
        metric: [unescape(name) for name in re.findall(r'class=best data-label="(.*?)"', row)] for metric, row in rows
    }


@pytest.mark.parametrize(
    ("baselines", "drawn", "best"),
    [
        ([], NAMES, "another one"),
        (["another one", "popularity"], NAMES[1:4], "x"),
        (NAMES[3:], NAMES[:3], "a name that is rather long"),
        (NAMES, NAMES, "another one"),  # nothing else ran
    ],
)
def test_baselines_are_out_of_the_gains_and_never_the_best(comparison, baselines, drawn, best):
    settings = comparison.settings | {"baselines": baselines}
    marked = Comparison(comparison.frame, comparison.per_user, comparison.per_fold, comparison.chosen, settings)
    names, bold = drawn_and_best(marked)
    assert names == drawn[::-1]
    assert bold["ndcg@5"] == [best]
    for metric, sign in (("ild@5", 1), ("coverage@5", 1), ("gini@5", -1)):
        values = {name: sign * comparison.value(name, metric) for name in drawn}
        assert bold[metric] == [name for name in drawn if values[name] == max(values.values())]
    page = Page()
    page.feed(marked.to_html())
    assert ("Only baselines were compared" in page.text) == (baselines == NAMES)
    assert page.text.count("Left out as") == (0 < len(baselines) < len(NAMES))


def test_a_page_tells_every_cell_its_column(comparison):
    """A phone shows no heads of columns, but the label of each cell."""
    html = comparison.to_html()
    heads = [unescape(re.sub("<.*", "", head)) for head in re.findall(r"<th scope=col>(.*?)</th>", html)]
    labels = [unescape(label) for label in re.findall(r'<td[^>]* data-label="(.*?)"', html)]
    assert html.count("<td") == len(labels)
    assert set(labels) == set(heads) - {"metric", "estimator"}


def test_the_way_of_testing_is_folded_away(comparison):
    html = comparison.to_html()
    outside = re.sub(r"<style>.*?</style>|<details>.*?</details>", "", html, flags=re.DOTALL)
    assert "Holm" in html
    assert "Holm" not in outside


def test_figures_of_the_gains_stand_before_the_line_at_zero(comparison):
    ax = gain_plot(comparison, comparison.metrics[0], ax=matplotlib.figure.Figure().add_subplot())
    assert ax.texts
    assert all(text.get_bbox_patch() is not None for text in ax.texts)
