"""scikit-learn's callbacks on FeatureMFRecommender: every sweep is reported and can be scored."""

import warnings

import numpy as np
import pytest
from integration_data import llm, make_frame, make_recommender
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skllmrec.metrics import make_ranking_scorer
from skllmrec.recommenders import FeatureMFRecommender, TwoTowerRecommender

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks since 1.9")

FRAME, Y = make_frame()
N_SWEEPS = 4


@pytest.fixture
def recommender(tiny_bert):
    return make_recommender(llm(tiny_bert), max_iter=N_SWEEPS)


class Recorder:
    """Keeps what it is told, and asks to stop after some sweeps."""

    def __init__(self, stop_after=None):
        self.stop_after, self.tasks, self.fitted = stop_after, [], []

    def setup(self, estimator, context):
        self.tasks.append("setup")

    def teardown(self, estimator, context):
        self.tasks.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.tasks.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.tasks.append(f"end {context.task_name}")
        if fitted_estimator is not None:
            self.fitted.append((fitted_estimator, X, y))
        return self.stop_after is not None and len(self.fitted) >= self.stop_after


def alone(recommender):
    """Clone without callbacks; scikit-learn's clone keeps them."""
    return clone(recommender).set_callbacks()


@pytest.mark.parametrize("feedback", ["explicit", "implicit"])
def test_state_after_each_sweep_is_that_of_a_shorter_fit(recommender, feedback):
    # choices made on held-out interactions depend on max_iter
    recommender.set_params(feedback=feedback, alpha=0.1, prior_strength=0.5)
    y = Y if feedback == "explicit" else (Y >= 4).astype(float)
    recorder = Recorder()
    recommender.set_callbacks(recorder).fit(FRAME, y)
    assert len(recorder.fitted) == N_SWEEPS
    unknown = FRAME[:3].assign(item_id=[70, 71, 72])
    for sweep, (partly, X, seen_y) in enumerate(recorder.fitted, start=1):
        shorter = alone(recommender).set_params(max_iter=sweep).fit(FRAME, y)
        assert_allclose(partly.predict(FRAME), shorter.predict(FRAME), rtol=1e-5)
        assert_allclose(partly.predict(unknown), shorter.predict(unknown), rtol=1e-5)
        assert_array_equal(partly.recommend(FRAME[:5], n_items=3)[0], shorter.recommend(FRAME[:5], n_items=3)[0])
        assert X is FRAME and seen_y is y
    assert_allclose(recorder.fitted[-1][0].predict(FRAME), recommender.predict(FRAME))


def test_tasks_in_order(recommender):
    recorder = Recorder()
    recommender.set_callbacks(recorder).fit(FRAME, Y)
    assert recorder.tasks[:2] == ["setup", "begin fit"]
    assert recorder.tasks[2:-2] == ["begin iteration", "end iteration"] * N_SWEEPS
    assert recorder.tasks[-2:] == ["end fit", "teardown"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: FeatureMFRecommender(2, user="user_id", item="item_id", max_iter=2, feedback="explicit"),
        lambda: FeatureMFRecommender(
            2, user="user_id", item="item_id", solver="adamw", max_iter=2, feedback="explicit"
        ),
        lambda: TwoTowerRecommender(2, user="user_id", item="item_id", feedback="explicit", max_iter=2, device="cpu"),
    ],
    ids=["als", "gradients", "towers"],
)
def test_callbacks_get_the_data_of_the_call_rows_without_weight_included(make):
    recorder, weights = Recorder(), np.ones(len(Y))
    weights[::3] = 0
    make().set_callbacks(recorder).fit(FRAME, Y, sample_weight=weights)
    assert len(recorder.fitted) == 2
    assert all(X is FRAME and seen_y is Y for _, X, seen_y in recorder.fitted)
    assert recorder.tasks.count("setup") == recorder.tasks.count("teardown") == 1


def test_callback_can_stop_the_fit(recommender):
    recorder = Recorder(stop_after=2)
    recommender.set_callbacks(recorder).set_params(alpha=0.1, prior_strength=0.5).fit(FRAME, Y)
    assert recommender.n_iter_ == 2
    shorter = alone(recommender).set_params(max_iter=2).fit(FRAME, Y)
    assert_allclose(recommender.predict(FRAME), shorter.predict(FRAME))


