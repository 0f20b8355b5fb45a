"""python -m skllmrec store: tables and JSON, exit status, errors in one line."""

import json
import subprocess
import sys

import pytest
from store_helpers import IDENTITY, N_DIMS, counts, fetch, scribble, texts_like

from skllmrec.__main__ import main
from skllmrec._store import EmbeddingStore, _database

OTHER = {"model": "another", "weights": "0123456789abcdef" * 4}


@pytest.fixture
def store(tmp_path):
    """Two encoders with 20 and 5 texts."""
    path = tmp_path / "a store"
    fetch(path, texts_like(20))
    fetch(path, texts_like(5), identity=OTHER)
    return path


@pytest.fixture
def run(store, capsys):
    def run(action, *options, path=store):
        status = main(["store", action, str(path), *options])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def damage(store):
    connection = _database.sqlite3.connect(store / _database.FILE)
    connection.execute("UPDATE vectors SET vector = zeroblob(16) WHERE id = 3")
    connection.commit()
    connection.close()


def test_inspect(run, store):
    status, shown, errors = run("inspect")
    assert (status, errors) == (0, "")
    lines = shown.splitlines()
    assert lines[0].startswith(f"{store}: 25 texts, ")
    ids = {json.dumps(e["identity"], sort_keys=True): e["id"] for e in EmbeddingStore(store).inspect()["encoders"]}
    (row,) = [line for line in lines if line.startswith(ids[json.dumps(IDENTITY, sort_keys=True)] + "  ")]
    assert row.split()[1:4] == ["20", f"{20 * 4 * N_DIMS}", "B"]
    assert f"{ids[json.dumps(OTHER, sort_keys=True)]}: model=another, weights=0123456789ab" in lines
    assert len({len(line) for line in lines[2:5]}) == 1  # a table


def test_inspect_json(run, store):
    status, shown, _ = run("inspect", "--json")
    found, expected = json.loads(shown), EmbeddingStore(store).inspect()
    assert status == 0
    assert found["encoders"][0]["last_use"] == expected["encoders"][0]["last_use"].isoformat()
    assert [encoder["identity"] for encoder in found["encoders"]] == [e["identity"] for e in expected["encoders"]]


def test_stats(run):
    status, shown, _ = run("stats")
    assert status == 0
    assert {"25 texts", "25 encoded", "2 encoders"} <= {" ".join(line.split()) for line in shown.splitlines()}
    assert json.loads(run("stats", "--json")[1])["texts"] == 25


def test_prune(run, store):
    status, shown, _ = run("prune", "--older-than", "30d")
    assert (status, shown.splitlines()[0]) == (0, "0 texts removed, 0 B of vectors")
    (name,) = [e["id"] for e in EmbeddingStore(store).inspect()["encoders"] if e["identity"] == OTHER]
    status, shown, _ = run("prune", "--encoder", name[:8], "--dry-run")
    assert (status, shown) == (0, "5 texts would be removed, 80 B of vectors\n")
    assert counts(store) == (25, 25)
    assert json.loads(run("prune", "--encoder", name, "--json")[1])["texts"] == 5
    assert counts(store) == (20, 25)
    status, shown, _ = run("prune", "--max-bytes", "0B")
    assert shown.startswith("20 texts removed, 320 B of vectors\nsize of the files: ")


def test_verify(run, store):
    status, shown, _ = run("verify")
    assert (status, shown.splitlines()[-1]) == (0, "all is well")
    damage(store)
    status, shown, _ = run("verify")
    assert status == 1
    assert " ".join(shown.splitlines()[1].split()) == "1 vectors, checksum wrong"
    assert shown.splitlines()[-1] == "run with --repair to put this right"
    status, shown, _ = run("verify", "--repair")
    assert (status, shown.splitlines()[-1]) == (1, "repaired")
    status, shown, _ = run("verify", "--json")
    assert (status, json.loads(shown)["sound"]) == (0, 24)


def test_verify_of_a_damaged_file(run, store):
    scribble(store / _database.FILE, 0, b"\xff" * 50)
    status, shown, errors = run("verify")
    assert (status, errors) == (1, "")
    assert "the structure of the file is damaged: file is not a database" in shown
    status, shown, errors = run("inspect")
    assert (status, shown) == (2, "")
    assert errors.startswith("error: the embedding store")
    assert errors.count("\n") == 1
    assert run("verify", "--repair")[0] == 1
    assert run("verify")[0] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["prune"], "error: prune() without a condition would remove everything"),
        (["prune", "--encoder", "zz"], "error: encoder='zz' names no encoder of the store"),
    ],
)
def test_usage_errors_are_one_line(run, options, message):
    status, shown, errors = run(*options)
    assert (status, shown) == (2, "")
    assert errors.startswith(message)
    assert errors.count("\n") == 1


@pytest.mark.parametrize("action", ["inspect", "stats", "verify"])
def test_folder_without_a_store(run, tmp_path, action):
    status, shown, errors = run(action, path=tmp_path / "none")
    assert (status, shown) == (2, "")
    assert errors == f"error: there is no store in {tmp_path / 'none'}: no file {_database.FILE}\n"
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["store", "prune", "x", "--older-than", "30"], "'30' is not an age"),
        (["store", "prune", "x", "--max-bytes", "2QB"], "'2QB' is not a size"),
        (["store"], "ACTION"),
        (["store", "inspect"], "PATH"),
    ],
)
def test_wrong_options(capsys, options, message):
    with pytest.raises(SystemExit) as stopped:
        main(options)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_as_a_process_that_loads_no_torch(store):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "skllmrec", "store", "stats", str(store)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "25  texts" in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "skllmrec" in loaded
    assert not loaded & {"torch", "transformers", "numba", "onnxruntime"}
