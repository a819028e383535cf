# SPDX-License-Identifier: BSD-2-Clause
"""The time of day is wrong and leaps: nobody who streams may care."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import preload
import pytest
from processes import end, start, start_agent

ROOT = Path(__file__).parents[2]
LIVE = [ROOT / "firmware", *(ROOT / "host/dredge_host" / folder for folder in ("live", "links", "sending"))]


# Prints whether the time of day moved by half an hour between two readings; two seconds hold at least one leap of the
# shim wherever in a second they begin.
WATCH = """
import time
end, before, leapt = time.monotonic() + 2, time.time(), False
while not leapt and time.monotonic() < end:
    now = time.time()
    leapt, before = abs(now - before) > 1800, now
    time.sleep(0.02)
print(leapt)
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return preload.compiled("wrongclock.c", tmp_path_factory.mktemp("shim"))


def test_the_shim_turns_the_clock(shim):
    """Without this the test below could pass because nothing happens."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH], env=preload.environment(shim), capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "True\n", done.stderr
    true_time = subprocess.run([sys.executable, "-c", WATCH], capture_output=True, text=True, timeout=60)
    assert true_time.stdout == "False\n", true_time.stderr


def test_a_stream_under_a_leaping_time_of_day(shim, speech, monkeypatch):
    for name, value in preload.environment(shim).items():
        monkeypatch.setenv(name, value)
    agent, url = start_agent("--playout", "fixed:100")
    host = start(
        "stream", speech(3), "--to", url, "--redundancy", "0", "--conceal", "opus", "--playout", "fixed:100", "--json"
    )
    code, out, errors = end(host)
    agent.send_signal(signal.SIGTERM)
    assert end(agent)[0] == 0
    assert code in (0, 1) and "Traceback" not in errors, errors
    device = json.loads(out)["device_report"]
    packets = device["packets"]
    assert packets["sent"] == 150 and packets["arrived"] + packets["missing"] == 150
    assert device["playout"]["corrections"] <= 2 and device["sources"]["skipped"] == 0
    assert device["output"]["pacing"]["stalls"] <= 1


def test_what_runs_during_a_stream_never_asks_for_the_time_of_day():
    files = [file for place in LIVE for file in place.rglob("*.py")]
    assert len(files) > 40
    for file in files:
        found = re.search(r"\btime\.(time|time_ns|gmtime|localtime)\(|\bdatetime\b", file.read_text())
        assert found is None or file.name in ALLOWED, f"{file}: {found.group()}"


ALLOWED: tuple[str, ...] = ()
