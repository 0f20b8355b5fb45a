"""With SKLLMREC_REQUIRE_REALDATA=1, as in CI beside real data, a skipped real-data test is a failure."""

import os

import pytest

REQUIRED = os.environ.get("SKLLMREC_REQUIRE_REALDATA") == "1"
MARKER = "realdata"

# documentation pages hold doctests, the files that build them do not
collect_ignore = ["docs/conf.py", "docs/reference.py", "docs/_build", "docs/examples", "docs/gallery"]


class RealDataGuard:
    """Fail the session when not one real-data test ran; lives in the process that sees every report."""

    def __init__(self):
        self.n_run = 0

    def pytest_runtest_logreport(self, report):
        self.n_run += report.when == "call" and MARKER in report.keywords

    def pytest_sessionfinish(self, session):
        if not self.n_run:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.write_line(f"real-data tests that ran: {self.n_run}", red=not self.n_run)


def pytest_configure(config):
    if REQUIRED and not hasattr(config, "workerinput"):
        config.pluginmanager.register(RealDataGuard())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if REQUIRED and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker(MARKER):
        report.outcome = "failed"
        report.longrepr = f"real data is required here, but the test was skipped: {report.longrepr}"
    return report
