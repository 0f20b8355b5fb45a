"""Results that outlive the process: after kill -9, in other configurations, from damaged files."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scripted import Logged, compare_logged, integer_data, lines, quality
from sklearn.model_selection import GridSearchCV

from skllmrec.base import FeatureTable
from skllmrec.comparison import _checkpoint
from skllmrec.comparison._checkpoint import Checkpoint, plain
from skllmrec.comparison._fold import FoldResult
from skllmrec.comparison._progress import TimeToGo
from skllmrec.exceptions import CheckpointError
from skllmrec.metrics import make_ranking_scorer
from skllmrec.model_selection import PerUserKFold


def test_a_killed_run_goes_on_where_it_stopped(tmp_path, capsys):
    log, folder = tmp_path / "log.txt", tmp_path / "folds"
    log.with_suffix(".wait").touch()
    process = subprocess.Popen([sys.executable, str(Path(__file__).parents[1] / "scripted.py"), str(log), str(folder)])
    try:
        deadline = time.monotonic() + 240
        while not log.with_suffix(".waits").exists():
            assert process.poll() is None, "it ended by itself"
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.kill()  # SIGKILL: it cannot tidy up
        process.wait()
    assert len(lines(log)) == 3
    assert len(list(folder.glob("*.npz"))) == 3
    assert not list(folder.glob(".*"))

    log.with_suffix(".wait").unlink()
    resumed = compare_logged(str(log), folder)
    printed = capsys.readouterr().out
    assert f"3 of 6 results are in {folder} already" in printed
    assert [line.partition("]")[0] for line in printed.splitlines()[1:]] == ["[4/6", "[5/6", "[6/6"]
    assert len(lines(log)) == 6  # three fits, not six more

    again = compare_logged(str(log), folder)
    assert len(lines(log)) == 6
    for name in ("frame", "per_user", "per_fold", "by_popularity", "chosen"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(resumed, name))
    whole = compare_logged(str(log), None)
    pd.testing.assert_frame_equal(quality(whole), quality(resumed))
    pd.testing.assert_frame_equal(whole.per_user, resumed.per_user)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A folder with the results of `compare_logged`, and the log of its fits."""
    where = tmp_path_factory.mktemp("kept")
    compare_logged(str(where / "log.txt"), where / "folds")
    return where / "log.txt", where / "folds"


X = integer_data()
SPACE = FeatureTable(pd.DataFrame({"item": range(40), "genre": [f"kind{i % 5}" for i in range(40)]}), key="item")
OTHER_SPACE = FeatureTable(SPACE.frame.assign(genre=[f"kind{i % 7}" for i in range(40)]), key="item")


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"X": X[::-1]}, "the data"),
        ({"y": np.ones(len(X))}, "the data"),
        ({"item_table": SPACE}, "the data"),
        ({"user_table": SPACE}, "the data"),
        ({"k": 6}, "the metrics"),
        ({"metrics": ("ndcg",)}, "the metrics"),
        ({"candidates": "fitted"}, "the metrics"),
        ({"random_state": 1}, "the split, the seed"),
        ({"cv": 2}, "the split\n"),
        ({"estimators": "other skill"}, "the parameters or the code of the estimator"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_another_configuration_is_never_mixed_in(kept, changes, differs, tmp_path, capsys):
    log, folder = kept
    if "estimators" in changes:
        changes = {"estimators": {"weak": Logged(0.3, log=str(log)), "strong": Logged(3.0, log=str(log))}}
    capsys.readouterr()
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = compare_logged(str(log), folder, **changes)
    printed = capsys.readouterr().out
    assert "already" not in printed
    assert "of another configuration" in printed
    assert f"it differs in {differs}" in printed
    pd.testing.assert_frame_equal(quality(result), quality(compare_logged(str(log), None, **changes)))
    for path in set(folder.iterdir()) - set(before):
        path.unlink()
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    ("first", "second", "differs"),
    [
        ({"threshold": 2}, {"threshold": 3}, "the metrics"),
        ({"metrics": "ild", "item_vectors": SPACE}, {"metrics": "ild", "item_vectors": OTHER_SPACE}, "the data"),
        ({"metrics": "ild", "item_table": SPACE}, {"metrics": "ild", "item_table": OTHER_SPACE}, "the data"),
    ],
    ids=["threshold", "item vectors", "item table as vectors"],
)
def test_options_that_are_told_apart(first, second, differs, tmp_path, capsys):
    y = np.arange(len(X)) % 4
    compare_logged(str(tmp_path / "log.txt"), tmp_path / "folds", y=y, **first)
    compare_logged(str(tmp_path / "log.txt"), tmp_path / "folds", y=y, **second)
    assert f"it differs in {differs}\n" in capsys.readouterr().out
    assert len(lines(tmp_path / "log.txt")) == 12


