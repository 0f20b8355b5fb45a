"""Stores that can only be read: other users' folders, read-only file systems, services beside a process that writes."""

import copy
import os
import subprocess

import pytest
from numpy.testing import assert_array_equal
from store_helpers import (
    IDENTITY,
    N_DIMS,
    counts,
    expected,
    fetch,
    look_up,
    must_not_encode,
    start_python,
    starting,
    texts_like,
)

from skllmrec._store import EmbeddingStore, _database
from skllmrec.exceptions import StorageError, StoreError, StoreWarning

TEXTS = texts_like(30)


def content(folder):
    """Name and bytes of every file below a folder."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def read(store, texts, start=must_not_encode):
    return store.fetch(IDENTITY, N_DIMS, texts, start)


@pytest.fixture
def protect(tmp_path):
    """Return a function that lets nobody but root write a folder, a file of it, or both."""
    for folder in tmp_path.parents:  # the way to it must be open to all
        if "pytest" in folder.name or folder.name.startswith("popen-"):  # pytest-of-..., and the folder of a worker
            folder.chmod(0o755)

    def apply(*, folder, file):
        (tmp_path / _database.FILE).chmod(0o444 if file else 0o666)
        (tmp_path / "owners").chmod(0o777)
        tmp_path.chmod(0o555 if folder else 0o777)

    yield apply
    tmp_path.chmod(0o755)


# what another user, who may not write, gets from a store
AS_ANOTHER_USER = """
    import os
    store = EmbeddingStore(sys.argv[1])
    if os.geteuid() == 0:
        os.seteuid(65534)  # root may write everywhere
    texts = texts_like(30)
    print((store.fetch(IDENTITY, N_DIMS, texts, must_not_encode) == expected(texts)).all())
    print(store.stats()["texts"], store.inspect()["texts"], store.verify()["sound"])
    for call in (
        lambda: store.fetch(IDENTITY, N_DIMS, [*texts, "new"], must_not_encode),
        lambda: store.prune(older_than=0),
        lambda: store.verify(repair=True),
    ):
        try:
            call()
        except StoreError as error:
            print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="permissions work differently there")
@pytest.mark.parametrize(("folder", "file"), [(True, True), (True, False), (False, True)])
def test_a_store_that_another_user_owns_is_read(tmp_path, protect, folder, file):
    fetch(tmp_path, TEXTS)
    protect(folder=folder, file=file)
    before = content(tmp_path)
    process = start_python(AS_ANOTHER_USER, tmp_path, stdout=subprocess.PIPE, text=True)
    shown, _ = process.communicate()
    right, numbers, missing, prune, repair = shown.splitlines()
    assert right == "True"
    assert numbers == "30 30 30"
    assert str(tmp_path) in missing
    assert "no permission to write" in missing
    assert "lacks the vectors of 1 of 31 inputs" in missing
    assert "readonly=True" in missing
    assert "nothing can be removed" in prune
    assert "can only be read" in repair
    assert content(tmp_path) == before


@pytest.mark.skipif(os.name == "nt", reason="permissions work differently there")
def test_another_user_reads_what_a_writer_has_only_in_its_journal(tmp_path, protect):
    writer = _database.Database(tmp_path)
    fetch(tmp_path, TEXTS)
    assert (tmp_path / f"{_database.FILE}-wal").stat().st_size
    protect(folder=True, file=True)
    process = start_python(AS_ANOTHER_USER, tmp_path, stdout=subprocess.PIPE, text=True)
    shown, _ = process.communicate()
    assert shown.splitlines()[0] == "True"
    writer.close()


