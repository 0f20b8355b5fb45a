"""Fixtures of the tests of language models."""

import pytest
from tiny_models import save_bert


@pytest.fixture(autouse=True)
def model_cache(tmp_path, monkeypatch):
    """Keep trained models that have no folder of their own in a temporary one."""
    monkeypatch.setenv("SKLLMREC_DATA_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture(scope="session")
def teachable_bert(tmp_path_factory):
    """Directory of a two-layer BERT whose weights are small enough for words to shine through its layers."""
    return save_bert(tmp_path_factory.mktemp("teachable-bert"), initializer_range=0.1)