def test_another_program_computes_anew(kept, monkeypatch, capsys):
    log, folder = kept
    n_fits = len(lines(log))
    monkeypatch.setattr(_checkpoint, "fingerprint_program", lambda: "another version")
    compare_logged(str(log), folder)
    assert "it differs in the versions or the source of the program\n" in capsys.readouterr().out
    assert len(lines(log)) == n_fits + 6


def test_earlier_durations_are_known(kept, monkeypatch):
    seen = []
    monkeypatch.setattr(TimeToGo, "note", lambda self, name, duration: seen.append(name))
    compare_logged(str(kept[0]), kept[1])
    assert sorted(seen) == ["strong"] * 3 + ["weak"] * 3


def one_result(users):
    return FoldResult("a", 0, users, {"ndcg@5": np.ones(len(users))}, {"coverage@5": 0.5})


def test_a_result_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def break_off(file, **arrays):
        file.write(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(np, "savez_compressed", break_off)
    with pytest.raises(OSError, match="full"):
        Checkpoint(tmp_path, {("a", 0): {}}, {}).save(one_result(np.arange(3)))
    assert not list(tmp_path.iterdir())


def test_ids_that_json_would_change_are_refused(tmp_path):
    users = np.empty(2, dtype=object)
    users[:] = [("a", 1), ("b", 2)]
    with pytest.raises(ValueError, match=r"ids of users that are texts or numbers, not .'a', 1."):
        Checkpoint(tmp_path, {("a", 0): {}}, {}).save(one_result(users))


def test_what_only_the_summary_needs_is_computed_again(kept):
    log, folder = kept
    n_fits = len(lines(log))
    other = compare_logged(str(log), folder, reference="strong", level=0.8, n_resamples=50)
    assert len(lines(log)) == n_fits
    assert other.settings["reference"] == "strong"


def test_another_estimator_joins(kept):
    log, folder = kept
    n_fits = len(lines(log))
    three = {name: Logged(skill, log=str(log)) for name, skill in {"weak": 0.1, "new": 1.0, "strong": 2.0}.items()}
    assert compare_logged(str(log), folder, estimators=three).estimators == ["weak", "new", "strong"]
    assert len(lines(log)) == n_fits + 3


def test_without_resume_everything_is_computed_and_replaced(kept, capsys):
    log, folder = kept
    n_fits, n_files = len(lines(log)), len(list(folder.iterdir()))
    compare_logged(str(log), folder, resume=False)
    assert len(lines(log)) == n_fits + 6
    assert len(list(folder.iterdir())) == n_files


@pytest.mark.parametrize("damage", ["half", "empty", "changed"])
def test_a_damaged_file_is_computed_again(tmp_path, damage):
    log = tmp_path / "log.txt"
    whole = compare_logged(str(log), tmp_path / "folds")
    (path,) = (tmp_path / "folds").glob("weak-fold2-*")
    data = path.read_bytes()
    middle = len(data) // 2
    changed = data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]
    path.write_bytes({"half": data[:middle], "empty": b"", "changed": changed}[damage])
    mended = compare_logged(str(log), tmp_path / "folds")
    assert len(lines(log)) == 7
    pd.testing.assert_frame_equal(quality(whole), quality(mended))


def test_what_cannot_be_known_again_is_computed_and_said(kept, capsys):
    log, folder = kept
    # what object() stands for cannot be told in another process
    estimators = {"weak": Logged(0.1, log=str(log)), "odd": Logged(1.0, log=str(log), noise_seed=1, fails=object())}
    n_fits = len(lines(log))
    for _ in range(2):
        compare_logged(str(log), folder, estimators=estimators)
        assert "'odd' is computed anew every time: fails (object)" in capsys.readouterr().out
    assert len(lines(log)) == n_fits + 6
    assert not list(folder.glob("odd-*"))


