"""How long it will take."""

import pytest

from skllmrec.comparison._progress import TimeToGo, seconds


def test_each_estimator_counts_with_its_own_duration():
    to_go = TimeToGo(["quick", "slow"] * 5, n_workers=1)
    to_go.add("quick", 1.0)
    assert to_go.estimate() == pytest.approx(9.0)  # nothing is known of the slow one: as long as the quick one
    to_go.add("slow", 10.0)
    assert to_go.estimate() == pytest.approx(4 * 1 + 4 * 10)
    to_go.add("slow", 20.0)
    assert to_go.estimate() == pytest.approx(4 * 1 + 3 * 15)


def test_several_at_once():
    to_go = TimeToGo(["a"] * 10 + ["b"], n_workers=4)
    to_go.add("a", 4.0)
    assert to_go.estimate() == pytest.approx((9 * 4 + 4) / 4)
    to_go.add("b", 100.0)
    assert to_go.estimate() == pytest.approx(9)
    slow = TimeToGo(["a", "a", "b"], n_workers=8)
    slow.note("b", 60.0)
    slow.add("a", 1.0)
    assert slow.estimate() == pytest.approx(60)  # eight workers do not make one call shorter


def test_what_an_earlier_run_took_is_known_but_not_left():
    to_go = TimeToGo(["a"], n_workers=1)
    to_go.note("a", 7.0)
    assert to_go.estimate() == pytest.approx(7)
    assert str(to_go) == "; about 7.0 s to go"
    to_go.add("a", 9.0)
    assert to_go.estimate() == 0
    assert str(to_go) == ""


@pytest.mark.parametrize(("value", "text"), [(59.7, "1 min 0 s"), (3599, "59 min 59 s"), (7260, "2 h 1 min")])
def test_seconds(value, text):
    assert seconds(value) == text


def test_short_times_are_not_told_as_zero():
    assert [seconds(value) for value in (0.0004, 0.03, 0.0999, 0.1)] == ["0 ms", "30 ms", "0.1 s", "0.1 s"]
