"""The guard of the root conftest: required real-data tests cannot be skipped or missing unnoticed."""

from pathlib import Path

import pytest

pytest_plugins = "pytester"

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SKIPPED = "import pytest\n@pytest.mark.realdata\ndef test_data():\n    pytest.skip('no folder')\n"
PASSED = "import pytest\n@pytest.mark.realdata\ndef test_data():\n    pass\n"
OTHER = "import pytest\ndef test_other():\n    pass\ndef test_skipped():\n    pytest.skip('why not')\n"


@pytest.mark.parametrize(
    ("workers", "required", "source", "code", "message"),
    [
        (1, "1", OTHER + SKIPPED, 1, "*but the test was skipped*no folder*"),
        (0, "1", OTHER, 1, "real-data tests that ran: 0"),
        (1, "1", OTHER + PASSED, 0, "real-data tests that ran: 1"),
        (0, "0", OTHER + SKIPPED, 0, "*1 passed, 2 skipped*"),
    ],
)
def test_real_data_guard(pytester, monkeypatch, workers, required, source, code, message):
    monkeypatch.setenv("SKLLMREC_REQUIRE_REALDATA", required)
    pytester.makeconftest(CONFTEST.read_text(encoding="utf-8"))
    pytester.makepyfile(source)
    pytester.makeini("[pytest]\nmarkers = realdata: needs data\n")
    result = pytester.runpytest_subprocess("-n", str(workers), "-p", "no:hypothesispytest")
    assert result.ret == code
    result.stdout.fnmatch_lines([message])