def test_a_quiet_run_warns_where_nothing_fits(kept):
    log, folder = kept
    with pytest.warns(UserWarning, match="the seed"):
        compare_logged(str(log), folder, random_state=7, verbose=False)
    compare_logged(str(log), folder, verbose=False)


def test_searches_and_ids_of_text_come_back(tmp_path):
    frame = pd.DataFrame(integer_data(), columns=["user", "item"]).astype({"user": object})
    scorer = make_ranking_scorer("ndcg", k=5)
    search = GridSearchCV(
        Logged(log=str(tmp_path / "log.txt")), {"skill": [0.0, 3.0]}, scoring=scorer, cv=PerUserKFold(2)
    )
    options = {"X": frame.to_numpy(), "estimators": {"search": search}, "cv": PerUserKFold(2, random_state=0)}
    first = compare_logged(str(tmp_path / "log.txt"), tmp_path / "folds", **options)
    n_fits = len(lines(tmp_path / "log.txt"))
    second = compare_logged(str(tmp_path / "log.txt"), tmp_path / "folds", **options)
    assert len(lines(tmp_path / "log.txt")) == n_fits
    assert second.chosen["params"].tolist() == [{"skill": 3.0}] * 2
    pd.testing.assert_frame_equal(first.per_user, second.per_user)
    pd.testing.assert_frame_equal(first.chosen, second.chosen)


def test_a_seed_is_needed(tmp_path):
    with pytest.raises(ValueError, match="checkpoint_dir needs random_state=an integer"):
        compare_logged("log", tmp_path, random_state=None)


def test_plain_values():
    given = {"a": np.float32(0.5), "b": (1, None), "c": np.arange(2), 3: PerUserKFold(2, random_state=0)}
    assert plain(given) == {
        "a": 0.5, "b": [1, None], "c": "array([0, 1])", "3": repr(PerUserKFold(2, random_state=0)),
    }  # fmt: skip


def test_any_damaged_file_counts_as_absent_and_is_named(tmp_path):
    from skllmrec.comparison._checkpoint import _SUFFIX, Checkpoint

    for place, meta in enumerate(["[]", "null", "{}", '{"format": 1}', '{"format": "x"}', "{"]):
        with (tmp_path / f"bad-fold{place}{_SUFFIX}").open("wb") as file:
            np.savez(file, meta=np.array(meta))
    with (tmp_path / f"array-fold1{_SUFFIX}").open("wb") as file:
        np.save(file, np.arange(3))
    (note,) = Checkpoint(tmp_path, {("a", 0): {}}, {}).notes({})
    assert all(path.name in note for path in tmp_path.iterdir())


def resaved(path, **changes):
    """Write an archive again without some arrays, or with others."""
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays |= changes
    np.savez(path, **{name: values for name, values in arrays.items() if values is not None})


@pytest.mark.parametrize(
    "change",
    [{"per_user0": None}, {"users": None}, {"by_popularity1": None}, {"per_user0": np.ones(3)}, {"meta": None}],
    ids=["no metric", "no users", "no group", "too short", "no description"],
)
def test_a_file_without_all_its_arrays_is_computed_again_and_named(tmp_path, change, capsys):
    log = tmp_path / "log.txt"
    whole = compare_logged(str(log), tmp_path / "folds")
    (path,) = (tmp_path / "folds").glob("weak-fold2-*")
    resaved(path, **change)
    mended = compare_logged(str(log), tmp_path / "folds")
    assert f"damaged or unknown files in {tmp_path / 'folds'} not used: {path.name}" in capsys.readouterr().out
    assert len(lines(log)) == 7
    pd.testing.assert_frame_equal(quality(whole), quality(mended))


def test_a_folder_that_cannot_hold_results_is_refused_before_anything_is_fitted(tmp_path):
    log = tmp_path / "log.txt"
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"no results can be kept in .*file"):
        compare_logged(str(log), tmp_path / "file")
    compare_logged(str(log), tmp_path / "folds")
    (path,) = (tmp_path / "folds").glob("weak-fold2-*")
    path.unlink()
    path.mkdir()
    with pytest.raises(CheckpointError, match=r"weak-fold2-.*npz is a folder where a file belongs: remove it"):
        compare_logged(str(log), tmp_path / "folds")
    assert len(lines(log)) == 6
