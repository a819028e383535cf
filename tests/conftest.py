# SPDX-License-Identifier: BSD-2-Clause
"""No test sees the models or the calibration of the person who runs it, and none leaves any behind.

Nor does a test see how the suite was started: a shell gives what it runs in the background (`make test &`, nohup) an
ignored SIGINT or SIGHUP, and a program that is born with one cannot be interrupted, as the tests do.

Properties (hypothesis) are tried with the same examples every time, whatever the clock says; with --nightly or
DREDGE_HYPOTHESIS=long they are tried with others every time. A failure of luck would tell whoever sees it nothing
about the change at hand.

Tests that are marked nightly run with --nightly alone (`make test-nightly`). Those marked slow begin first, so that
none of them runs on at the end while the other workers have nothing left to do.
"""

import os
import signal
import tempfile

import pytest
from hypothesis import HealthCheck, settings

_data = tempfile.TemporaryDirectory(prefix="dredge-tests-")
os.environ["XDG_DATA_HOME"] = _data.name
os.environ["DREDGE_CALIBRATION"] = "none"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a thousand processes would compile Dredge, each for itself

for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:  # a handler does not survive exec, so children begin as usual
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else lambda *_: None)


settings.register_profile("searching", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("searching"), derandomize=True, database=None)


def pytest_configure(config: pytest.Config) -> None:
    searching = config.getoption("--nightly") or os.environ.get("DREDGE_HYPOTHESIS") == "long"
    settings.load_profile("searching" if searching else "repeatable")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nightly", action="store_true", help="run the tests that take minutes, too")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--nightly"):
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("nightly")])
        items[:] = [item for item in items if not item.get_closest_marker("nightly")]
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