def test_readonly_writes_nothing_and_encodes_what_is_missing(tmp_path):
    fetch(tmp_path, TEXTS)
    before = content(tmp_path)
    store = EmbeddingStore(tmp_path, max_bytes="1MB", readonly=True)
    more = [*TEXTS, "new"]
    assert_array_equal(read(store, TEXTS), expected(TEXTS))
    assert_array_equal(read(store, more, starting(more)), expected(more))
    assert_array_equal(read(store, more, starting(more)), expected(more))
    assert store.stats()["texts"] == len(TEXTS)
    assert store.verify()["sound"] == len(TEXTS)
    assert store.prune(older_than=0, dry_run=True)["texts"] >= 0
    assert content(tmp_path) == before
    for call in (lambda: store.prune(max_bytes=0), lambda: store.verify(repair=True)):
        with pytest.raises(StorageError, match=r"can only be read \(readonly=True\)"):
            call()
    assert content(tmp_path) == before


def test_readonly_sees_what_others_write_meanwhile(tmp_path):
    writer = _database.Database(tmp_path)
    store = EmbeddingStore(tmp_path, readonly=True)
    assert_array_equal(read(store, ["a"], starting(["a"])), expected(["a"]))
    fetch(tmp_path, ["a", "b"])
    assert_array_equal(read(store, ["a", "b"]), expected(["a", "b"]))
    fetch(tmp_path, ["c"])
    assert_array_equal(read(store, ["a", "b", "c"]), expected(["a", "b", "c"]))
    writer.close()
    assert_array_equal(read(store, ["a", "b", "c"]), expected(["a", "b", "c"]))
    fetch(tmp_path, ["d"])
    assert counts(tmp_path) == (4, 4)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(30, "Read-only file system")])
def test_a_lock_that_cannot_be_made_leaves_the_store_readable(tmp_path, monkeypatch, error):
    fetch(tmp_path, TEXTS)

    def refuse(path, **options):
        raise error

    monkeypatch.setattr(_database, "exclusive", refuse)
    assert_array_equal(look_up(tmp_path, TEXTS), expected(TEXTS))
    with pytest.raises(StoreError, match=rf"{error.strerror}.* lacks the vectors of 1 of 2 inputs"):
        look_up(tmp_path, [TEXTS[0], "new"])


def test_damage_is_left_where_it_is(tmp_path):
    fetch(tmp_path, TEXTS)
    file = tmp_path / _database.FILE
    file.write_bytes(b"x" * len(file.read_bytes()))
    before = content(tmp_path)
    store = EmbeddingStore(tmp_path, readonly=True)
    with pytest.raises(StoreError, match="file is not a database"):
        read(store, TEXTS)
    assert content(tmp_path) == before


def test_damaged_pages_count_as_missing(tmp_path):
    fetch(tmp_path, texts_like(3000))
    file = tmp_path / _database.FILE
    pages = bytearray(file.read_bytes())
    pages[8192 * 2 :] = bytes(len(pages) - 8192 * 2)
    file.write_bytes(pages)
    before = content(tmp_path)
    with pytest.warns(StoreWarning, match="computed and returned"):
        found = read(EmbeddingStore(tmp_path, readonly=True), TEXTS, starting(TEXTS))
    assert_array_equal(found, expected(TEXTS))
    assert content(tmp_path) == before


def test_no_store_to_read(tmp_path):
    store = EmbeddingStore(tmp_path / "absent", readonly=True)
    for call in (lambda: read(store, ["a"]), store.stats, store.inspect, store.verify):
        with pytest.raises(StoreError, match=r"there is no embedding store to read in .*absent"):
            call()
    assert not (tmp_path / "absent").exists()


def test_an_empty_file_is_a_store_without_vectors(tmp_path):
    (tmp_path / _database.FILE).touch()
    assert_array_equal(read(EmbeddingStore(tmp_path, readonly=True), ["a"], starting(["a"])), expected(["a"]))
    assert (tmp_path / _database.FILE).stat().st_size == 0


def test_shown_copied_and_older_pickles(tmp_path):
    store = EmbeddingStore("folder", readonly=True)
    assert repr(store) == "EmbeddingStore('folder', readonly=True)"
    assert copy.deepcopy(store).readonly
    older = EmbeddingStore.__new__(EmbeddingStore)
    older.__dict__ |= {"path": str(tmp_path), "max_bytes": None}
    assert not older.readonly
    assert repr(older) == f"EmbeddingStore({str(tmp_path)!r})"
