"""A store with a limit: the least recently used go first, nothing that is needed goes, and the file shrinks."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from types import SimpleNamespace

import pytest
from store_helpers import (
    IDENTITY,
    WIDE,
    WideJob,
    encoded,
    look_up,
    start_python,
    starting,
    texts_like,
    wait_for,
    wide_fetch,
)

from skllmrec._store import EmbeddingStore, _database, _fetch, _locks, _removal

LIMIT = 1_000_000  # about 700 vectors of 1 kB


def file_size(path):
    with closing(_database.Database(path)) as database:
        return database.file_bytes()


def which_are_there(path, texts):
    """Texts that are found, without writing anything."""
    missing = []

    class Stop(Exception):  # noqa: N818 - it is no error
        pass

    def look(wanted):
        missing.extend(wanted)
        raise Stop

    with suppress(Stop):
        EmbeddingStore(path).fetch(IDENTITY, WIDE, texts, look)
    return [text for position, text in enumerate(texts) if position not in set(missing)]


@pytest.fixture
def clock(monkeypatch):
    """The store's time, to be set."""
    clock = SimpleNamespace(now=1_700_000_000.0)
    stand_in = SimpleNamespace(time=lambda: clock.now, sleep=time.sleep)
    for module in (_database, _removal):
        monkeypatch.setattr(module, "time", stand_in)
    return clock


def test_least_recently_used_go_first(tmp_path, clock):
    texts = texts_like(900)
    for start in range(0, 600, 200):  # three blocks, a day apart
        wide_fetch(tmp_path, texts[start : start + 200])
        clock.now += 86400
    wide_fetch(tmp_path, texts[:200])  # the first block is used again
    clock.now += 86400
    wide_fetch(tmp_path, texts[600:800], max_bytes=LIMIT)
    assert file_size(tmp_path) <= LIMIT
    there = which_are_there(tmp_path, texts)
    assert set(texts[:200]) <= set(there)
    assert set(texts[600:800]) <= set(there)
    assert not set(texts[200:260]) & set(there)  # the oldest of all
    stats = EmbeddingStore(tmp_path).stats()
    assert stats["texts"] == len(there)
    assert stats["encoded"] == 800
    assert stats["removed"] == 800 - len(there)
    assert EmbeddingStore(tmp_path).verify()["sound"] == len(there)


def test_evicted_text_is_encoded_again(tmp_path):
    texts, log = texts_like(2000), tmp_path / "log"
    for start in range(0, 2000, 200):
        wide_fetch(tmp_path / "store", texts[start : start + 200], max_bytes=LIMIT)
    there = which_are_there(tmp_path / "store", texts)
    assert 400 < len(there) < 900
    wide_fetch(tmp_path / "store", texts, log=log)
    assert sorted(encoded(log)) == sorted(set(texts) - set(there))


def test_file_keeps_to_the_limit_over_many_calls(tmp_path):
    sizes = []
    for start in range(0, 4000, 100):
        wide_fetch(tmp_path, [f"text {i}" for i in range(start, start + 100)], max_bytes=LIMIT)
        sizes.append(file_size(tmp_path))
    assert max(sizes) <= LIMIT
    assert EmbeddingStore(tmp_path).stats()["texts"] > 400  # and is not emptied for that


def test_lower_limit_shrinks_the_file(tmp_path):
    wide_fetch(tmp_path, texts_like(3000))
    assert file_size(tmp_path) > 3 * LIMIT
    wide_fetch(tmp_path, texts_like(10), max_bytes=LIMIT)
    assert file_size(tmp_path) <= LIMIT


def test_one_call_larger_than_the_limit(tmp_path):
    wide_fetch(tmp_path, texts_like(3000), max_bytes=LIMIT)
    assert file_size(tmp_path) <= LIMIT
    assert which_are_there(tmp_path, texts_like(3000))[-100:] == texts_like(3000)[-100:]


def test_what_a_running_call_waits_for_stays(tmp_path, monkeypatch):
    """Another call writes far more than the limit; the first still finds what it waits for."""
    store, log, texts = tmp_path / "store", tmp_path / "log", texts_like(1500)
    running, written = threading.Event(), threading.Event()
    monkeypatch.setattr(_fetch, "_PAUSES", (0.01, 0.01))

    class Slow(WideJob):
        def encode(self, positions):
            running.set()
            assert written.wait(20)
            return super().encode(positions)

    def wait_for_all():
        return EmbeddingStore(store, LIMIT).fetch(IDENTITY, WIDE, texts, starting(texts, Slow, log=log, group=1))

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait_for_all)
        assert running.wait(20)
        wide_fetch(store, texts[1:], max_bytes=LIMIT, log=tmp_path / "other")
        assert file_size(store) > LIMIT  # the limit waits until the call has ended
        written.set()
        waiting.result(20)
    assert encoded(log) == texts[:1]
    assert sorted(encoded(tmp_path / "other")) == sorted(texts[1:])
    assert file_size(store) <= LIMIT


