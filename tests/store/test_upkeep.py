"""What is in a store, what goes, what is wrong with it."""

import sqlite3
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import SimpleNamespace

import pytest
from numpy.testing import assert_array_equal
from store_helpers import (
    IDENTITY,
    N_DIMS,
    WIDE,
    Job,
    counts,
    expected,
    fetch,
    look_up,
    must_not_encode,
    scribble,
    start_python,
    starting,
    texts_like,
    wait_for,
    wide_fetch,
)

from skllmrec._store import EmbeddingStore, _database, _removal, _store, _verification
from skllmrec.exceptions import StoreError, StoreWarning

OTHER = {**IDENTITY, "model": "another"}
DAY = 86400


@pytest.fixture
def clock(monkeypatch):
    """The store's time, to be set."""
    clock = SimpleNamespace(now=1_700_000_000.0)
    stand_in = SimpleNamespace(time=lambda: clock.now)
    for module in (_database, _removal, _store):
        monkeypatch.setattr(module, "time", stand_in)
    return clock


def edit(path, sql, *parameters):
    """Change the file behind the store's back."""
    with sqlite3.connect(path / _database.FILE) as connection:
        connection.execute(sql, parameters)
    connection.close()


def moment(seconds):
    return datetime.fromtimestamp(int(seconds), tz=UTC)


def test_inspect_lists_encoders(tmp_path, clock):
    start = clock.now
    fetch(tmp_path, texts_like(10))
    clock.now += 10 * DAY
    fetch(tmp_path, texts_like(4), identity=OTHER)
    clock.now += DAY
    fetch(tmp_path, texts_like(3), identity=OTHER)
    found = EmbeddingStore(tmp_path).inspect()
    assert found["path"] == str(tmp_path)
    assert found["texts"] == 14
    assert found["bytes"] == EmbeddingStore(tmp_path).stats()["bytes"] > 0
    assert found["set_aside"] == []
    newer, older = found["encoders"]
    assert newer.pop("id") != older.pop("id")
    size = 4 * N_DIMS
    assert newer == {
        "identity": OTHER,
        "texts": 4,
        "bytes": 4 * size,
        "first_use": moment(start + 10 * DAY),
        "last_use": moment(start + 11 * DAY),
    }
    assert older == {
        "identity": IDENTITY,
        "texts": 10,
        "bytes": 10 * size,
        "first_use": moment(start),
        "last_use": moment(start),
    }


def test_inspect_of_an_empty_store(tmp_path):
    found = EmbeddingStore(tmp_path / "new").inspect()
    assert (found["texts"], found["encoders"]) == (0, [])


def test_prune_by_age(tmp_path, clock):
    texts = texts_like(30)
    fetch(tmp_path, texts[:20])
    clock.now += 20 * DAY
    fetch(tmp_path, texts[10:])  # ten of the old ones are used again
    clock.now += 20 * DAY
    store = EmbeddingStore(tmp_path)
    for age in ("30d", timedelta(days=30), 30 * DAY):
        dry = store.prune(older_than=age, dry_run=True)
        assert (dry["texts"], dry["bytes"]) == (10, 10 * 4 * N_DIMS)
    assert counts(tmp_path) == (30, 30)
    done = store.prune(older_than="30d")
    assert (done["texts"], done["bytes"]) == (10, 10 * 4 * N_DIMS)
    assert_array_equal(store.fetch(IDENTITY, N_DIMS, texts[10:], must_not_encode), expected(texts[10:]))
    assert store.prune(older_than="30d")["texts"] == 0
    assert counts(tmp_path) == (20, 30)


@pytest.mark.parametrize("name", [OTHER, "id", "start of the id"])
def test_prune_by_encoder(tmp_path, name):
    texts = texts_like(20)
    fetch(tmp_path, texts)
    fetch(tmp_path, texts[:5], identity=OTHER)
    store = EmbeddingStore(tmp_path)
    (found,) = [encoder["id"] for encoder in store.inspect()["encoders"] if encoder["identity"] == OTHER]
    named = {"id": found, "start of the id": found[:6]}.get(name, name) if isinstance(name, str) else name
    assert store.prune(encoder=named)["texts"] == 5
    assert [encoder["identity"] for encoder in store.inspect()["encoders"]] == [IDENTITY]
    assert_array_equal(store.fetch(IDENTITY, N_DIMS, texts, must_not_encode), expected(texts))


