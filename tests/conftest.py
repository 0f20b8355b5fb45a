"""Fixtures that tests of several packages share."""

import os
from pathlib import Path

import pytest
from embedding_server import KEY
from tiny_models import save_bert, save_llama


@pytest.fixture(scope="session")
def data_folder():
    """Folder of the real data sets, one folder each; named by the environment variable SKLLMREC_DATA."""
    named = os.environ.get("SKLLMREC_DATA")
    if not named:
        pytest.skip("SKLLMREC_DATA names no folder of data sets")
    folder = Path(named)
    if not folder.is_dir():
        pytest.skip(f"SKLLMREC_DATA names {folder}, which is not a folder")
    return folder


@pytest.fixture
def api_key(monkeypatch):
    """A key for a server, as TEST_KEY in the environment, and no proxies but those of a test."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TEST_KEY", KEY)
    return KEY


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """Directory of a two-layer BERT with 16 dimensions, random weights and a WordPiece tokenizer."""
    return save_bert(tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory):
    """Directory of a two-layer decoder-only model with a byte-level BPE tokenizer that has no padding token."""
    return save_llama(tmp_path_factory.mktemp("tiny-llama"))
