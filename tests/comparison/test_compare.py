"""compare_recommenders on data with a known winner, and every error it makes."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scripted import Scripted, integer_data
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skllmrec import PopularityRecommender, compare_recommenders
from skllmrec._kernels.warm_up import load_compiled
from skllmrec.base import FeatureTable
from skllmrec.comparison import Comparison
from skllmrec.comparison._fold import accepted_tables
from skllmrec.comparison._item_space import ItemSpace
from skllmrec.exceptions import RepeatedRowsWarning
from skllmrec.metrics import (
    Metric,
    get_metric,
    get_metric_names,
    intra_list_diversity,
    make_ranking_scorer,
    rank_test_users,
    serendipity,
)
from skllmrec.model_selection import ColdItemKFold, PerUserKFold

X = integer_data()
QUICK = {"n_permutations": 999, "n_resamples": 200, "random_state": 0}
CV = PerUserKFold(3, random_state=0)
GENRES = FeatureTable(
    pd.DataFrame({"item": range(40), "genre": ["odd" if i % 2 else "even" for i in range(40)]}), key="item"
)


def compare(estimators, **options):
    return compare_recommenders(estimators, X, **{"cv": CV, "k": 5, **QUICK, **options})


class Replaced(Scripted):
    """Says what joblib says where it replaces a worker; what is compiled must be loaded before it is timed."""

    def fit(self, X, y=None, *, item_table=None):
        warnings.warn("A worker stopped while some jobs were given to the executor.", UserWarning, stacklevel=1)
        assert load_compiled.cache_info().currsize == 1
        return super().fit(X, y, item_table=item_table)


@pytest.mark.filterwarnings("error")
def test_workers_are_replaced_in_silence_and_nobody_is_charged_for_loading():
    load_compiled.cache_clear()
    assert compare({"one": Replaced()}, metrics="ndcg").value("one", "ndcg") > 0


def test_baselines_are_found_in_pipelines_and_searches_or_named():
    popular = PopularityRecommender(feedback="implicit")
    scorer = make_ranking_scorer("ndcg", k=5)
    estimators = {
        "x": Scripted(0.1),
        "popular": popular,
        "pipeline": make_pipeline(FunctionTransformer(), popular),
        "search": GridSearchCV(popular, {"feedback": ["implicit"]}, scoring=scorer, cv=2),
    }
    found = compare(estimators, metrics="ndcg")
    assert found.settings["baselines"] == ["popular", "pipeline", "search"]
    named = {name: estimators[name] for name in ("x", "popular")}
    assert compare(named, metrics="ndcg", baselines=["x"]).settings["baselines"] == ["x"]
    assert compare(named, metrics="ndcg", baselines=()).settings["baselines"] == []
    with pytest.raises(ValueError, match=r"baselines=\['y'\]: choose from the estimators \['x', 'popular'\]"):
        compare(named, metrics="ndcg", baselines=["y"])


def test_the_known_winner_wins():
    result = compare({"weak": Scripted(0.0), "strong": Scripted(2.0), "middle": Scripted(0.2)}, metrics="ndcg")
    means = [result.value(name, "ndcg") for name in ("weak", "middle", "strong")]
    assert means[0] < means[1] < means[2]
    strong = result.frame.set_index("estimator").loc["strong"].iloc[0]
    assert strong["p_holm"] == 0.002  # 2 tests x (0 + 1) / (999 + 1)
    assert strong["gain"] == pytest.approx(means[2] / means[0] - 1)
    assert strong["gain_low"] < strong["gain"] < strong["gain_high"]
    assert strong["ci_low"] < strong["mean"] < strong["ci_high"]
    assert strong["effect_size"] > 0.8


def test_identical_estimators_differ_by_nothing():
    result = compare({"one": Scripted(0.5), "two": Scripted(0.5)}, metrics=("ndcg", "recall", "novelty", "coverage"))
    two = result.frame[result.frame["estimator"] == "two"].set_index("metric")
    assert (two.loc[["ndcg@5", "recall@5", "novelty@5"], ["p_value", "p_holm"]] == 1).all(axis=None)
    assert (two.loc[["ndcg@5", "recall@5", "novelty@5", "coverage@5"], "gain"] == 0).all()
    assert (two.loc[["ndcg@5", "recall@5"], "effect_size"] == 0).all()


def test_the_figures_are_those_of_the_metrics_called_by_hand():
    metrics = ("ndcg", "precision", "ild", "serendipity", "novelty", "coverage", "gini", "popularity_lift")
    result = compare({"a": Scripted(0.5)}, metrics=metrics, item_vectors=GENRES)
    per_user, coverage, lift = [], [], []
    for train, test in CV.split(X):
        ranked = rank_test_users(Scripted(0.5).fit(X[train]), X[test], k=5)
        vectors = np.eye(2)[ranked.items % 2]
        values = {name: ranked.evaluate(name, average=False) for name in ("ndcg", "precision", "novelty")}
        values["ild"] = intra_list_diversity(ranked.recommended, vectors, k=5, average=False)
        known = [[user in X[train][X[train][:, 1] == item, 0] for item in ranked.items] for user in ranked.users]
        lists = ranked.recommended
        values["serendipity"] = serendipity(ranked.relevant, lists, known, vectors, k=5, average=False)
        per_user.append(pd.DataFrame(values, index=ranked.users))
        coverage.append(ranked.evaluate("coverage"))
        lift.append(ranked.evaluate("popularity_lift"))
    by_user = pd.concat(per_user).groupby(level=0).mean()  # a user is averaged over the folds first
    for name in ("ndcg", "precision", "novelty", "ild", "serendipity"):
        assert result.value("a", name) == pytest.approx(by_user[name].mean(), abs=1e-12)
        assert result.value("a", name, "n_users") == 60
    assert result.value("a", "coverage") == pytest.approx(np.mean(coverage))
    assert result.value("a", "popularity_lift") == pytest.approx(np.mean(lift))
    assert result.settings["diversity"] == "TF-IDF of genre"


USERS = FeatureTable(pd.DataFrame({"user": range(60), "group": [f"g{u % 3}" for u in range(60)]}), key="user")
TABLES = {"item_vectors": GENRES, "item_classes": GENRES, "user_groups": USERS}
OF_LISTS = [name for name in get_metric_names() if not get_metric(name).of_predictions]


def test_every_metric_is_compared_by_name():
    result = compare({"a": Scripted(0.5)}, metrics=OF_LISTS, **TABLES)
    tables = TABLES | {"item_vectors": ItemSpace(GENRES)}
    ranked = [rank_test_users(Scripted(0.5).fit(X[train]), X[test], k=5) for train, test in CV.split(X)]
    for name in OF_LISTS:
        per_user = get_metric(name).per == "user"
        if per_user:
            values = [pd.Series(part.evaluate(name, average=False, **tables), part.users) for part in ranked]
            expected = pd.concat(values).groupby(level=0).mean().mean()
        else:
            expected = np.mean([part.evaluate(name, **tables) for part in ranked])
        assert result.value("a", name) == pytest.approx(expected, abs=1e-12), name
        assert (result.value("a", name, "n_users") > 0) == per_user, name


@pytest.mark.parametrize("name", ["ild", "serendipity", "miscalibration", "fairness_gap"])
def test_a_metric_without_its_table_says_what_to_pass(name):
    (need,) = set(get_metric(name).needs) & set(TABLES)
    with pytest.raises(ValueError, match=f"metric '{name}' needs {need}=FeatureTable"):
        compare({"a": Scripted()}, metrics=name)
    with pytest.raises(TypeError, match=f"{need} must be a FeatureTable"):
        compare({"a": Scripted()}, metrics=name, **{need: GENRES.frame})


def first_miss(relevant, recommended, k):
    return 1.0 - relevant.toarray()[np.arange(len(recommended)), recommended[:, 0]]


def bias(y_true, y_pred):
    return float(np.mean(y_pred - y_true))


MISS = Metric("miss", first_miss, greater_is_better=False, label="first miss", description="the <first> is a miss")
BIAS = Metric("bias", bias, ("y_true", "y_pred"), "test_set")


def n_lists(relevant, recommended, k):
    return float(len(recommended))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_metrics_of_ones_own(n_jobs, tmp_path):
    y = np.ones(len(X))
    options = {"metrics": ("ndcg", MISS, BIAS, n_lists), "cv": CV, "k": 5, "n_jobs": n_jobs, **QUICK}
    result = compare_recommenders({"a": Scripted(0.1), "b": Scripted(2.0)}, X, y, **options)
    values = [
        pd.Series(first_miss(part.relevant, part.recommended, 5), part.users)
        for part in (rank_test_users(Scripted(0.1).fit(X[train]), X[test], k=5) for train, test in CV.split(X))
    ]
    assert result.value("a", "miss") == pytest.approx(pd.concat(values).groupby(level=0).mean().mean())
    assert result.value("b", "miss", "p_value") <= 1
    assert result.value("a", "n_lists") == 60
    errors = [Scripted(0.1).fit(X[train]).predict(X[test]) - 1 for train, test in CV.split(X)]
    assert result.value("a", "bias") == pytest.approx(np.mean([np.mean(error) for error in errors]))
    result.to_json(tmp_path / "results.json")
    for comparison in (result, Comparison.from_json(tmp_path / "results.json")):
        assert "Lower is better: miss@5" in comparison.legend()
        assert "<dt>first miss (miss@5)</dt><dd>the &lt;first&gt; is a miss</dd>" in comparison.to_html()


def test_results_of_another_function_are_not_read_again(tmp_path):
    def compare_with(function):
        metric = Metric("mine", function, per="test_set")
        return compare({"a": Scripted()}, metrics=metric, checkpoint_dir=tmp_path).value("a", "mine")

    assert compare_with(lambda relevant, recommended, k: 1.0) == 1.0
    with pytest.warns(UserWarning, match="another configuration"):
        assert compare_with(lambda relevant, recommended, k: 2.0) == 2.0
    assert compare_with(lambda relevant, recommended, k: 1.0) == 1.0


def test_names_of_metrics_are_distinct():
    with pytest.raises(ValueError, match="two different metrics have the name 'ndcg'"):
        compare({"a": Scripted()}, metrics=("ndcg", Metric("ndcg", first_miss)))
    assert compare({"a": Scripted()}, metrics=("ndcg", "ndcg")).metrics[0] == "ndcg@5"


def test_users_and_not_folds_are_the_unit():
    many = compare({"a": Scripted(0.5), "b": Scripted(0.6)}, metrics="ndcg", cv=PerUserKFold(8, random_state=0))
    assert set(many.frame.loc[many.frame["metric"] == "ndcg@5", "n_users"]) == {60}
    assert (many.frame["n_folds"] == 8).all()


def test_errors_of_predictions_are_those_of_scikit_learn():
    y = np.where(X.sum(axis=1) % 2, 1.0, 5.0)
    result = compare_recommenders(
        {"a": Scripted(3.0)}, X, y, cv=CV, k=5, threshold=4, metrics=("ndcg", "rmse", "mae"), **QUICK
    )
    rmse, mae = [], []
    for train, test in CV.split(X):
        error = Scripted(3.0).fit(X[train]).predict(X[test]) - y[test]
        rmse.append(np.sqrt(np.mean(error**2)))
        mae.append(np.abs(error).mean())
    assert result.value("a", "rmse") == pytest.approx(np.mean(rmse))
    assert result.value("a", "mae") == pytest.approx(np.mean(mae))


def test_threshold_decides_what_is_relevant():
    y = np.tile([1.0, 5.0], len(X) // 2)
    result = compare_recommenders({"a": Scripted()}, X, y, cv=CV, k=5, threshold=4, metrics="recall", **QUICK)
    ranked = []
    for train, test in CV.split(X):
        good = test[y[test] >= 4]
        part = rank_test_users(Scripted().fit(X[train]), X[good], k=5, candidates="fitted")
        ranked.append(pd.Series(part.evaluate("recall", average=False), index=part.users))
    assert result.value("a", "recall") == pytest.approx(pd.concat(ranked).groupby(level=0).mean().mean())


def test_cold_items_are_ranked_among_themselves():
    cv = ColdItemKFold(4, random_state=0)
    result = compare({"a": Scripted(), "b": Scripted(0)}, cv=cv, candidates="test", metrics=("ndcg", "coverage"))
    assert result.value("a", "ndcg") > result.value("b", "ndcg")
    assert result.by_popularity.empty  # nobody knows any of them
    by_hand = [
        rank_test_users(Scripted().fit(X[train]), X[test], k=5, candidates="test") for train, test in cv.split(X)
    ]
    assert {len(ranked.items) for ranked in by_hand} == {10}
    values = pd.concat([pd.Series(ranked.evaluate("ndcg", average=False), index=ranked.users) for ranked in by_hand])
    assert result.value("a", "ndcg") == pytest.approx(values.groupby(level=0).mean().mean())


def test_searches_are_tuned_inside_each_training_fold_and_tables_reach_fit():
    scorer = make_ranking_scorer("ndcg", k=5)
    search = GridSearchCV(Scripted(), {"skill": [0.0, 3.0]}, scoring=scorer, cv=PerUserKFold(2, random_state=1))
    result = compare({"fixed": Scripted(3.0), "tuned": search}, metrics="ndcg", item_table=GENRES)
    assert result.value("tuned", "ndcg") == result.value("fixed", "ndcg")
    assert result.chosen["params"].tolist() == [{"skill": 3.0}] * 3
    assert (result.chosen["estimator"] == "tuned").all()
    assert not hasattr(search, "best_estimator_")  # a clone was fitted


def test_each_fit_gets_the_tables_that_it_takes():
    tables = {"item_table": GENRES, "user_table": GENRES}
    search = GridSearchCV(make_pipeline(FunctionTransformer(), Scripted()), {})
    assert accepted_tables(Scripted(), tables) == {"item_table": GENRES}
    assert accepted_tables(search, tables) == {"scripted__item_table": GENRES}
    assert accepted_tables(FunctionTransformer(), tables) == {}


def test_pipelines_are_looked_through():
    pipeline = make_pipeline(FunctionTransformer(), Scripted(2.0))
    result = compare({"plain": Scripted(2.0), "piped": pipeline}, metrics="ndcg")
    assert result.value("piped", "ndcg") == result.value("plain", "ndcg")


def test_no_test_row_reaches_fit():
    class Spy(Scripted):
        seen = []

        def fit(self, X, y=None):
            Spy.seen.append({tuple(row) for row in X.tolist()})
            return super().fit(X, y)

    compare({"spy": Spy()}, metrics="ndcg")
    for rows, (train, test) in zip(Spy.seen, CV.split(X), strict=True):
        assert rows == {tuple(row) for row in X[train].tolist()}
        assert rows.isdisjoint(tuple(row) for row in X[test].tolist())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_differences_of_nothing_are_rarely_significant(seed):
    # equally skilled, with noise of their own: what a lucky ranking gains must not look sure
    estimators = {f"e{i}": Scripted(0.3, noise_seed=10 * seed + i) for i in range(6)}
    result = compare(estimators, metrics="ndcg", random_state=seed)
    tested = result.frame[result.frame["metric"] == "ndcg@5"]["p_holm"].dropna()
    assert (tested < 0.05).sum() <= 1


def test_same_seed_same_frame_in_one_process_or_two():
    estimators = {"a": Scripted(0.5), "b": Scripted(0.7)}
    first, second = compare(estimators, metrics="ndcg"), compare(estimators, metrics="ndcg", n_jobs=2)
    columns = ["mean", "ci_low", "gain_high", "p_value"]
    rows = first.frame["metric"] == "ndcg@5"
    pd.testing.assert_frame_equal(first.frame[rows][columns], second.frame[rows][columns])


def test_an_integer_cv_keeps_users_in_training():
    result = compare({"a": Scripted()}, metrics="ndcg", cv=4)
    assert result.settings["n_folds"] == 4
    assert len(result.per_user) == 240  # two rows in each of four folds


def test_verbose_tells_how_far_it_is(capsys):
    compare({"a": Scripted(), "b": Scripted()}, metrics="ndcg", verbose=True)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("[1/6] fold 1 of 3, a, ndcg@5 0.")
    assert "to go" in lines[0]
    assert "to go" not in lines[-1]


def test_vectors_of_numbers_are_used_as_they_are():
    table = FeatureTable(
        pd.DataFrame({"item": range(40), "a": np.arange(40) % 2, "b": 1 - np.arange(40) % 2}), key="item"
    )
    by_number, by_text = (compare({"a": Scripted(0.5)}, metrics="ild", item_vectors=t) for t in (table, GENRES))
    assert by_number.value("a", "ild") == pytest.approx(by_text.value("a", "ild"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"estimators": {}}, "non-empty dict"),
        ({"estimators": {3: Scripted()}}, "names of estimators must be strings, got 3"),
        ({"reference": "c"}, r"reference='c' is not one of the estimators \['a'\]"),
        ({"metrics": ("ndgc",)}, r"metrics=\['ndgc'\]: choose"),
        ({"metrics": ()}, "choose one or more"),
        ({"metrics": "ild"}, "'ild' needs item_vectors"),
        ({"metrics": "rmse"}, "pass y"),
        ({"threshold": 4}, "threshold=4 .* pass y"),
        ({"k": 0}, "k must be an integer >= 1, got 0"),
        ({"level": 95}, "level must be above 0 and below 1, such as .95, got 95"),
        ({"n_permutations": -5}, "n_permutations must be an integer >= 1, got -5"),
        ({"n_resamples": 1.5}, "n_resamples must be an integer >= 1, got 1.5"),
        ({"candidates": "some"}, "candidates='some'"),
        ({"item_vectors": FeatureTable(pd.DataFrame({"item": range(40)}), key="item"), "metrics": "ild"}, "no column"),
        ({"item_vectors": FeatureTable(GENRES.frame.head(39), key="item"), "metrics": "ild"}, "lacks 1 of the 40"),
    ],
)
def test_bad_arguments(change, message):
    arguments = {"estimators": {"a": Scripted()}, "metrics": "ndcg", **change}
    with pytest.raises(ValueError, match=message):
        compare(**arguments)


def test_bad_types():
    with pytest.raises(TypeError, match="estimator 'a' is a dict without a fit"):
        compare({"a": {}})
    with pytest.raises(TypeError, match="FeatureTable"):
        compare({"a": Scripted()}, item_vectors=GENRES.frame)


@pytest.mark.parametrize(("fails", "doing"), [("fit", "fitting"), ("recommend", "ranking")])
def test_a_failing_estimator_names_itself(fails, doing):
    with pytest.raises(ValueError, match=f"'b' failed on fold 1 while {doing}: RuntimeError: out of luck"):
        compare({"a": Scripted(), "b": Scripted(fails=fails)})


def test_threshold_without_a_relevant_row_is_refused_with_the_range_of_y():
    X = [[user, item] for user in "abc" for item in "xyz"]
    with pytest.raises(ValueError, match=r"threshold=50 leaves no relevant row: y is between 1 and 9"):
        compare_recommenders(
            {"popularity": PopularityRecommender(feedback="explicit")}, X, range(1, 10), cv=3, threshold=50
        )


def relevant_recall(y, relevant, **options):
    """The mean recall of `compare_recommenders`, and the one of the rows that ought to be relevant."""
    result = compare_recommenders({"a": Scripted()}, X, y, cv=CV, k=5, metrics="recall", **QUICK, **options)
    ranked = []
    for train, test in CV.split(X):
        part = rank_test_users(Scripted().fit(X[train]), X[test[relevant[test]]], k=5, candidates="fitted")
        ranked.append(pd.Series(part.evaluate("recall", average=False), index=part.users))
    return result, pd.concat(ranked).groupby(level=0).mean().mean()


def test_hours_are_relevant_above_zero_and_ratings_from_four_and_both_say_so(capsys, tmp_path):
    hours = np.where(np.arange(len(X)) % 4, np.random.default_rng(0).pareto(0.8, len(X)) + 0.1, 0.0)
    result, recall = relevant_recall(hours, hours > 0, verbose=True)
    assert result.value("a", "recall") == pytest.approx(recall)
    assert result.settings["threshold"] is None
    stars = np.tile([5.0, 4, 3, 1, 5, 2, 4, 5], len(X) // 8)
    result, recall = relevant_recall(stars, stars >= 4, verbose=True)
    assert result.value("a", "recall") == pytest.approx(recall)
    assert result.settings["threshold"] == 4.0
    words = "y >= 4 (default: 4 of 5, since the values look like ratings from 1 to 5; threshold= changes it)"
    assert result.settings["relevant"] == words
    assert words in repr(result)
    assert words.replace(">", "&gt;") in result.to_html()
    printed = capsys.readouterr().out
    assert f"relevant: {words}\n" in printed
    assert "relevant: y > 0 (default: the values, from 0 to " in printed


@pytest.mark.parametrize(
    ("y", "threshold", "message"),
    [
        ([1, 1, 1, 1, 9, 9, 1, 1, 1], 5, r"threshold=5 leaves no relevant row among the 3 test rows of fold 1 of 3"),
        (
            [0, 0, 0, 2, 2, 2, 2, 2, 2],
            None,
            r"no value of y is above 0, so .* test rows of fold 1 of 3: y is between 0",
        ),
        ([0] * 9, None, r"no value of y is above 0.*y is between 0 and 0; pass a threshold"),
        ([1] * 8 + [np.nan], None, r"y is NaN at position 8"),
    ],
)
def test_a_fold_without_a_relevant_row_is_refused_before_anything_is_fitted(y, threshold, message):
    X = [[user, item] for user in "abc" for item in "xyz"]
    folds = [
        (np.flatnonzero(np.arange(9) // 3 != fold), np.flatnonzero(np.arange(9) // 3 == fold)) for fold in range(3)
    ]
    with pytest.raises(ValueError, match=message):
        compare_recommenders({"a": Scripted(fails="fit")}, X, y, cv=folds, threshold=threshold)


def test_test_rows_of_training_pairs_are_counted_in_the_result_and_on_the_page():
    rows = np.vstack([X, X[:100]])
    folds = list(KFold(3, shuffle=True, random_state=0).split(rows))
    by_fold = []
    for train, test in folds:
        known = {tuple(row) for row in rows[train].tolist()}
        by_fold.append(sum(tuple(row) in known for row in rows[test].tolist()))
    n = sum(by_fold)
    options = {"cv": folds, "k": 5, "metrics": "recall", **QUICK}
    with pytest.warns(RepeatedRowsWarning, match=rf"^{n} of {len(rows)} test rows"):
        result = compare_recommenders({"a": Scripted(), "b": Scripted(2.0)}, rows, **options)
    assert result.settings["repeated_rows"] == {"rows": n, "of": len(rows), "by_fold": by_fold}
    assert f"{n} of {len(rows)} test rows" in result.to_html()
    assert "keep one row for each pair before the split" in result.to_html()
    popular = {"a": PopularityRecommender(feedback="implicit")}
    allowed = compare_recommenders(popular, rows, exclude_seen=False, **options)  # and no warning
    assert "exclude_seen=False" in allowed.to_html()
    once = compare_recommenders({"a": make_pipeline(FunctionTransformer(), Scripted())}, X, **{**options, "cv": CV})
    assert once.settings["repeated_rows"] is None  # the pipeline may have changed the columns
    assert compare({"a": Scripted()}, metrics="recall").settings["repeated_rows"]["rows"] == 0


class Told(Scripted):
    """Does one thing wrong."""

    def fit(self, X, y=None, *, item_table=None):
        super().fit(X, y)
        if self.fails == "seen, without seen_":
            del self.seen_
        return self

    def predict(self, X):
        return np.where(np.arange(len(X)) == 3, np.nan, super().predict(X))

    def recommend(self, users, n_items=10, *, candidates=None, exclude_seen=True):
        ids, scores = super().recommend(users, n_items, candidates=candidates)
        if self.fails == "twice":
            ids[4, 2] = ids[4, 0]
        if self.fails == "NaN":
            scores[4, 2] = np.nan
        if self.fails == "seen, without seen_":
            ids[4, 2] = min(item for user, item in self.rows_ if user == users[4, 0])
        return ids, scores


@pytest.mark.parametrize(
    ("fails", "message"),
    [
        ("twice", r"listed the item {twice} twice for the user {user}, the second time at place 3"),
        ("NaN", r"scored the item {third} NaN for the user {user}, at place 3"),
        ("seen, without seen_", r"listed the item {seen} for the user {user}, who had it in training"),
        ("predict", r"predict scored the item {of_row_3} nan for the user {user_of_row_3} \(1 such rows of"),
    ],
)
def test_an_estimator_with_faulty_lists_is_named_with_fold_user_and_item_and_the_rest_is_kept(fails, message, tmp_path):
    train, test = next(iter(CV.split(X)))
    user = np.unique(X[test][:, 0])[4]
    model = Scripted().fit(X[train])
    ids, _ = model.recommend(np.array([[user, 0]]), 5, candidates=np.unique(X[:, 1]))
    facts = {"twice": ids[0, 0], "third": ids[0, 2], "seen": X[train][X[train][:, 0] == user][:, 1].min(), "user": user}
    facts |= {"of_row_3": X[test][3, 1], "user_of_row_3": X[test][3, 0]}
    options = {"metrics": ("ndcg", "rmse"), "checkpoint_dir": tmp_path}
    estimators = {"good": Scripted(), "bad": Told(fails=fails)}
    with pytest.raises(
        ValueError, match="^estimator 'bad' failed on fold 1 while .*Error: (recommend )?" + message.format(**facts)
    ):
        compare_recommenders(estimators, X, np.ones(len(X)), cv=CV, k=5, **QUICK, **options)
    assert [path.name[:10] for path in tmp_path.iterdir()] == ["good-fold1"]
