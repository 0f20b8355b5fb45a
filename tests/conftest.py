"""Fixtures that tests of several packages share."""

import os
from pathlib import Path

import pytest


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
