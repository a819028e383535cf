# SPDX-License-Identifier: BSD-2-Clause
"""What a device may say in a report, and what a forged one cannot do to a host."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speech_packets import encode

from dredge_device import rtp
from dredge_device.budget import Budget
from dredge_device.pi.machine import Machine
from dredge_device.pi.receiver import Receiver
from dredge_device.pi.schema.checks import LARGEST, Count, check_of
from dredge_device.pi.schema.report import (
    BudgetReport,
    DelayPart,
    DeviceReport,
    DredPart,
    LoadReport,
    MachineReport,
    PlayoutPart,
    QueuePart,
    StreamPart,
    TimelineReport,
    Times,
)
from dredge_device.pi.service.governor import Governor
from dredge_device.pi.service.pacer import Pacer
from dredge_device.reports import Reports
from dredge_device.telemetry import Counters
from dredge_device.timeline import Timeline
from dredge_host.live.control_channel import progress_of
from dredge_host.live.device_report import FIELDS, checked

OTHERS = {"enhancement", "talk", "probe"}  # of a device with libopus' networks, of a talk, of a probe


def real() -> dict[str, Any]:
    """A report as a device makes it, through JSON."""
    now_us = [0]
    receiver = Receiver(40, "opus", clock_us=lambda: now_us[0])
    reports = Reports(receiver, "boot", Counters(("datagrams",)), 1, 100)
    receiver.queue.begin(0)
    for number, packet in enumerate(encode(seconds=1.0)):
        if number not in (5, 6, 20):
            receiver.push(rtp.build(number, 960 * number, 1, packet), now_us[0])
        for frame in receiver.pull().frames:
            reports.timeline.add(frame.packet, frame.source, frame.delay_us, frame.cpu_us, frame.reason)
        now_us[0] += 20_000
        receiver.queue.finished(now_us[0], True)
    load = Governor(lambda: now_us[0], lambda: now_us[0]).report()
    reports.finish(lambda: {"machine": Machine().facts(), "pacing": Pacer().report(), "load": load}, False)
    loaded: dict[str, Any] = json.loads(json.dumps(reports.final))
    return loaded


def at(report: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The report with another value at a dotted path."""
    changed = copy.deepcopy(report)
    place = changed
    *outer, last = path.split(".")
    for name in outer:
        place = place[name]
    place[last] = value
    return changed


def test_a_real_report_passes_unchanged() -> None:
    report = real()
    assert set(FIELDS) - OTHERS <= set(report)
    assert checked(copy.deepcopy(report)) == report


def test_a_report_without_the_fields_passes() -> None:
    """A probe has no budget and no output."""
    assert checked({}) == {}
    assert checked(dict.fromkeys(FIELDS)) == dict.fromkeys(FIELDS)


def test_an_empty_timeline_needs_no_first_packet() -> None:
    checked({"timeline": json.loads(json.dumps(Timeline(5).part()))})
    checked({"budget": Budget(("a", "b")).report() | {"histogram": []}})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("sources", []), ("sources", {"opus": "many"}), ("sources", {"opus": -1}), ("sources", {"opus": True}),
        ("reasons", {"x": None}), ("bursts", {"two": 1}), ("bursts", {"64+": 1.5}), ("bursts", {"9" * 9: 1}),
        ("loss_pct", "1"), ("loss_pct", float("nan")), ("loss_pct", float("inf")), ("loss_pct", 10**400),
        ("packets", {"sent": 2 * LARGEST}), ("budget", 3), ("budget.p50_us", None), ("budget.frames", "1"),
        ("budget.histogram", [[1, 2, 3]]), ("budget.histogram", [[1, None]]), ("budget.stages", {"opus": {}}),
        ("output.pacing", {"missed_deadlines": "0"}), ("output.machine.throttling", [1]),
        ("output.machine.temperature_c", "hot"), ("output.machine.board", {}),
        ("timeline", []), ("timeline.sources", None), ("timeline.sources", ["opus"]), ("timeline.sources", "zzz"),
        ("timeline.first_packet", None), ("timeline.first_packet", 0.5), ("timeline.delay_ms", [[200, 10**12]]),
        ("timeline.delay_ms", [200]), ("timeline.delay_ms", [["200", 60]]), ("timeline.cpu_us", []),
        ("timeline.cpu_us", None), ("timeline.jumps", [[0, "1"]]), ("timeline.jumps", 5),
    ],
)  # fmt: skip
def test_a_malformed_field_is_named(path: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"malformed {path.split('.')[0]}"):
        checked(at(real(), path, value))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), JSON, max_size=3), st.sampled_from(sorted(real()["timeline"])))
def test_whatever_passes_can_be_shown(fields: dict[str, Any], name: str) -> None:
    report = {**real(), **fields}
    if isinstance(fields.get("timeline"), dict):
        report["timeline"] = {**real()["timeline"], name: next(iter(fields["timeline"].values()), None)}
    try:
        passed = checked(report)
    except ValueError:
        return
    state = progress_of(passed)
    assert isinstance(state["by_source"] or {}, dict)
    f"{state['loss_pct'] or 0:.1f} {state.get('cpu_us') or 0:.0f}"


def test_every_field_that_the_host_reads_is_one_that_a_device_sends() -> None:
    """Names in the schema are names in a real report; a schema of wishes would check nothing."""
    report = real()
    assert set(DeviceReport.__annotations__) - OTHERS <= set(report)
    assert set(BudgetReport.__annotations__) <= set(report["budget"]) and report["budget"]["stages"]
    parts = {
        "budget": Times, "timeline": TimelineReport, "stream": StreamPart, "delay_ms": DelayPart, "dred": DredPart,
        "playout": PlayoutPart, "queue": QueuePart,
    }  # fmt: skip
    for name, kind in parts.items():
        assert set(kind.__annotations__) <= set(report[name]), name
    assert set(MachineReport.__annotations__) <= set(report["output"]["machine"])
    assert set(LoadReport.__annotations__) <= set(report["output"]["load"])


def test_a_device_sends_no_field_that_the_schema_lacks() -> None:
    """Whoever reads the schema knows the whole report."""
    assert not set(real()) - set(DeviceReport.__annotations__)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (int, [0, -5, LARGEST], [True, 0.5, "1", None, 2 * LARGEST]),
        (float, [0, 0.5], [True, float("nan"), "1", 10**400]),
        (Count, [0, 7], [-1, 0.0]),
        (list[str], [[], ["a"]], ["a", [1], {}]),
        (dict[str, float], [{}, {"a": 1}], [[], {"a": "1"}]),
        (Times, [{"frames": 1, "p50_us": 1, "p99_us": 1, "max_us": 1, "new": "?"}], [{}, {"frames": 1}, []]),
    ],
)
def test_a_check_follows_from_the_type(kind: Any, good: list[Any], bad: list[Any]) -> None:
    check = check_of(kind)
    assert [check(value) for value in good] == [True] * len(good)
    assert [check(value) for value in bad] == [False] * len(bad)
