"""The embedding store: every text encoded once, by whoever; nothing lost, nothing wrong."""

import os
import pickle
import signal
import sqlite3
import subprocess
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from joblib import Parallel, delayed
from numpy.testing import assert_array_equal
from store_helpers import (
    IDENTITY,
    N_DIMS,
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

from skllmrec._store import EmbeddingStore, _database, _locks
from skllmrec.exceptions import StoreError, StoreWarning


def test_known_texts_are_not_encoded_again(tmp_path):
    texts = texts_like(30)
    assert_array_equal(fetch(tmp_path, texts), expected(texts))
    store = EmbeddingStore(tmp_path)
    before = store.stats()["hits"]
    assert_array_equal(store.fetch(IDENTITY, N_DIMS, texts[::-1], must_not_encode), expected(texts[::-1]))
    assert_array_equal(fetch(tmp_path, [*texts, "new", ""]), expected([*texts, "new", ""]))
    assert counts(tmp_path) == (32, 32)
    assert store.stats()["hits"] - before == 60


def test_identity_separates_vectors(tmp_path):
    texts = texts_like(5)
    fetch(tmp_path, texts)
    other = {**IDENTITY, "layer": 1}
    fetch(tmp_path, texts, identity=other)
    assert counts(tmp_path) == (10, 10)
    assert EmbeddingStore(tmp_path).stats()["encoders"] == 2
    reordered = dict(reversed(IDENTITY.items()))  # the same identity, written in another order
    assert_array_equal(look_up(tmp_path, texts, identity=reordered), expected(texts))


def test_vectors_of_another_length_under_the_same_identity(tmp_path):
    texts = texts_like(5)
    fetch(tmp_path, texts)
    wide_fetch(tmp_path, texts)
    assert_array_equal(fetch(tmp_path, texts), expected(texts))


def test_more_texts_than_fit_into_one_query(tmp_path, monkeypatch):
    monkeypatch.setattr(_database, "_CHUNK", 7)
    texts = texts_like(50)
    fetch(tmp_path, texts[::2])
    assert_array_equal(fetch(tmp_path, texts), expected(texts))
    assert counts(tmp_path) == (50, 50)


def test_workers_share_a_cold_store(tmp_path):
    texts, log = texts_like(120), tmp_path / "log"
    results = Parallel(n_jobs=2, backend="loky")(
        delayed(fetch)(tmp_path / "store", texts[shift:] + texts[:shift], log=log, pause=0.05) for shift in (0, 3)
    )
    assert_array_equal(results[0], expected(texts))
    assert_array_equal(results[1], expected(texts[3:] + texts[:3]))
    lines = log.read_text().splitlines()
    assert sorted(line.partition(" ")[2] for line in lines) == sorted(texts)  # every text exactly once, in total
    workers = {line.partition(" ")[0] for line in lines}
    assert len(workers) == 2  # and both had something to do
    assert counts(tmp_path / "store") == (120, 120)
    assert EmbeddingStore(tmp_path / "store").stats()["claims"] == 0
    assert list((tmp_path / "store" / "owners").iterdir()) == []


def test_threads_share_a_cold_store(tmp_path):
    texts, log = texts_like(60), tmp_path / "log"
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(fetch, tmp_path / "store", texts, log=log, pause=0.01) for _ in range(4)]
    for future in futures:
        assert_array_equal(future.result(), expected(texts))
    assert counts(tmp_path / "store") == (60, 60)
    assert len(log.read_text().splitlines()) == 60


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill -9")
def test_kill_loses_nothing_written_and_blocks_nobody(tmp_path):
    store, log, texts = tmp_path / "store", tmp_path / "log", texts_like(40)
    code = "fetch(sys.argv[1], texts_like(40), log=sys.argv[2], pause=0.2)"
    process = start_python(code, store, log)
    try:
        wait_for(lambda: log.exists() and len(log.read_text().splitlines()) >= 15)  # two groups done, the third claimed
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    database = _database.Database(store)
    n_written, n_encoded, _, _, n_claims = database.totals()
    database.close()
    assert 10 <= n_written == n_encoded < 40
    assert n_claims == 5  # the group it died with
    again = tmp_path / "again"
    assert_array_equal(fetch(store, texts, log=again), expected(texts))
    assert len(again.read_text().splitlines()) == 40 - n_written
    assert counts(store) == (40, 40)
    assert EmbeddingStore(store).stats()["claims"] == 0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill -9")