def test_prune_by_size_removes_the_least_recently_used_and_shrinks(tmp_path, clock):
    texts = texts_like(3000)
    wide_fetch(tmp_path, texts[:1500])
    clock.now += DAY
    wide_fetch(tmp_path, texts[1500:])
    store = EmbeddingStore(tmp_path)
    dry = store.prune(max_bytes="2MB", dry_run=True)
    done = store.prune(max_bytes="2MB")
    assert done["after"] <= 2_100_000 < 3_000_000 < done["before"]  # the files: the database and its shared memory
    assert (tmp_path / _database.FILE).stat().st_size <= 2_000_000
    assert 0.9 * dry["texts"] < done["texts"] < 1.1 * dry["texts"]
    store.fetch(IDENTITY, WIDE, texts[-1400:], must_not_encode)
    assert store.verify()["sound"] == 3000 - done["texts"]


def test_prune_meets_all_conditions(tmp_path, clock):
    fetch(tmp_path, texts_like(10))
    fetch(tmp_path, texts_like(10), identity=OTHER)
    clock.now += DAY
    fetch(tmp_path, texts_like(5), identity=OTHER)
    assert EmbeddingStore(tmp_path).prune(encoder=OTHER, older_than="12h", max_bytes=0)["texts"] == 5
    assert [encoder["texts"] for encoder in EmbeddingStore(tmp_path).inspect()["encoders"]] == [5, 10]


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({}, r"without a condition would remove everything: give older_than="),
        ({"older_than": "much"}, r"older_than='much' is not an age"),
        ({"max_bytes": "2QB"}, r"max_bytes='2QB' is not a size"),
        ({"encoder": "xyz"}, r"encoder='xyz' names no encoder of the store: give the id of one \(\w+, \w+\)"),
        ({"encoder": ""}, r"encoder='' names no encoder"),
        ({"encoder": {"model": "none"}}, r"encoder=.* names no encoder"),
    ],
)
def test_prune_refuses_what_makes_no_sense(tmp_path, conditions, message):
    fetch(tmp_path, texts_like(10))
    fetch(tmp_path, texts_like(10), identity=OTHER)
    with pytest.raises(ValueError, match=message):
        EmbeddingStore(tmp_path).prune(**conditions)
    assert counts(tmp_path) == (20, 20)


def test_verify_of_a_sound_store(tmp_path):
    fetch(tmp_path, texts_like(1200))  # more than one query
    for repair in (False, True):
        assert EmbeddingStore(tmp_path).verify(repair=repair) == {
            "sound": 1200,
            "damaged": 0,
            "file": None,
            "uses": 0,
            "dead_claims": 0,
            "dead_owners": 0,
            "set_aside": [],
            "salvaged": 0,
        }


def test_verify_finds_damaged_rows_and_removes_them(tmp_path):
    texts = texts_like(50)
    fetch(tmp_path, texts)
    edit(tmp_path, "UPDATE vectors SET vector = zeroblob(16) WHERE id IN (3, 17)")
    edit(tmp_path, "UPDATE vectors SET checksum = x'00' WHERE id = 30")
    store = EmbeddingStore(tmp_path)
    for repair, found in [(False, (47, 3)), (True, (47, 3)), (True, (47, 0)), (False, (47, 0))]:
        report = store.verify(repair=repair)
        assert (report["sound"], report["damaged"], report["file"]) == (*found, None)
    missing = []
    store.fetch(IDENTITY, N_DIMS, texts, starting(texts, lambda wanted: missing.extend(wanted) or Job(wanted)))
    assert sorted(missing) == sorted(texts[i - 1] for i in (3, 17, 30))
    assert counts(tmp_path) == (50, 53)


def test_verify_does_not_delete_a_row_that_was_written_anew_meanwhile(tmp_path, monkeypatch):
    texts = texts_like(5)
    fetch(tmp_path, texts)
    edit(tmp_path, "UPDATE vectors SET vector = zeroblob(16) WHERE id = 3")
    transaction = _database.Database.transaction

    def disturbed(self):
        monkeypatch.undo()
        fetch(tmp_path, texts)
        return transaction(self)

    monkeypatch.setattr(_database.Database, "transaction", disturbed)
    assert EmbeddingStore(tmp_path).verify(repair=True)["damaged"] == 1
    look_up(tmp_path, texts)


def test_verify_finds_what_a_killed_process_left(tmp_path):
    store, log = tmp_path / "store", tmp_path / "log"
    process = start_python("fetch(sys.argv[1], texts_like(5), log=sys.argv[2], pause=60)", store, log)
    try:
        wait_for(log.exists)
        alive = EmbeddingStore(store).verify(repair=True)  # nothing of a living one is touched
        assert (alive["dead_claims"], alive["dead_owners"]) == (0, 0)
        assert EmbeddingStore(store).stats()["claims"] == 5
    finally:
        process.kill()
        process.wait()
    for repair, found in [(False, (5, 1)), (True, (5, 1)), (False, (0, 0))]:
        report = EmbeddingStore(store).verify(repair=repair)
        assert (report["dead_claims"], report["dead_owners"]) == found
    assert list((store / "owners").iterdir()) == []
    assert EmbeddingStore(store).stats()["claims"] == 0


