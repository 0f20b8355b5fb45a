"""A file that version 1 of the store wrote opens, with all its vectors."""

import hashlib
import json
import sqlite3

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from store_helpers import (
    IDENTITY,
    N_DIMS,
    WIDE,
    counts,
    expected,
    fetch,
    look_up,
    must_not_encode,
    texts_like,
    wide_vector,
)

from skllmrec._store import EmbeddingStore, _database
from skllmrec.exceptions import StoreError, StoreWarning

VERSION_1 = """
    PRAGMA journal_mode = WAL;
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS spaces (id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE);
    CREATE TABLE IF NOT EXISTS vectors (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE,
        space INTEGER NOT NULL,
        vector BLOB NOT NULL,
        checksum BLOB NOT NULL,
        encoded INTEGER NOT NULL DEFAULT 1
    );
    CREATE TABLE IF NOT EXISTS claims (digest BLOB PRIMARY KEY, owner BLOB NOT NULL) WITHOUT ROWID;
    PRAGMA application_id = 1397443661;
    PRAGMA user_version = 1;
    COMMIT;
"""


def write_version_1(directory, texts, vectors):
    """Write a store as version 1 did; the last row is one that was encoded three times."""
    identity = json.dumps(IDENTITY, sort_keys=True)
    prefix = hashlib.sha256(identity.encode()).digest()
    connection = sqlite3.connect(directory / _database.FILE, isolation_level=None)
    connection.execute("PRAGMA page_size = 8192")
    connection.executescript(VERSION_1)
    connection.execute("INSERT INTO spaces (identity) VALUES (?)", (identity,))
    connection.execute("BEGIN")
    for text, vector in zip(texts, vectors, strict=True):
        digest = hashlib.sha256(prefix + text.encode()).digest()
        checksum = hashlib.sha256(digest + vector.tobytes()).digest()[:8]
        connection.execute(
            "INSERT INTO vectors (digest, space, vector, checksum) VALUES (?, 1, ?, ?)",
            (digest, vector.tobytes(), checksum),
        )
    connection.execute("UPDATE vectors SET encoded = 3 WHERE id = (SELECT max(id) FROM vectors)")
    connection.execute("INSERT INTO claims VALUES (x'00', x'01')")  # somebody died
    connection.execute("COMMIT")
    connection.close()


def test_version_1_opens_with_all_its_vectors(tmp_path):
    texts = texts_like(30)
    write_version_1(tmp_path, texts, expected(texts))
    store = EmbeddingStore(tmp_path)
    assert_array_equal(store.fetch(IDENTITY, N_DIMS, texts, must_not_encode), expected(texts))
    assert counts(tmp_path) == (30, 32)
    (encoder,) = store.inspect()["encoders"]
    assert (encoder["identity"], encoder["texts"], encoder["bytes"]) == (IDENTITY, 30, 30 * 4 * N_DIMS)
    report = store.verify()
    assert (report["sound"], report["damaged"], report["uses"], report["dead_claims"]) == (30, 0, 0, 1)
    more = texts_like(40)
    assert_array_equal(fetch(tmp_path, more), expected(more))
    assert counts(tmp_path) == (40, 42)


def test_version_1_that_can_only_be_read_gives_its_vectors(tmp_path):
    texts = texts_like(30)
    write_version_1(tmp_path, texts, expected(texts))
    before = (tmp_path / _database.FILE).read_bytes()
    store = EmbeddingStore(tmp_path, readonly=True)
    assert_array_equal(store.fetch(IDENTITY, N_DIMS, texts, must_not_encode), expected(texts))
    for call in (store.stats, store.inspect, store.verify):
        with pytest.raises(StoreError, match="made by an older version of skllmrec"):
            call()
    assert (tmp_path / _database.FILE).read_bytes() == before


def test_version_1_can_be_limited_and_shrinks(tmp_path):
    texts = texts_like(3000)
    write_version_1(tmp_path, texts, np.stack([wide_vector(text) for text in texts]))
    before = (tmp_path / _database.FILE).stat().st_size
    store = EmbeddingStore(tmp_path, max_bytes=1_000_000)
    store.fetch(IDENTITY, WIDE, texts[:10], must_not_encode)
    after = (tmp_path / _database.FILE).stat().st_size
    assert after <= 1_000_000 < before
    assert 500 < store.stats()["texts"] < 1000
    assert store.verify()["damaged"] == 0


def test_migration_that_is_cut_short_starts_again(tmp_path, monkeypatch):
    texts = texts_like(30)
    write_version_1(tmp_path, texts, expected(texts))
    script = _database.prepare.__globals__["_FROM_1_TO_2"]
    monkeypatch.setitem(
        _database.prepare.__globals__, "_FROM_1_TO_2", script.partition("PRAGMA")[0] + "SELECT nothing;"
    )
    with pytest.raises(StoreError):
        EmbeddingStore(tmp_path).stats()
    monkeypatch.undo()
    assert_array_equal(look_up(tmp_path, texts), expected(texts))


def test_newer_version_is_left_alone(tmp_path):
    fetch(tmp_path, ["a"])
    with sqlite3.connect(tmp_path / _database.FILE) as connection:
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    with pytest.raises(StoreError, match=r"another program or version .*version 3; expected .*, 2\)"):
        fetch(tmp_path, ["a"])


@pytest.mark.parametrize("table", ["spaces", "vectors", "uses", "counters"])
def test_damaged_definition_of_a_table_is_noticed(tmp_path, table):
    """One flipped bit there, and sound rows would be read as something else."""
    texts = texts_like(10)
    fetch(tmp_path, texts)
    with sqlite3.connect(tmp_path / _database.FILE) as connection:
        connection.execute("PRAGMA writable_schema = 1")
        connection.execute(
            "UPDATE sqlite_schema SET sql = replace(replace(sql, 'id INTEGER PRIMARY', 'id INTEGEQ PRIMARY'), "
            "'value INTEGER', 'value INTEGEQ') WHERE name = ?",
            (table,),
        )
    connection.close()
    with pytest.warns(StoreWarning, match=f"the definition of its table {table} is not as it was made"):
        assert_array_equal(fetch(tmp_path, texts), expected(texts))