def test_waiting_for_a_process_that_is_killed(tmp_path):
    store, log, texts = tmp_path / "store", tmp_path / "log", texts_like(5)
    process = start_python("fetch(sys.argv[1], texts_like(5), log=sys.argv[2], pause=60)", store, log)
    try:
        wait_for(log.exists)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(fetch, store, texts)
            time.sleep(0.3)
            assert not waiting.done()  # its owner is alive
            process.send_signal(signal.SIGKILL)
            assert_array_equal(waiting.result(timeout=20), expected(texts))
    finally:
        process.kill()
        process.wait()
    assert counts(store) == (5, 5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forked_child_does_not_keep_its_parents_claims_alive(tmp_path):
    code = """
        import os, time
        from skllmrec._store._locks import Owner, is_alive
        owner = Owner(sys.argv[1])
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        print(owner.id.hex(), child, flush=True)
        os._exit(0)
    """
    process = start_python(code, tmp_path, stdout=subprocess.PIPE, text=True)
    owner, child = process.stdout.readline().split()
    process.wait()
    process.stdout.close()
    try:
        wait_for(lambda: not _locks.is_alive(tmp_path, bytes.fromhex(owner)))  # the child takes a moment to let go
    finally:
        os.kill(int(child), signal.SIGKILL)


def test_owner_is_alive_until_closed(tmp_path):
    owner = _locks.Owner(tmp_path)
    assert _locks.is_alive(tmp_path, owner.id)
    owner.close()
    assert not _locks.is_alive(tmp_path, owner.id)


def test_failing_encoder_gives_its_claims_back(tmp_path):
    class Failing(Job):
        def encode(self, positions):
            if positions[0] >= 10:
                raise MemoryError("out of memory")
            return super().encode(positions)

    texts = texts_like(20)
    with pytest.raises(MemoryError):
        fetch(tmp_path, texts, job=Failing)
    assert counts(tmp_path) == (10, 10)
    assert EmbeddingStore(tmp_path).stats()["claims"] == 0
    assert_array_equal(fetch(tmp_path, texts), expected(texts))
    assert counts(tmp_path) == (20, 20)


@pytest.mark.parametrize("column", ["vector", "checksum"])
@pytest.mark.parametrize("bit", [0, 5, 31])
def test_flipped_bit_is_noticed_and_repaired(tmp_path, column, bit):
    texts = texts_like(8)
    fetch(tmp_path, texts)
    with sqlite3.connect(tmp_path / _database.FILE) as connection:
        (blob,) = connection.execute(f"SELECT {column} FROM vectors WHERE id = 3").fetchone()  # noqa: S608
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        connection.execute(f"UPDATE vectors SET {column} = ? WHERE id = 3", (bytes(flipped),))  # noqa: S608
    connection.close()
    log = tmp_path / "log"
    assert_array_equal(fetch(tmp_path, texts, log=log), expected(texts))
    assert len(log.read_text().splitlines()) == 1
    assert counts(tmp_path) == (8, 9)
    assert_array_equal(look_up(tmp_path, texts), expected(texts))


@pytest.mark.parametrize("value", [None, 7, "text", b"short", b"x" * 4 * N_DIMS])
def test_row_of_nonsense_is_noticed(tmp_path, value):
    texts = texts_like(8)
    fetch(tmp_path, texts)
    with sqlite3.connect(tmp_path / _database.FILE) as connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        connection.execute("UPDATE vectors SET vector = coalesce(?, x'') WHERE id = 3", (value,))
    connection.close()
    assert_array_equal(fetch(tmp_path, texts), expected(texts))
    assert counts(tmp_path) == (8, 9)


def test_sound_row_of_another_text_is_noticed(tmp_path):
    texts = texts_like(8)
    fetch(tmp_path, texts)
    with sqlite3.connect(tmp_path / _database.FILE) as connection:
        connection.execute(
            "UPDATE vectors SET (vector, checksum) = (SELECT vector, checksum FROM vectors WHERE id = 2) WHERE id = 5"
        )
    connection.close()
    assert_array_equal(fetch(tmp_path, texts), expected(texts))
    assert counts(tmp_path) == (8, 9)


DAMAGE = {
    "not a database": lambda path: path.write_bytes(b"nonsense" * 3000),
    "a few bytes": lambda path: path.write_bytes(b"nonsense"),
    "cut off": lambda path: os.truncate(path, 9000),
    "header": lambda path: scribble(path, 0, b"\xff" * 50),
    "first page": lambda path: scribble(path, 100, b"\xff" * 8000),
    "other pages": lambda path: scribble(path, 8192, b"\xff" * (path.stat().st_size - 8192)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_file_is_set_aside_and_rebuilt(tmp_path, damage):
    texts = texts_like(200)
    fetch(tmp_path, texts)
    DAMAGE[damage](tmp_path / _database.FILE)
    with pytest.warns(
        StoreWarning, match=r"is damaged .*renamed to embeddings\.sqlite\.damaged-.*a new one is started"
    ):
        assert_array_equal(fetch(tmp_path, texts), expected(texts))
    assert len(list(tmp_path.glob("*.damaged-????????"))) == 1
    assert counts(tmp_path) == (200, 200)
    assert_array_equal(look_up(tmp_path, texts), expected(texts))


@pytest.mark.parametrize("seed", range(20))
def test_random_damage_never_gives_a_wrong_vector(tmp_path, seed):
    texts = texts_like(100)
    fetch(tmp_path, texts)
    path = tmp_path / _database.FILE
    rng = np.random.default_rng(seed)
    content = bytearray(path.read_bytes())
    for position in rng.integers(100, len(content), size=10 ** (seed % 4)):  # behind the header: 1 to 1,000 bytes
        content[position] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        for _ in range(2):
            assert_array_equal(fetch(tmp_path, texts), expected(texts))


def test_file_of_another_program_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / _database.FILE) as connection:
        connection.execute("CREATE TABLE accounts (name TEXT)")
    connection.close()
    with pytest.raises(StoreError, match="is a database of another program or version"):
        fetch(tmp_path, ["a"])
    with sqlite3.connect(tmp_path / _database.FILE) as connection:
        assert connection.execute("SELECT count(*) FROM accounts").fetchone() == (0,)
    connection.close()


def test_path_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match=r"cannot be used .*: choose a directory on a local disk .*memory=None"):
            fetch(path, ["a"])


@pytest.mark.skipif(os.name == "nt", reason="permissions work differently there")
def test_directory_that_may_not_be_written_is_an_error(tmp_path):
    tmp_path.chmod(0o500)
    code = """
        import os
        store = EmbeddingStore(sys.argv[1])
        if os.geteuid() == 0:
            os.seteuid(65534)  # root may write everywhere
        try:
            store.fetch(IDENTITY, N_DIMS, ["a"], must_not_encode)
        except StoreError as error:
            print(error)
    """
    for folder in tmp_path.parents:  # the way to it must be open to all
        if folder.owner() == tmp_path.owner() and "pytest" in folder.name:
            folder.chmod(0o755)
    tmp_path.chmod(0o555)
    process = start_python(code, tmp_path, stdout=subprocess.PIPE, text=True)
    shown, _ = process.communicate()
    tmp_path.chmod(0o755)
    assert "Permission denied" in shown
    assert "choose a directory" in shown


def limit_pages(monkeypatch, n_pages):
    """Make the disk full, for SQLite, at a size of n_pages."""
    connect = sqlite3.connect

    def limited(*args, **options):
        connection = connect(*args, **options)
        connection.execute(f"PRAGMA max_page_count = {n_pages}")
        return connection

    monkeypatch.setattr(_database.sqlite3, "connect", limited)


def test_full_disk_returns_the_vectors_and_warns(tmp_path, monkeypatch):
    texts = texts_like(2000)
    with monkeypatch.context() as patch:
        limit_pages(patch, 20)
        with pytest.warns(StoreWarning, match=r"failed \(database or disk is full\): .* returned, but not kept"):
            assert_array_equal(fetch(tmp_path, texts, group=100), expected(texts))
    n_texts, n_encoded = counts(tmp_path)
    assert 0 < n_texts == n_encoded < 2000  # whole groups, nothing half-written
    assert n_texts % 100 == 0
    assert_array_equal(fetch(tmp_path, texts), expected(texts))
    assert counts(tmp_path) == (2000, 2000)


def test_full_disk_from_the_start_is_a_clear_error(tmp_path, monkeypatch):
    limit_pages(monkeypatch, 1)
    with pytest.raises(StoreError, match=r"full.*free space"):
        fetch(tmp_path, ["a"])


def test_file_that_is_replaced_meanwhile(tmp_path):
    """Another process finds damage and starts a new file while this one is encoding."""
    texts = texts_like(15)

    class Disturbed(Job):
        def encode(self, positions):
            if positions[0] == 5:
                os.rename(tmp_path / _database.FILE, tmp_path / "aside")
            return super().encode(positions)

    assert_array_equal(fetch(tmp_path, texts, job=Disturbed), expected(texts))
    assert_array_equal(fetch(tmp_path, texts), expected(texts))
    assert counts(tmp_path)[0] == 15


def test_store_is_a_path_for_copies_and_pickles(tmp_path):
    store = EmbeddingStore(tmp_path)
    store.fetch(IDENTITY, N_DIMS, ["a"], starting(["a"]))
    assert len(pickle.dumps(store)) < 300
    for copy in (deepcopy(store), pickle.loads(pickle.dumps(store))):  # noqa: S301 - our own
        assert_array_equal(copy.fetch(IDENTITY, N_DIMS, ["a"], must_not_encode), expected(["a"]))
    assert repr(store) == f"EmbeddingStore({str(tmp_path)!r})"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files cannot be listed")
def test_nothing_stays_open(tmp_path):
    fetch(tmp_path, texts_like(10))
    before = len(os.listdir("/proc/self/fd"))
    for i in range(5):
        fetch(tmp_path, texts_like(20 + i))
    assert len(os.listdir("/proc/self/fd")) == before
    assert threading.active_count() < 50


def test_bulk_look_up(tmp_path):
    n, rng = 20_000, np.random.default_rng(0)
    texts, rows = [f"text {i}" for i in range(n)], rng.standard_normal((n, 384)).astype(np.float32)

    class Table:
        def __init__(self, missing):
            self.groups = np.array_split(np.arange(len(missing)), 20)

        def encode(self, positions):
            return rows[positions]

    store = EmbeddingStore(tmp_path)
    assert_array_equal(store.fetch(IDENTITY, 384, texts, Table), rows)
    order = rng.permutation(n)
    got = store.fetch(IDENTITY, 384, [texts[i] for i in order], must_not_encode)
    assert_array_equal(got, rows[order])
