"""What goes wrong on real machines: killed processes, flipped bits, full disks, vanished folders, forks, odd clocks."""

import multiprocessing
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from store_helpers import (
    WIDE,
    Job,
    counts,
    expected,
    fetch,
    look_up,
    start_python,
    texts_like,
    wait_for,
    wide_fetch,
    wide_vector,
)

from skllmrec._files import exclusive
from skllmrec._store import EmbeddingStore, _database
from skllmrec.exceptions import StoreError, StoreWarning

needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill -9")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


# ------------------------------------------------------------------------------------------- killed processes


@needs_kill
@pytest.mark.parametrize("max_bytes", [None, 1_000_000])
def test_killed_at_any_moment(tmp_path, max_bytes):
    """Ten processes, each killed somewhere between opening, claiming, encoding, writing and evicting."""
    code = "wide_fetch(sys.argv[1], [f'text {i}' for i in range(12_000)], max_bytes=eval(sys.argv[2]), group=7)"
    rng = np.random.default_rng(0)
    store, log = tmp_path / "store", tmp_path / "log"
    for _ in range(4):
        processes = [start_python(code, store, max_bytes) for _ in range(2)]
        wait_for((store / _database.FILE).exists)
        for process in processes:
            time.sleep(rng.uniform(0.0, 0.5))
            process.send_signal(signal.SIGKILL)
            process.wait()
    report = EmbeddingStore(store).verify()
    assert (report["damaged"], report["file"], report["uses"], report["set_aside"]) == (0, None, 0, [])
    assert report["dead_claims"] <= 2 * 7 * 4  # the groups in flight, at most
    texts = [f"text {i}" for i in range(12_000)]
    there = EmbeddingStore(store).stats()["texts"]
    wide_fetch(store, texts, log=log, group=500)
    encoded = log.read_text().splitlines() if log.exists() else []  # a fast machine may have left nothing
    assert len(encoded) == len(texts) - there  # nothing else was lost
    assert EmbeddingStore(store).verify(repair=True)["sound"] == len(texts)


# ------------------------------------------------------------------------------------------- many at once


def test_many_readers_and_writers(tmp_path):
    """Three processes of three threads each, on overlapping texts of two encoders, with upkeep going on."""
    code = """
        import warnings
        from concurrent.futures import ThreadPoolExecutor
        warnings.simplefilter("error")

        def work(seed):
            rng = np.random.default_rng(seed)
            for _ in range(8):
                texts = [f"text {i}" for i in rng.permutation(400)[:100]]
                identity = {"model": int(rng.integers(2))}
                got = fetch(sys.argv[1], texts, identity=identity, log=sys.argv[2])
                np.testing.assert_array_equal(got, expected(texts))
                if seed % 3 == 0:
                    EmbeddingStore(sys.argv[1]).inspect()

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(work, range(3 * int(sys.argv[3]), 3 * int(sys.argv[3]) + 3)))
    """
    store, log = tmp_path / "store", tmp_path / "log"
    processes = [start_python(code, store, log, number) for number in range(3)]
    reports = []
    while any(process.poll() is None for process in processes):
        reports.append(EmbeddingStore(store).verify())
        time.sleep(0.05)
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert {report["damaged"] for report in reports} == {0}
    n_texts, n_encoded = counts(store)
    assert n_texts == n_encoded == len(log.read_text().splitlines())  # every text once for each encoder
    assert EmbeddingStore(store).verify()["dead_claims"] == 0


# ------------------------------------------------------------------------------------------- damage


TEXTS = texts_like(120)


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """Bytes of the file of a store with two encoders."""
    path = tmp_path_factory.mktemp("sound")
    fetch(path, TEXTS)
    fetch(path, TEXTS[:30], identity={"model": "another"})
    return (path / _database.FILE).read_bytes()