def test_call_that_was_killed_spares_nothing(tmp_path):
    store, log = tmp_path / "store", tmp_path / "log"
    code = "wide_fetch(sys.argv[1], texts_like(5), log=Path(sys.argv[2]), pause=60)"
    process = start_python(code, store, log)
    try:
        wait_for(log.exists)
    finally:
        process.kill()
        process.wait()
    wide_fetch(store, [f"other {i}" for i in range(2000)], max_bytes=LIMIT)
    assert file_size(store) <= LIMIT


def test_processes_share_a_limited_store(tmp_path):
    """Each encodes random texts under the same limit: no wrong vector, no trouble, and the limit holds in the end."""
    code = """
        import warnings
        warnings.simplefilter("error")
        rng = np.random.default_rng(int(sys.argv[2]))
        for _ in range(15):
            wide_fetch(sys.argv[1], [f"text {i}" for i in rng.permutation(1500)[:150]], max_bytes=1_000_000, group=20)
    """
    processes = [start_python(code, tmp_path, seed) for seed in range(3)]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    wide_fetch(tmp_path, ["last"], max_bytes=LIMIT)
    assert file_size(tmp_path) <= LIMIT
    report = EmbeddingStore(tmp_path).verify()
    assert {key: report[key] for key in ("damaged", "file", "uses", "dead_claims", "dead_owners")} == {
        "damaged": 0,
        "file": None,
        "uses": 0,
        "dead_claims": 0,
        "dead_owners": 0,
    }


def last_uses(path):
    database = _database.Database(path)
    rows = database.execute("SELECT used FROM uses").fetchall()
    database.close()
    return {used for (used,) in rows}


def test_use_is_noted_once_an_hour(tmp_path, clock):
    texts = texts_like(20)
    wide_fetch(tmp_path, texts)
    start = int(clock.now)
    for minutes, noted in [(30, 0), (29, 0), (2, 61), (30, 61)]:
        clock.now += 60 * minutes
        wide_fetch(tmp_path, texts)
        assert last_uses(tmp_path) == {start + 60 * noted}


def test_clock_that_was_ahead_keeps_nothing_for_ever(tmp_path, clock):
    old, new = [f"old {i}" for i in range(600)], [f"new {i}" for i in range(400)]
    clock.now += 365 * 86400
    wide_fetch(tmp_path, old)  # "used in a year"
    clock.now -= 365 * 86400
    wide_fetch(tmp_path, old[:100])  # used now, and that is noted
    assert int(clock.now) in last_uses(tmp_path)
    clock.now += 86400
    wide_fetch(tmp_path, new)
    wide_fetch(tmp_path, ["last"], max_bytes=LIMIT)
    there = which_are_there(tmp_path, old + new)
    assert set(new) <= set(there)  # a use in the future keeps nobody longer than one of now
    assert len(there) < 900


def test_serial_tells_a_new_vector_under_an_old_number(tmp_path):
    wide_fetch(tmp_path, texts_like(10))
    database = _database.Database(tmp_path)
    rows, newest, _ = _removal._oldest(database, 10**9, "1")
    assert sorted(rows) == list(range(1, 11))
    EmbeddingStore(tmp_path).prune(max_bytes=0)  # somebody else is quicker
    wide_fetch(tmp_path, [f"new {i}" for i in range(10)])  # and the numbers go to other vectors
    assert _removal._delete(database, rows, newest) == 0
    database.close()
    assert EmbeddingStore(tmp_path).stats()["texts"] == 10


@pytest.mark.parametrize("limit", [0, 10, "10kB", "much", -1, float("nan"), True])
def test_limit_that_makes_no_sense(limit):
    with pytest.raises(ValueError, match=r"max_bytes=.* is not a size: give a number of bytes of at least 1000000"):
        EmbeddingStore("somewhere", max_bytes=limit)


def test_limit_is_shown_and_kept_by_copies():
    store = EmbeddingStore("somewhere", max_bytes="2GB")
    assert repr(store) == "EmbeddingStore('somewhere', max_bytes=2000000000)"
    assert repr(EmbeddingStore("somewhere")) == "EmbeddingStore('somewhere')"


def test_limit_belongs_to_the_object(tmp_path):
    texts = texts_like(1500)
    wide_fetch(tmp_path, texts[:10], max_bytes=LIMIT)
    wide_fetch(tmp_path, texts)
    assert look_up(tmp_path, texts, n_dims=WIDE).shape == (1500, WIDE)
    assert file_size(tmp_path) > LIMIT


def test_trouble_while_evicting_costs_no_vector(tmp_path, monkeypatch):
    """Whatever the operating system refuses there, the vectors of the call are returned, without a warning."""

    def refuse(*args, **kwargs):
        raise OSError("no")

    monkeypatch.setattr(_fetch, "evict", refuse)
    wide_fetch(tmp_path, texts_like(1500), max_bytes=LIMIT)
    assert not list((tmp_path / "owners").iterdir())
    owner = _locks.Owner(tmp_path)
    owner.close()
