"""Peak memory of a block: native memory, what is freed again, and systems that tell less."""

import numpy as np
import pytest
from scripted import Scripted, integer_data

from skllmrec import _peak_memory, compare_recommenders
from skllmrec._peak_memory import PeakMemory

pytestmark = pytest.mark.skipif(_peak_memory._status_bytes("VmRSS") is None, reason="this system does not tell memory")


@pytest.fixture(params=["high-water mark", "sampled"])
def way(request, monkeypatch):
    if request.param == "sampled":
        monkeypatch.setattr(_peak_memory, "_RESET", "/no/such/file")
    elif not _peak_memory._reset_peak():
        pytest.skip("the high-water mark cannot be reset here")


def grow(n_bytes):
    """Touch native memory for a moment, long enough for the sampling thread."""
    block = np.ones(n_bytes, dtype=np.uint8)
    for _ in range(20):
        block += 1


@pytest.mark.usefixtures("way")
def test_what_is_freed_again_counts_and_an_earlier_peak_does_not():
    grow(90_000_000)
    with PeakMemory() as memory:
        grow(40_000_000)
    assert 38 < memory.megabytes < 60
    with PeakMemory() as idle:
        pass
    assert idle.megabytes < 15


@pytest.mark.usefixtures("way")
def test_an_error_passes_through():
    with pytest.raises(KeyError), PeakMemory() as memory:
        raise KeyError
    assert memory.megabytes < 20


def test_a_system_that_tells_nothing(monkeypatch):
    monkeypatch.setattr(_peak_memory, "_STATUS", "/no/such/file")
    monkeypatch.setattr(_peak_memory, "_RESET", "/no/such/file")
    with PeakMemory() as memory:
        grow(1000)
    assert np.isnan(memory.megabytes)


class Hungry(Scripted):
    """Touches 40 MB while it is fitted."""

    def fit(self, X, y=None):
        grow(40_000_000)
        return super().fit(X, y)


def test_the_memory_of_a_fit_is_among_the_costs():
    comparison = compare_recommenders({"hungry": Hungry()}, integer_data(), cv=2, k=5, metrics="ndcg", random_state=0)
    assert 38 < comparison.value("hungry", "fit_peak_mb") < 60
