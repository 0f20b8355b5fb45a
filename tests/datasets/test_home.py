"""get_data_home: argument before environment before default."""

from pathlib import Path

from skllmrec.datasets import get_data_home


def test_order_of_precedence(monkeypatch, tmp_path):
    monkeypatch.delenv("SKLLMREC_DATA_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert get_data_home() == tmp_path / ".cache" / "skllmrec"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert get_data_home() == tmp_path / "cache" / "skllmrec"
    monkeypatch.setenv("SKLLMREC_DATA_HOME", "~/data")
    assert get_data_home() == tmp_path / "data"
    assert get_data_home("here") == Path.cwd() / "here"
    assert not (tmp_path / "data").exists()
