# SPDX-License-Identifier: BSD-2-Clause
"""The verdict on a device: what passes, what fails and why, in three forms."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from click.testing import CliRunner

from dredge_host.cli.main import cli
from dredge_host.links.loop_device import LoopDevice
from dredge_host.live.checks import check as module
from dredge_host.live.checks.check import PATTERNS, check, junit, lines
from dredge_host.live.stream import StreamOutcome
from dredge_host.sending.loss import parse_loss
from dredge_host.sending.sender import BitrateMeter
from dredge_host.settings import Settings

TRACE = [False] * 4 + [True] * 2 + [False] * 4
STAGES = {"opus": {"frames": 100, "p50_us": 50, "p99_us": 90, "max_us": 100}}


def report(mean_us=2400, missed=0, played="oooodd" + "o" * 4):
    return {
        "budget": {"frames": 100, "p50_us": 500, "p99_us": 2400, "max_us": 3000, "p99_pct": 150.0,
                   "mean_us": mean_us, "late_frames": 3, "stages": STAGES, "wall": {"p99_us": 2600}},
        "output": {"pacing": {"missed_deadlines": missed},
                   "machine": {"board": "Raspberry Pi 3 Model B", "governor": "ondemand", "clock_mhz": 1200.0,
                               "temperature_c": 55.25, "throttling": ["under-voltage now"]}},
        "packets": {},
        "timeline": {
            "first_packet": 0, "sources": played, "delay_ms": [[100, len(played)]], "cpu_us": [5] * len(played),
        },
    }  # fmt: skip


def judged(monkeypatch, reports, budget_pct=50.0):
    """check() with streams that end in these reports."""
    queue = list(reports)

    def fake(pcm, link, settings, seconds, models, update):
        return StreamOutcome({"simd": "neon", "opus": "libopus 1.3.1"}, queue.pop(0), TRACE, BitrateMeter())

    class NoLink:
        def close(self):
            pass

    monkeypatch.setattr(module, "_one", fake)
    return check(np.zeros(320, np.int16), NoLink, Settings(), budget_pct, 2.0)


def test_a_device_that_keeps_up_passes(monkeypatch):
    result = judged(monkeypatch, [report()] * 4)
    assert result["pass"] and [p["name"] for p in result["patterns"]] == list(PATTERNS)
    text = lines(result)
    assert text[0] == "PASS"
    for words in ("Raspberry Pi 3", "1200 MHz", "ondemand", "55.2 °C", "under-voltage now", "neon"):
        assert any(words in line for line in text), words
    assert json.loads(json.dumps(result))["schema"] == "dredge.check/1"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (report(mean_us=10002), "mean CPU time is 50.01 % of the period, the budget 50 %"),
        (report(played="oooocd" + "o" * 4), "1 of 2 losses that a packet described were recovered (50 %), expected 95"),
        (report(missed=2), "2 of 100 periods were not ready when they had to be handed out"),
        (None, "never came complete"),
        ({"budget": {}}, "never came complete"),
    ],
)
def test_every_reason_fails_the_check(monkeypatch, bad, reason):
    result = judged(monkeypatch, [report(), bad, report(), report()])
    assert not result["pass"]
    assert [p["pass"] for p in result["patterns"]] == [True, False, True, True]
    assert reason in result["patterns"][1]["reasons"][0]
    assert lines(result)[0] == "FAIL" and any(reason in line for line in lines(result))


def test_a_late_period_that_cost_little_says_that_another_program_had_the_core(monkeypatch):
    dear = report(missed=2)
    dear["budget"]["max_us"] = 21000
    cheap, own = judged(monkeypatch, [report(missed=2), dear, report(), report()])["patterns"][:2]
    why = "none took more than 3.0 of its 20 ms of CPU time, so another program probably had the core"
    assert cheap["reasons"][0].endswith(why)
    assert own["reasons"][0].endswith("handed out")


def test_the_budget_counts(monkeypatch):
    assert judged(monkeypatch, [report(mean_us=4000)] * 4, budget_pct=20.0)["pass"]
    assert not judged(monkeypatch, [report(mean_us=4000)] * 4, budget_pct=19.9)["pass"]


def test_junit_has_a_case_per_pattern(monkeypatch):
    root = ET.fromstring(junit(judged(monkeypatch, [report(), report(missed=3), report(), None])))
    suite = root.find("testsuite")
    assert suite is not None and (suite.get("tests"), suite.get("failures")) == ("4", "2")
    failures = {case.get("name"): case.find("failure") for case in suite.iter("testcase")}
    assert failures["no loss"] is None and "3 of 100 periods" in failures["5 % loss"].get("message", "")


def test_patterns_are_what_their_names_say():
    def rate(name):
        model = parse_loss(PATTERNS[name], 1)
        return np.mean([model.lost() for _ in range(50_000)])

    assert rate("no loss") == 0
    assert rate("5 % loss") == pytest.approx(0.05, abs=0.005)
    assert rate("20 % in bursts") == pytest.approx(0.2, abs=0.015)
    gaps = parse_loss(PATTERNS["gaps of 1 s"], 1)
    trace = "".join(str(int(gaps.lost())) for _ in range(990))
    assert {len(run) for run in trace.strip("0").split("0") if run} == {50}


def test_a_real_device_is_judged_by_its_own_clocks():
    """Classic concealment in this process: figures there, books closed; the verdict is the machine's."""
    device = LoopDevice(conceal="opus")
    try:
        settings = Settings(conceal="opus", redundancy_s=0.0, playout_ms=60)
        pcm = np.zeros(3200, np.int16)
        outcome = module._one(pcm, device.link, settings, 2.0, None, None)
        judged = module._judge("x", outcome, settings, 100.0)
    finally:
        device.close()
    assert judged["cpu"]["frames"] >= 100 and judged["wall"]["p99_us"] > 0
    assert judged["accounting"]["complete"] and sum(judged["sources"].values()) == 100


@pytest.mark.parametrize("words", [["--budget", "0%"], ["--budget", "x"], ["--seconds", "1"], ["--to", "ftp://x"]])
def test_bad_arguments_are_code_2(words):
    assert CliRunner().invoke(cli, ["check", *words]).exit_code == 2