def damaged(content, kind, places):
    """Content with flipped bits, overwritten blocks, or an end that is missing; places go from 0 to 1."""
    content = bytearray(content)
    for place in places:
        position = int(place * (len(content) - 1))
        if kind == "bit":
            content[position] ^= 1 << int(place * 1e6) % 8
        elif kind == "head of a page":  # where a wrong byte does most
            content[position // 8192 * 8192 + int(place * 1e6) % 100] ^= 1 << int(place * 1e9) % 8
        elif kind == "zeros":
            block = slice(position // 512 * 512, position // 512 * 512 + 512)
            content[block] = bytes(len(content[block]))
        else:
            del content[position:]
    return bytes(content)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(["bit", "head of a page", "zeros", "cut"]),
    places=st.lists(st.floats(0, 1), min_size=1, max_size=20),
    steps=st.permutations(["fetch", "fetch", "limit", "stats", "inspect", "verify", "repair", "prune"]),
)
@example(kind="cut", places=[0.0], steps=["repair", "fetch"])
def test_damage_anywhere_never_gives_a_wrong_vector(content, kind, places, steps):
    """Nor any error but our own; and after a repair, nothing is wrong any more."""
    with tempfile.TemporaryDirectory() as path, warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        (Path(path) / _database.FILE).write_bytes(damaged(content, kind, places[:1] if kind == "cut" else places))
        store = EmbeddingStore(path)
        for step in steps:
            try:
                if step in ("fetch", "limit"):
                    limit = 1_000_000 if step == "limit" else None
                    assert_array_equal(fetch(path, TEXTS, max_bytes=limit), expected(TEXTS))
                elif step == "repair":
                    store.verify(repair=True)
                    report = store.verify()
                    assert (report["damaged"], report["file"], report["uses"]) == (0, None, 0)
                else:
                    getattr(store, step)(**({"max_bytes": 100_000} if step == "prune" else {}))
            except StoreError as error:
                # upkeep may refuse a damaged file; the others may not, unless the marks that it is ours are gone
                assert step not in ("fetch", "limit", "repair") or "of another program or version" in str(error)


# ------------------------------------------------------------------------------------------- full disks


def fill_and_free(path, free):
    """Encode on a disk that is full after a while, make room, and encode again."""
    texts = [f"text {i}" for i in range(3000)]
    with pytest.warns(StoreWarning, match=r"failed \(.*\): .* returned, but not kept"):
        wide_fetch(path, texts)
    free()
    stats = EmbeddingStore(path).stats()
    assert 0 < stats["texts"] == stats["encoded"] < 3000
    wide_fetch(path, texts)
    report = EmbeddingStore(path).verify()
    assert (report["sound"], report["damaged"], report["file"]) == (3000, 0, None)


def run_system(*command):
    subprocess.run(list(map(str, command)), check=True, capture_output=True)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB in memory, where this user may mount one."""
    path = tmp_path / "disk"
    path.mkdir()
    try:
        run_system("mount", "-t", "tmpfs", "-o", "size=3m", "none", path)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    yield path
    run_system("umount", path)


def test_small_disk_that_fills_up(small_disk):
    def free():
        run_system("mount", "-o", "remount,size=30m", small_disk)

    fill_and_free(small_disk / "store", free)


def test_small_disk_that_is_full_from_the_start(small_disk):
    with open(small_disk / "filler", "wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(bytes(4096))
    with pytest.raises(StoreError, match=r"cannot be used \(.*\): choose a directory on a local disk with free space"):
        fetch(small_disk / "store", ["a"])
    (small_disk / "filler").unlink()
    assert_array_equal(fetch(small_disk / "store", ["a"]), expected(["a"]))


@pytest.mark.skipif(os.name == "nt", reason="this system has no limits on files")
def test_limit_on_the_size_of_files(tmp_path):
    """The same by a quota, which needs no rights: the system refuses to write beyond 1 MB."""
    code = """
        import resource
        from test_store_faults import fill_and_free
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        fill_and_free(sys.argv[1], lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)))
    """
    process = start_python(code, tmp_path / "store", stderr=subprocess.PIPE, text=True)
    _, errors = process.communicate()
    assert process.returncode == 0, errors


# ------------------------------------------------------------------------------------------- folders


def test_folder_that_is_deleted_meanwhile(tmp_path):
    texts, path = texts_like(30), tmp_path / "store"

    class Disturbed(Job):
        def encode(self, positions):
            if positions[0] == 10:
                shutil.rmtree(path)
            return super().encode(positions)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        got = fetch(path, texts, job=Disturbed)
    assert_array_equal(got, expected(texts))
    assert_array_equal(fetch(path, texts), expected(texts))
    assert counts(path)[0] == 30
    look_up(path, texts)


@pytest.mark.parametrize("name", ["with space", "目录 Ünïcode 🎬", "100% ?#&=;'\"", "." + "x" * 200])
@pytest.mark.skipif(os.name == "nt", reason="names are restricted there")
def test_folder_with_an_odd_name(tmp_path, name):
    path, texts = tmp_path / name, texts_like(10)
    fetch(path, texts)
    assert_array_equal(look_up(path, texts), expected(texts))
    assert (path / _database.FILE).exists()
    assert EmbeddingStore(path).verify()["sound"] == 10


def test_folder_below_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    fetch("~/store", ["a"])
    assert (tmp_path / "store" / _database.FILE).exists()


@pytest.mark.parametrize(
    "text", ["\ud800", "a\udfffb", "\x00", "\x1b[0m", "", "x" * 1_000_000, "🎬" * 1000, "\u202eabc"]
)
def test_odd_text(tmp_path, text):
    assert_array_equal(fetch(tmp_path, [text, "b"]), expected([text, "b"]))
    look_up(tmp_path, ["b", text])


# ------------------------------------------------------------------------------------------- forks


def fetch_in_child(path, texts):
    assert_array_equal(fetch(path, texts), expected(texts))


@needs_fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_forked_children_after_the_parent_used_the_store(tmp_path):
    texts = texts_like(60)
    fetch(tmp_path, texts[:20])
    children = [
        multiprocessing.get_context("fork").Process(target=fetch_in_child, args=(tmp_path, texts[shift:]))
        for shift in (0, 10, 30)
    ]
    for child in children:
        child.start()
    assert_array_equal(fetch(tmp_path, texts), expected(texts))
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert counts(tmp_path) == (60, 60)


@needs_fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_child_forked_while_encoding(tmp_path):
    """As loaders with worker processes do: the child neither gives up nor keeps what its parent has claimed."""
    texts = texts_like(10)

    class Forking(Job):
        def encode(self, positions):
            child = os.fork()
            if child == 0:
                time.sleep(60)
                os._exit(0)
            self.children.append(child)
            assert EmbeddingStore(tmp_path).stats()["claims"] == 5
            return super().encode(positions)

    Forking.children = []
    try:
        assert_array_equal(fetch(tmp_path, texts, job=Forking), expected(texts))
        assert list((tmp_path / "owners").iterdir()) == []
        fetch(tmp_path, texts_like(20))
    finally:
        for child in Forking.children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


@needs_fork
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_child_forked_while_another_thread_holds_the_lock(tmp_path):
    """A lock belongs to the open file, which a fork copies: the child must not hold it after its parent let go."""
    held, forked = threading.Event(), threading.Event()

    def hold():
        with exclusive(tmp_path / "lock"):
            held.set()
            assert forked.wait(20)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert held.wait(20)
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        forked.set()
        holding.result(20)
    try:
        done = start_python("fetch(sys.argv[1], ['a'])", tmp_path)
        assert done.wait(30) == 0
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


# ------------------------------------------------------------------------------------------- memory


def test_wide_vectors_come_in_small_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(_database, "_CHUNK_BYTES", 5000)  # four vectors of 1 kB
    texts = texts_like(50)
    wide_fetch(tmp_path, texts)
    got = look_up(tmp_path, texts[::-1], n_dims=WIDE)
    assert_array_equal(got, np.stack([wide_vector(text) for text in texts[::-1]]))
