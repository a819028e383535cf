# SPDX-License-Identifier: BSD-2-Clause
"""A device that falls silent: the live view says so, and its old figures are not shown as today's."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from waiting import LONGEST_S

from dredge_host.links.agent_process import AgentProcess
from dredge_host.links.link import Link
from dredge_host.links.loop_device import LoopDevice
from dredge_host.links.plain import RtpLink
from dredge_host.live.checks.check import PATTERNS, check
from dredge_host.live.plain import PlainSession
from dredge_host.live.screen.display import Display
from dredge_host.settings import Settings

CLIP = Path(__file__).parents[2] / "data" / "speech_short.flac"
TOLD = {"t_s": 5.0, "loss_pct": 0.0, "by_source": {"opus": 250}, "delay_ms": 1000, "cpu_us": 900, "report_age_s": 0.3}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_old_figures_are_said_to_be_old_in_a_line() -> None:
    out = io.StringIO()
    display = Display(0, stream=out)
    display.update(TOLD)
    display.update({"t_s": 7.0, "report_age_s": 2.3})
    display.update({"t_s": 8.0, "report_age_s": 0.1})
    fresh, old, again = out.getvalue().splitlines()
    assert "no report" not in fresh + again and "loss 0.0 %" in again
    assert old.startswith("   7.0 s  no report for 2 s  before that:  loss 0.0 %")


def test_a_device_that_never_reported_has_no_figures() -> None:
    out = io.StringIO()
    Display(0, stream=out).update({"t_s": 3.0, "report_age_s": 3.0, "bitrate_bps": 50000})
    assert out.getvalue() == "   3.0 s  no report for 3 s  50.0 kb/s\n"


def test_before_the_first_report_no_figure_of_the_device_is_shown() -> None:
    out = io.StringIO()
    display = Display(0, stream=out)
    display.update({"t_s": 0.0, "report_age_s": None, "bitrate_bps": 50000})
    display.update({"t_s": 1.0, "report_age_s": 0.1, "loss_pct": 0.0, "by_source": {}})
    before, nothing_played = out.getvalue().splitlines()
    assert before == "   0.0 s  no report yet  50.0 kb/s"
    assert "CPU per packet -" in nothing_played


def test_old_figures_are_dim_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with Display(0, stream=out) as display:
        display.update(TOLD)
        before = len(out.getvalue())
        display.update({"t_s": 9.0, "report_age_s": 4.0})
    text = out.getvalue()
    assert "no report for 4 s" in text[before:] and "\x1b[2m" in text[before:]
    assert "no report" not in text[:before]


def test_the_json_lines_say_it_too() -> None:
    out = io.StringIO()
    with Display(0, json_lines=True, stream=out) as display:
        display.update(TOLD)
        display.update({"t_s": 8.0, "report_age_s": 3.0})
    first, second = [json.loads(line) for line in out.getvalue().splitlines()][:2]
    assert (first["device_silent"], first["report_age_s"]) == (False, 0.3)
    assert (second["device_silent"], second["report_age_s"]) == (True, 3.0)


def test_a_stopped_agent_is_reported_silent_while_the_stream_runs() -> None:
    """A real agent is stopped (SIGSTOP) in the middle of a stream and goes on later."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    with AgentProcess(playout_ms=200, options=("--once", "--conceal", "opus")) as agent:
        words = [str(CLIP), "--to", agent.url, "--conceal", "opus", "--seconds", "600", "--json-lines", "--json"]
        stream = subprocess.Popen([sys.executable, "-m", "dredge_host", "stream", *words], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)  # fmt: skip
        assert stream.stderr is not None
        records: list[dict[str, Any]] = []
        try:
            for line in stream.stderr:
                records.append(json.loads(line))
                if records[-1].get("loss_pct") is not None and not any(r["device_silent"] for r in records):
                    os.kill(agent.pid, signal.SIGSTOP)
                elif records[-1]["device_silent"]:
                    os.kill(agent.pid, signal.SIGCONT)
                elif any(r["device_silent"] for r in records):  # it reported again after it went on
                    break
            stream.send_signal(signal.SIGINT)
            out, _ = stream.communicate(timeout=LONGEST_S)
        finally:
            os.kill(agent.pid, signal.SIGCONT)
            stream.kill()
            stream.communicate()
    silent = [record for record in records if record["device_silent"]]
    assert silent and min(record["report_age_s"] for record in silent) >= 2.0
    assert not records[-1]["device_silent"], "it reported again after it went on"
    assert json.loads(out)["stream"]["longest_silence_s"] >= 2.0


def test_every_pattern_of_a_check_starts_from_zero() -> None:
    """What the screen shows when a pattern begins holds nothing of the pattern before."""
    seen: list[dict[str, Any]] = []
    display = Display(0, stream=io.StringIO())

    def begin(text: str) -> None:
        display.restart()
        seen.append({**display.figures.state, "worst": display.figures.worst_us, "line": display.figures.line()})

    devices: list[LoopDevice] = []

    def opened() -> Link:
        devices.append(LoopDevice(conceal="opus"))
        return devices[-1].link

    pcm = np.zeros(32000, np.int16)
    check(pcm, opened, Settings(playout_ms=100, conceal="opus", redundancy_s=0.0), 90.0, 2.0, None,
          display.update, begin)  # fmt: skip
    for device in devices:
        device.close()
    assert len(seen) == len(PATTERNS)
    assert display.figures.state.get("loss_pct") is not None, "reports did arrive"
    for state in seen:
        assert state == {"worst": 0.0, "line": seen[0]["line"]} and "loss - %" in state["line"]


def test_a_plain_receiver_owes_no_report_and_is_never_greeted() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        link = RtpLink(*far.getsockname()[:2])
        try:
            session = PlainSession(link)
            session.rehello()
            assert session.report_age_s is None
            far.setblocking(False)
            with pytest.raises(BlockingIOError):
                far.recv(2048)
        finally:
            link.close()
