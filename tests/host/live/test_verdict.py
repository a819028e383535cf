# SPDX-License-Identifier: BSD-2-Clause
"""The demo's verdict, its parts and the agent process."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_host.cli.live.demo_run import place
from dredge_host.errors import UnreachableError
from dredge_host.links import agent_process
from dredge_host.links.agent_process import AgentProcess
from dredge_host.live.checks.verdict import judge
from dredge_host.live.result import by_source, missed_deadlines_pct
from dredge_host.live.stream import StreamOutcome
from dredge_host.sending.coverage import coverable
from dredge_host.sending.sender import BitrateMeter
from dredge_host.settings import Settings

LETTERS = {"o": "opus", "d": "dred", "p": "plc", "l": "lbrr"}


def outcome(trace: str, played: str, **budget) -> StreamOutcome:
    figures = {"frames": len(played), "mean_us": 2000, "p99_pct": 150.0, **budget}
    report = {
        "budget": figures,
        "output": {"pacing": {"missed_deadlines": budget.get("missed", 0)}},
        "timeline": {
            "first_packet": 0,
            "sources": played,
            "delay_ms": [[100, len(played)]],
            "cpu_us": [5] * len(played),
        },
    }
    return StreamOutcome({}, report, [letter == "x" for letter in trace], BitrateMeter())


def failed(verdict: dict) -> list[str]:
    return [check["name"] for check in verdict["checks"] if not check["pass"]]


def test_a_good_stream_passes() -> None:
    verdict = judge(outcome("o" * 50 + "xxx" + "o" * 47, "o" * 50 + "ddd" + "o" * 47), Settings())
    assert verdict["pass"] is True
    assert failed(verdict) == []


@pytest.mark.parametrize(
    ("played", "budget", "names"),
    [
        ("oooppoo", {}, ["packets filled by DRED", "coverable losses filled"]),
        ("ooollo", {}, ["device report complete", "packets filled by DRED"]),
        ("ooodpoo", {}, ["coverable losses filled"]),
        ("oooddoo", {"mean_us": 10002}, ["mean CPU per period"]),
    ],
)
def test_each_check_can_fail(played: str, budget: dict, names: list[str]) -> None:
    verdict = judge(outcome("oooxxoo", played, **budget), Settings())
    assert verdict["pass"] is False
    assert failed(verdict) == names


def test_a_busy_machine_is_told_but_not_judged() -> None:
    busy = outcome("oooxxoo", "oooddoo", missed=3)
    assert judge(busy, Settings())["pass"] is True
    assert missed_deadlines_pct(busy.report) == pytest.approx(42.86)
    assert missed_deadlines_pct({}) is None


def test_packets_per_source_add_up() -> None:
    counts = by_source([(0, "opus", 1.0, 1.0), (2, "dred", 1.0, 1.0)], 5)
    assert counts == {"opus": 1, "lbrr": 0, "dred": 1, "plc": 0, "conceal": 0, "silence": 3}


def test_a_packet_that_was_played_twice_counts_once() -> None:
    """A starved receiver predicts packets 1 and 2, begins again where the sender is, and plays them."""
    played = [(0, "opus"), (1, "plc"), (2, "plc"), (1, "opus"), (2, "dred"), (3, "opus")]
    counts = by_source([(number, name, 1.0, 1.0) for number, name in played], 4)
    assert counts == {"opus": 3, "lbrr": 0, "dred": 1, "plc": 0, "conceal": 0, "silence": 0}


def test_no_report_fails() -> None:
    verdict = judge(StreamOutcome({}, None, [False, True], BitrateMeter()), Settings())
    assert "device report complete" in failed(verdict)


def test_losses_that_nothing_covers_are_not_held_against_it() -> None:
    settings = Settings(redundancy_s=0.1, playout_ms=1000)
    trace = [letter == "x" for letter in "o" + "x" * 7 + "oo" + "xx"]
    assert coverable(trace, settings) == {3, 4, 5, 6, 7}
    assert coverable(trace, Settings(playout_ms=60)) == {6, 7}
    assert coverable([True] * 5, settings) == set()
    assert coverable(trace, settings, {n: 60_000 if n < 7 else 100_000 for n in range(12)}) == {6, 7}


@given(st.lists(st.booleans(), max_size=120), st.integers(0, 50), st.integers(0, 60))
def test_coverable_matches_its_definition(trace: list[bool], history: int, delay: int) -> None:
    settings = Settings(redundancy_s=history * 0.02, playout_ms=delay * 20)
    reach = min(history, delay - 1)
    expected = {n for n, lost in enumerate(trace) if lost and not all(trace[n : n + reach + 1])}
    assert coverable(trace, settings) == {n for n in expected if n + 1 < len(trace)}


@given(st.integers(0, 50), st.integers(-60, 60), st.integers(0, 50))
def test_place_shifts_and_cuts(size: int, start: int, length: int) -> None:
    pcm = np.arange(1, size + 1, dtype=np.int16)
    out = place(pcm, start, length)
    assert len(out) == length
    for i in range(length):
        assert out[i] == (i - start + 1 if 0 <= i - start < size else 0)


# --- the agent process ---


def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str) -> None:
    """Puts a package named dredge_device with this __main__ in front of the real one."""
    package = tmp_path / "dredge_device"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(body)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


def test_agent_that_says_where_it_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = "import time; print('listening udp://127.0.0.1:77', flush=True); time.sleep(60)"
    script(monkeypatch, tmp_path, body)
    with AgentProcess() as agent:
        assert agent.url == "udp://127.0.0.1:77"
        pid = agent.pid
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import sys; sys.exit('dredge agent: port taken')", "port taken"),
        ("print('hello', flush=True)", "said nothing"),
        ("raise ImportError('no models')", "ImportError: no models"),
    ],
)
def test_agent_that_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, body: str, words: str) -> None:
    script(monkeypatch, tmp_path, body)
    with pytest.raises(UnreachableError, match="did not start") as caught:
        AgentProcess()
    assert words in str(caught.value)


def test_agent_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    body = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    script(monkeypatch, tmp_path, body)
    monkeypatch.setattr(agent_process, "START_S", 0.5)
    monkeypatch.setattr(agent_process, "STOP_S", 0.3)
    with pytest.raises(UnreachableError, match="did not start"):
        AgentProcess()