def test_failed_fit_tears_down(recommender):
    recorder = Recorder()
    recommender.set_callbacks(recorder)
    with pytest.raises(ValueError, match="NaN"):
        recommender.fit(FRAME, np.full(len(Y), np.nan))
    assert recorder.tasks.count("setup") == recorder.tasks.count("teardown")
    recommender.fit(FRAME, Y)
    assert recorder.tasks.count("setup") == recorder.tasks.count("teardown")


def test_interrupted_fit_leaves_the_last_one(recommender):
    class Interrupt(Recorder):
        def on_fit_task_end(self, estimator, context):
            raise KeyboardInterrupt

    before = recommender.fit(FRAME, Y).predict(FRAME)
    interrupt = Interrupt()
    with pytest.raises(KeyboardInterrupt):
        recommender.set_callbacks(interrupt).fit(FRAME[:50].assign(user_id=range(50)), Y[:50])
    assert interrupt.tasks[-1] == "teardown"
    assert_array_equal(recommender.predict(FRAME), before)


def test_callbacks_change_nothing(recommender):
    plain = alone(recommender).fit(FRAME, Y)
    recommender.set_callbacks(Recorder()).fit(FRAME, Y)
    assert_array_equal(recommender.predict(FRAME), plain.predict(FRAME))
    # the callbacks are the only difference that a fit with them leaves
    assert set(vars(recommender)) - {"_skl_callbacks"} == set(vars(plain))


def test_scoring_monitor_scores_each_sweep(recommender):
    monitor = callback.ScoringMonitor(scoring=["r2", "neg_mean_squared_error"])
    recommender.set_callbacks(monitor).fit(FRAME, Y)
    rows = monitor.get_logs().data
    assert len(rows) == N_SWEEPS
    predicted = recommender.predict(FRAME)
    assert_allclose(rows[-1]["r2"], r2_score(Y, predicted))
    assert_allclose(rows[-1]["neg_mean_squared_error"], -mean_squared_error(Y, predicted))
    assert rows[-1]["r2"] > rows[0]["r2"], "the fit gets better"


def test_scoring_monitor_ranks_the_recommendations_of_each_sweep(recommender):
    monitor = callback.ScoringMonitor(scoring={"coverage": make_ranking_scorer("coverage", k=3)})
    recommender.set_params(feedback="implicit").set_callbacks(monitor).fit(FRAME, (Y >= 4).astype(float))
    assert [0 < row["coverage"] <= 1 for row in monitor.get_logs().data] == [True] * N_SWEEPS


def test_progress_bar(recommender, capsys):
    pytest.importorskip("rich", reason="scikit-learn's ProgressBar needs rich")
    recommender.set_callbacks(callback.ProgressBar()).fit(FRAME, Y)
    assert "FeatureMFRecommender" in capsys.readouterr().out


def test_monitor_on_a_recommender_inside_a_pipeline_and_a_search():
    monitor = callback.ScoringMonitor(scoring="r2")
    recommender = FeatureMFRecommender(
        3, user="user_id", item="item_id", max_iter=N_SWEEPS, random_state=0, feedback="explicit"
    )
    pipeline = make_pipeline(FunctionTransformer(), recommender.set_callbacks(monitor)).fit(FRAME, Y)
    assert len(monitor.get_logs().data) == N_SWEEPS
    assert_allclose(monitor.get_logs().data[-1]["r2"], pipeline.score(FRAME, Y))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        search = GridSearchCV(recommender, {"n_components": [2, 3]}, cv=2, refit=False).fit(FRAME, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert sum(len(log.data) for log in monitor.get_logs(select="all")) == N_SWEEPS * (1 + 2 * 2)


def test_verbose_shows_a_bar(recommender, capsys):
    pytest.importorskip("tqdm")
    recommender.set_params(verbose=True).fit(FRAME, Y)
    shown = capsys.readouterr().err
    assert "ALS" in shown and f"{N_SWEEPS}/{N_SWEEPS}" in shown