def test_verify_enters_vectors_whose_use_is_not_noted(tmp_path):
    fetch(tmp_path, texts_like(10))
    edit(tmp_path, "DELETE FROM uses WHERE id < 4")
    edit(tmp_path, "UPDATE uses SET id = 99 WHERE id = 5")
    store = EmbeddingStore(tmp_path)
    assert [store.verify(repair=repair)["uses"] for repair in (False, True, False)] == [5, 5, 0]
    assert store.stats()["texts"] == 10
    assert store.prune(older_than="30d")["texts"] == 4  # those of which nothing is known


def test_damaged_file_is_rebuilt_from_its_sound_vectors(tmp_path):
    texts = texts_like(3000)
    fetch(tmp_path, texts)
    fetch(tmp_path, texts[:100], identity=OTHER)
    edit(tmp_path, "UPDATE vectors SET vector = zeroblob(16) WHERE id IN (2, 700)")
    path = tmp_path / _database.FILE
    scribble(path, 30 * 8192, b"\xff" * 8192)
    store = EmbeddingStore(tmp_path)
    report = store.verify()
    assert report["file"]
    assert (report["sound"], report["set_aside"]) == (0, [])
    report = store.verify(repair=True)
    assert report["file"]
    assert report["salvaged"] == report["sound"] > 2000
    assert report["damaged"] == 0  # those were left behind
    assert list(tmp_path.glob("*.damaged-*")) == []
    assert store.verify()["file"] is None
    assert {encoder["identity"]["model"] for encoder in store.inspect()["encoders"]} == {"length", "another"}
    assert_array_equal(fetch(tmp_path, texts), expected(texts))


def test_files_set_aside_earlier_are_salvaged(tmp_path):
    texts = texts_like(500)
    fetch(tmp_path, texts)
    scribble(tmp_path / _database.FILE, 5 * 8192, b"\xff" * 8192)
    with pytest.warns(StoreWarning, match="is damaged"):
        fetch(tmp_path, texts[:10])
    store = EmbeddingStore(tmp_path)
    (aside,) = store.verify()["set_aside"]
    assert store.inspect()["set_aside"] == [aside]
    report = store.verify(repair=True)
    assert report["file"] is None
    assert report["salvaged"] > 100
    assert store.inspect()["set_aside"] == []
    assert_array_equal(fetch(tmp_path, texts), expected(texts))


def test_rows_of_a_file_whose_pages_are_mixed_up_come_once():
    """An error behind rows in the wrong order: reading goes on behind the highest, and ends."""

    class Mixed:
        def execute(self, query, parameters):
            for row in (5, 3, 9, 4):
                if row >= parameters[0] or row == 4:
                    yield (row,)
            raise sqlite3.DatabaseError("database disk image is malformed")

    assert list(islice(_verification._readable(Mixed()), 100)) == [(5,), (9,)]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"nonsense" * 5000])
def test_file_that_is_no_database(tmp_path, content):
    (tmp_path / _database.FILE).write_bytes(content)
    store = EmbeddingStore(tmp_path)
    assert store.verify()["sound"] == 0
    assert (tmp_path / _database.FILE).exists()
    report = store.verify(repair=True)
    assert (report["sound"], report["salvaged"]) == (0, 0)
    assert store.stats()["texts"] == 0


@pytest.mark.parametrize("name", ["stats", "inspect", "verify", "prune"])
def test_file_of_another_program_is_left_alone(tmp_path, name):
    with sqlite3.connect(tmp_path / _database.FILE) as connection:
        connection.execute("CREATE TABLE accounts (name TEXT)")
    connection.close()
    options = {"prune": {"older_than": 0}, "verify": {"repair": True}}.get(name, {})
    with pytest.raises(StoreError, match="is a database of another program or version"):
        getattr(EmbeddingStore(tmp_path), name)(**options)
    assert [path.name for path in tmp_path.glob("*damaged*")] == []


@pytest.mark.parametrize("name", ["stats", "inspect", "prune"])
def test_damage_met_in_upkeep_is_an_error_that_says_what_helps(tmp_path, name):
    fetch(tmp_path, texts_like(2000))
    path = tmp_path / _database.FILE
    scribble(path, 8192, b"\xff" * (path.stat().st_size - 8192))
    with pytest.raises(StoreError, match=r"cannot be used .*: verify\(repair=True\) keeps what is sound"):
        getattr(EmbeddingStore(tmp_path), name)(**({"older_than": 0} if name == "prune" else {}))
