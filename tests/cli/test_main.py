"""The command line, end to end on a small folder with a tiny language model."""

import json
import os
import re
import signal
import subprocess
import sys

import joblib
import pandas as pd
import pytest

from skllmrec.__main__ import main
from skllmrec._cli.compare import command
from skllmrec.comparison import Comparison
from skllmrec.comparison._fold import FoldError
from skllmrec.datasets import make_interactions
from skllmrec.recommenders import PopularityRecommender

FILES = {"report.html", "results.csv", "results.json", "picture.png", "best_pipeline.joblib", "folds"}
NAMES = ["popularity", "ids", "ids + TF-IDF", "ids + LLM", "ids + TF-IDF + LLM"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of parquet files: 60 users rate 40 items from 1 to 5."""
    folder = tmp_path_factory.mktemp("shop")
    bunch = make_interactions(n_users=60, n_items=40, density=0.35, feedback="explicit", random_state=0)
    columns = [name for name in ("user_id", "item_id", "rating", "timestamp") if name in bunch.frame.columns]
    bunch.frame[columns].to_parquet(folder / "interactions.parquet")
    items = bunch.item_table.assign(user_tags="what a user said", url="http://example.org")
    items.to_parquet(folder / "items.parquet")
    return folder


@pytest.fixture
def compare(folder, tiny_bert, tmp_path, capsys):
    """Run `compare` on the folder; gives status, output, errors and the folder of results."""

    def run(*options, data=folder):
        out = tmp_path / "report"
        status = main(
            ["compare", "--data", str(data), "--model", str(tiny_bert), "--store", str(tmp_path / "store"),
             "--out", str(out), "--folds", "2", "--trials", "2", "--k", "5", "--n-jobs", "1", *options]
        )  # fmt: skip
        captured = capsys.readouterr()
        return status, captured.out, captured.err, out

    return run


def test_warm(compare, folder):
    status, printed, _, out = compare("--n-jobs", "2")
    assert status == 0
    assert {path.name for path in out.iterdir()} == FILES
    results = pd.read_csv(out / "results.csv")
    assert results["estimator"].drop_duplicates().tolist() == NAMES
    assert not results.duplicated(["estimator", "metric"]).any()
    for metric in results["metric"].unique():  # names as printed
        assert re.search(rf"^{metric} ", printed, flags=re.MULTILINE)
    assert "left out of the text: user_tags" in printed
    assert re.search(r"positives: [0-9,]+ of [0-9,]+ interactions with rating >= 4 \(default: 4 of 5", printed)
    assert "url" not in printed.partition("Encoding")[0]
    assert "[10/10]" in printed
    assert "Quality of the data" in printed

    model = joblib.load(out / "best_pipeline.joblib")
    user = pd.read_parquet(folder / "interactions.parquet")["user_id"].iloc[0]
    ids, _ = model.recommend([user], n_items=5)
    assert set(ids[0]) <= set(pd.read_parquet(folder / "items.parquet")["item_id"])
    assert not any(key.endswith("memory") and value for key, value in model.get_params().items())

    report = (out / "report.html").read_text(encoding="utf-8")
    assert "<h2>Quality of the data, as it was read</h2>" in report
    assert "<dt>NDCG (ndcg@5)</dt><dd>how much of what a user liked" in report.partition("<table")[0]
    box = report.partition("<table")[0]
    plain = re.sub(r"<style>.*?</style>|<details>.*?</details>", "", box, flags=re.DOTALL)
    assert "those of the table allow for the comparisons of its row" in box
    assert "Holm" not in plain
    assert "find at least one item they like among 5 recommendations" in plain
    assert "before the last step" not in report
    verdict = re.search(r"\nVerdict\n  (.*)\n", printed).group(1)
    assert report.index(verdict.replace("'", "&#x27;")) < report.index("<dt>ids + LLM</dt>") < report.index("<table")
    for figure in (f"{value:.4f}" for value in results.loc[results["metric"] == "ndcg@5", "mean"]):
        assert figure in report
        assert figure in printed


def test_a_second_run_reads_the_store_and_replaces_the_files(compare):
    first = pd.read_csv(compare("--trials", "1")[3] / "results.csv")
    _, _, _, out = compare("--trials", "1")
    second = pd.read_csv(out / "results.csv")
    timeless = ~first["metric"].isin(["fit_seconds", "recommend_seconds", "fit_peak_mb"])
    pd.testing.assert_frame_equal(first[timeless], second[timeless])
    assert {path.name for path in out.iterdir()} == FILES


def test_cold_items(compare):
    status, printed, _, out = compare("--protocol", "cold-items", "--text", "{title}")
    assert status == 0
    assert "Text: {title}\n" in printed
    results = pd.read_csv(out / "results.csv").set_index(["estimator", "metric"])["mean"]
    assert results["popularity", "coverage@5"] > 0.2  # of the test items alone


def test_explicit_feedback_adds_errors_of_predictions(compare):
    status, _, _, out = compare("--feedback", "explicit", "--threshold", "3")
    assert status == 0
    results = pd.read_csv(out / "results.csv").set_index(["estimator", "metric"])["mean"]
    assert 0 < results["ids", "mae"] < results["ids", "rmse"] < 4


def test_temporal_with_a_part_of_the_users(compare, folder, tmp_path):
    timed = tmp_path / "timed"
    timed.mkdir()
    rows = pd.read_parquet(folder / "interactions.parquet")
    rows.assign(timestamp=range(len(rows)), rating=1.0).sample(frac=1, random_state=0).to_csv(
        timed / "interactions.csv", index=False
    )
    pd.read_parquet(folder / "items.parquet").to_csv(timed / "items.csv", index=False)
    status, printed, _, out = compare("--protocol", "temporal", "--max-users", "50", data=timed)
    assert status == 0
    assert "a random 50 of 60 users" in printed
    assert "positives: every interaction" in printed
    assert set(pd.read_csv(out / "results.csv")["n_folds"]) == {1}


@pytest.mark.parametrize(("protocol", "asked"), [("next-item", None), ("last-item", 60)])
def test_what_comes_next(compare, folder, tmp_path, protocol, asked):
    timed = tmp_path / "timed"
    timed.mkdir()
    rows = pd.read_parquet(folder / "interactions.parquet")[["user_id", "item_id"]]
    rows = rows.assign(day=range(len(rows))).sample(frac=1, random_state=0)
    again = rows.sample(frac=0.1, random_state=1)
    rows = pd.concat([rows, again.assign(day=again["day"] + len(rows))])
    rows.to_csv(timed / "interactions.csv", index=False)
    pd.read_parquet(folder / "items.parquet").to_csv(timed / "items.csv", index=False)
    options = ["--protocol", protocol, "--time", "day", "--target", "none"]
    status, printed, _, out = compare(*options, data=timed)
    assert status == 0
    assert re.search(r"9\.1% of the rows repeat an earlier item of their user: lists may repeat what is in", printed)
    results = pd.read_csv(out / "results.csv")
    assert set(results["metric"]) >= {"hit_rate@5", "ndcg@5", "mrr@5"}
    assert "precision@5" not in set(results["metric"])
    n_asked = results.loc[results["metric"] == "ndcg@5", "n_users"].unique()
    assert n_asked == ([asked] if asked else [n for n in n_asked if 0.15 * len(rows) < n <= 0.2 * len(rows) + 1])
    assert "find what comes next among 5 recommendations" in printed
    job = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert job["settings"]["history"] == "history"
    assert job["settings"]["exclude_seen"] is False
    ids, _ = joblib.load(out / "best_pipeline.joblib").recommend(history=[rows["item_id"].tolist()[:3]], n_items=5)
    assert ids.shape == (1, 5)


def test_next_item_needs_times_and_without_repeats_leaves_out_what_a_user_had(compare, folder, tmp_path):
    timeless = tmp_path / "timeless"
    timeless.mkdir()
    pd.read_parquet(folder / "interactions.parquet")[["user_id", "item_id"]].to_parquet(
        timeless / "interactions.parquet"
    )
    pd.read_parquet(folder / "items.parquet").to_parquet(timeless / "items.parquet")
    status, _, error, _ = compare("--protocol", "next-item", "--target", "none", data=timeless)
    assert status == 2
    assert "--protocol next-item needs times: the interactions have no column 'timestamp'" in error
    options = ["--protocol", "last-item", "--target", "none", "--trials", "1"]
    status, printed, _, out = compare(*options, data=timeless)
    assert status == 0
    assert "0.0% of the rows repeat an earlier item of their user: lists leave out what is in the history" in printed
    assert json.loads((out / "results.json").read_text(encoding="utf-8"))["settings"]["exclude_seen"] is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data", "no/such/folder"], "There is no folder no/such/folder"),
        (["--threshold", "9"], "--threshold 9 leaves nothing: the highest rating is 5"),
        (["--text", "{titel}"], "'titel', which is not in X; the columns are"),
        (["--text", "{title"], r"template '\{title' is not valid"),
        (["--text", "title"], "it has no field"),
        (["--exclude-columns", "title,description"], "no column of the items holds text"),
        (["--exclude-columns", "colour"], r"\['colour'\] cannot be excluded"),
        (["--target", "stars"], "no target column 'stars'"),
        (["--target", "none", "--threshold", "3"], "--threshold needs ratings"),
        (["--target", "none", "--feedback", "explicit"], "--feedback explicit needs ratings"),
        (["--model", "no/such-model"], "no/such-model"),
        (["--estimators", "no/such.py"], r"no/such\.py: there is no such Python file"),
        (["--folds", "999"], "too few for --protocol warm with --folds 999.*n_splits=999 exceeds"),
        (["--protocol", "cold-items", "--folds", "41"], "n_splits=41 exceeds the 40 items"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_nothing_is_written(compare, options, message, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    status, _, error, out = compare(*options)
    assert status == 2
    assert error.startswith("error: ")
    assert re.search(message, error)
    assert "Traceback" not in error
    assert not out.exists()


def test_temporal_needs_times(compare, folder, tmp_path):
    timeless = tmp_path / "timeless"
    timeless.mkdir()
    rows = pd.read_parquet(folder / "interactions.parquet")[["user_id", "item_id", "rating"]]
    rows.to_parquet(timeless / "interactions.parquet")
    pd.read_parquet(folder / "items.parquet").to_parquet(timeless / "items.parquet")
    status, _, error, _ = compare("--protocol", "temporal", data=timeless)
    assert status == 2
    assert "no column 'timestamp'" in error


@pytest.mark.parametrize(
    ("interactions", "items", "says"),
    [
        ("", "item_id,title\na,Sea\n", r"interactions\.csv cannot be read \(No columns"),
        ("user_id,item_id,rating\n", "item_id,title\na,Sea\n", r"interactions\.csv has no rows"),
        ("user_id,item_id,rating\nu,a,5\nv,a,4\n", "item_id,title\na,\n", r"no column .* \(title: empty, numbers"),
        ("user_id,item_id,rating\nu,a,5\nv,a,4\n", None, "nothing describes the items: put items.parquet"),
        ("user_id,item_id,rating\nu,a,5\n", "item_id,title\na,Sea\n", r"1 interaction\(s\) are too few"),
    ],
    ids=["empty", "head only", "no texts", "no items", "one row"],
)
def test_files_that_hold_too_little(compare, tmp_path, interactions, items, says):
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "interactions.csv").write_text(interactions)
    if items is not None:
        (shop / "items.csv").write_text(items)
    status, _, error, out = compare(data=shop)
    assert status == 2
    assert re.search(says, error)
    assert not out.exists()


def test_a_text_that_is_empty_everywhere(compare, folder, tmp_path):
    shop = tmp_path / "shop"
    shop.mkdir()
    pd.read_parquet(folder / "interactions.parquet").to_parquet(shop / "interactions.parquet")
    pd.read_parquet(folder / "items.parquet").assign(title=None).to_parquet(shop / "items.parquet")
    status, _, error, _ = compare("--text", "{title}", data=shop)
    assert status == 2
    assert "the text '{title}' is empty for all 40 items" in error


def test_the_folder_of_the_results_is_made_before_the_long_part(compare, tmp_path):
    (tmp_path / "file").touch()
    status, printed, error, _ = compare("--output", str(tmp_path / "file" / "report"))
    assert status == 2
    assert re.search("--out .*report: this folder cannot be made", error)
    assert "Encoding" not in printed


def test_ratings_that_drift_and_columns_that_leak_are_told(compare, folder, tmp_path):
    shop = tmp_path / "shop"
    shop.mkdir()
    rows = pd.read_parquet(folder / "interactions.parquet").sort_values("rating")
    rows = rows.assign(timestamp=range(len(rows)))
    items = pd.read_parquet(folder / "items.parquet")
    mean = rows.groupby("item_id")["rating"].mean()
    rows.to_parquet(shop / "interactions.parquet")
    items.assign(stars=items["item_id"].map(mean)).to_parquet(shop / "items.parquet")
    _, printed, _, _ = compare("--trials", "1", data=shop)
    quality = printed.partition("Quality of the data")[2].partition("Encoding")[0]
    assert "y over time: drift of the mean" in quality
    assert "stars: rank correlation 1.00 with the item's mean of y" in quality


def test_out_must_not_be_a_file(compare, tmp_path):
    (tmp_path / "report").write_text("mine")
    status, _, error, out = compare()
    assert status == 2
    assert "is a file" in error
    assert out.read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--k", "0"], "'0' is not a whole number from 1 up"),
        (["--folds", "1"], "from 2 up"),
        (["--protocol", "hot"], "invalid choice: 'hot'"),
        (["--seed", "x"], "'x' is not a whole number"),
        (["--threshold", "nan"], "'nan' is not a finite number"),
        (["--threshold", "many"], "'many' is not a finite number"),
        (["--fold", "3"], "skllmrec compare: error: unrecognized arguments: --fold 3"),
        (["--fold", "3"], "usage: python -m skllmrec compare [-h] [--data"),
    ],
)
def test_bad_options_exit_with_two(options, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["compare", *options])
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_an_interrupted_run_says_so_and_leaves_the_old_report(compare, monkeypatch):
    def files(folder):
        return {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}

    old = files(compare("--trials", "1")[3])

    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("skllmrec._cli.compare.command.compare_recommenders", interrupt)
    status, _, error, out = compare("--trials", "1")
    assert status == 130
    assert error == "stopped\n"
    assert files(out) == old


def test_where_the_last_fit_fails_the_results_are_there(compare, monkeypatch):
    out = []

    def fail(comparison, data, estimators, n_jobs):
        raise MemoryError("no room")

    def write(folder, *args):
        out.append(folder)
        return write_files(folder, *args)

    write_files = command._write
    monkeypatch.setattr(command, "_write", write)
    monkeypatch.setattr(command, "_refit", fail)
    with pytest.raises(MemoryError, match="no room") as caught:
        compare("--trials", "1")
    assert any("--resume repeats this last fit alone" in note for note in caught.value.__notes__)
    folder = out[0]
    assert {path.name for path in folder.iterdir()} == FILES - {"best_pipeline.joblib"}
    comparison = Comparison.from_json(folder / "results.json")
    assert comparison.settings["baselines"] == ["popularity"]
    assert len(pd.read_csv(folder / "results.csv")) == len(comparison.frame)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f"{comparison.value('ids', 'ndcg'):.4f}" in page
    assert "This page was written before the last step" in page


def test_the_kept_pipeline_does_not_need_the_store(compare, monkeypatch):
    monkeypatch.setattr("skllmrec._cli.compare.command.best_estimator", lambda comparison: "ids + LLM")
    parameters = joblib.load(compare("--trials", "1")[3] / "best_pipeline.joblib").get_params()
    memory = {key: value for key, value in parameters.items() if key.endswith("llmtextencoder__memory")}
    assert list(memory.values()) == [None]


def test_an_error_of_a_built_in_estimator_keeps_its_traceback(compare, monkeypatch):
    def fail(*args, **kwargs):
        raise FoldError("ids", "failed on fold 1")

    monkeypatch.setattr("skllmrec._cli.compare.command.compare_recommenders", fail)
    with pytest.raises(FoldError, match="estimator 'ids' failed on fold 1"):
        compare("--trials", "1")


OWN = """from skllmrec import PopularityRecommender

class Broken(PopularityRecommender):
    def fit(self, X, y=None):
        raise RuntimeError("out of luck")

def make_estimators(data, options):
    return {"<mine>": PRODUCT(user="user_id", item="item_id", feedback=options.feedback)}
"""


class Killed(PopularityRecommender):
    """Its process is ended from outside, as it is where memory runs out."""

    def fit(self, X, y=None):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_a_worker_that_was_killed_is_told_with_the_remedy(compare, monkeypatch):
    killed = {"killed": Killed(user="user_id", item="item_id", feedback="implicit")}
    monkeypatch.setattr("skllmrec._cli.compare.command.load_own_estimators", lambda *args, **options: killed)
    status, _, error, _ = compare("--trials", "1", "--n-jobs", "2", "--estimators", "mine.py")
    assert status == 2
    assert error.startswith("error: a worker process was ended from outside or ran out of memory; what is done is in")
    assert "--resume, after memory ran out with --n-jobs 1" in error


def test_own_estimators_and_a_run_that_goes_on(compare, tmp_path):
    path = tmp_path / "own_estimators_of_main.py"
    path.write_text(OWN.replace("PRODUCT", "Broken"))
    status, printed, error, out = compare("--trials", "1", "--estimators", str(path))
    assert status == 2
    assert error == (
        "error: estimator '<mine>' failed on fold 1 while fitting: RuntimeError: out of luck "
        "(own_estimators_of_main.py, line 5)\n"
    )
    assert "[5/12]" in printed

    path.write_text(OWN.replace("PRODUCT", "PopularityRecommender"))
    status, printed, _, out = compare("--trials", "1", "--estimators", str(path), "--resume")
    assert status == 0
    assert f"5 of 12 results are in {out / 'folds'} already" in printed
    assert "of another configuration" not in printed
    assert "\n  '<mine>' ranks " in printed.partition("In figures")[2]
    assert {p.name for p in out.iterdir()} == FILES
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<dt>&lt;mine&gt;</dt><dd>your own" in page
    assert "Comparing (what was there already is not counted)" in page

    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    names = list(dict.fromkeys(row["estimator"] for row in results["frame"]))
    assert names == [*NAMES, "<mine>"]
    assert all(row["fit_peak_mb"] >= 0 and row["fit_seconds"] > 0 for row in results["per_fold"])
    job = results["job"]
    assert set(job) == {"command", "options", "protocol", "data", "verdict", "verdict_details", "seconds"}
    assert all(f"  {sentence}\n" in printed for sentence in [*job["verdict"], *job["verdict_details"]])
    assert job["options"]["resume"] is True
    assert "Comparing" in job["seconds"]  # the same keys, resumed or not
    frame = Comparison.from_json(out / "results.json").frame
    pd.testing.assert_frame_equal(frame, pd.read_csv(out / "results.csv"), check_dtype=False)


def test_help_states_the_defaults():
    done = subprocess.run([sys.executable, "-m", "skllmrec", "compare", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    words = " ".join(done.stdout.split())
    for option, default in {
        "--data": "ml-100k", "--protocol": "warm", "--feedback": "implicit", "--k K": "20", "--folds": "5",
        "--seed": "0", "--out": "skllmrec-report",
    }.items():  # fmt: skip
        assert re.search(rf"{option} .*?\(default: {re.escape(default)}\)", words)
    assert "None" not in words
