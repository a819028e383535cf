# SPDX-License-Identifier: BSD-2-Clause
"""The types of a device's report, and the check that is made from them.

A new field is a line in a class below: `device_report.checked` then refuses reports in which it has another type or
size, and mypy holds the screen, the result and the verdict to it. A field may be absent or null unless its class is
total.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any, TypedDict, get_args, get_origin, get_type_hints, is_typeddict

LARGEST = 2**53  # of any number: exact in JSON and in float64
Check = Callable[[Any], bool]


def number(value: Any) -> bool:
    """Return whether a value is a finite number that float64 holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= LARGEST and math.isfinite(value)


def whole(value: Any) -> bool:
    """Return whether a value is an integer."""
    return isinstance(value, int) and number(value)


def count(value: Any) -> bool:
    """Return whether a value is an integer from 0 on."""
    return whole(value) and value >= 0


Count = Annotated[int, count]
# Two numbers in a list, as JSON has them: (value, periods), (upper edge in us, periods), (period, number).
Run = Annotated[list[Any], lambda v: isinstance(v, list) and len(v) == 2 and number(v[0]) and count(v[1])]
Bin = Annotated[list[Any], lambda v: isinstance(v, list) and len(v) == 2 and count(v[0]) and count(v[1])]
Jump = Annotated[list[Any], lambda v: isinstance(v, list) and len(v) == 2 and count(v[0]) and whole(v[1])]
BurstName = re.compile(r"[0-9]{1,6}\+?")
Bursts = Annotated[
    dict[str, int], lambda v: isinstance(v, dict) and all(BurstName.fullmatch(k) and count(n) for k, n in v.items())
]


class TimesNeeded(TypedDict):
    """Percentiles of measured times; frames: how many were measured."""

    frames: Count
    p50_us: Count
    p99_us: Count
    max_us: Count


class Times(TimesNeeded, total=False):
    """Percentiles of measured times."""

    mean_us: Count
    p95_us: Count


class BudgetNeeded(Times):
    """CPU time per packet against its period."""

    period_us: Count
    late_frames: Count
    p99_pct: float


class BudgetReport(BudgetNeeded, total=False):
    """CPU time per packet. wall: the same by the monotonic clock; stages: by part of the receiver."""

    histogram: list[Bin]
    wall: Times
    stages: dict[str, Times]


class MachineReport(TypedDict, total=False):
    """The device's machine (dredge_device.pi.machine.Machine.facts)."""

    board: str
    soc: str
    cpu: str
    architecture: str
    os: str
    kernel: str
    python: str
    governor: str
    cores: Count
    l2_bytes: Count
    bits: Count
    clock_mhz: float
    temperature_c: float
    throttling: list[str]


class OutputReport(TypedDict, total=False):
    """The part of the report about the output, which the process adds at the end of a session."""

    pacing: dict[str, float]
    machine: MachineReport


class TimelineNeeded(TypedDict):
    """Every period in turn: a letter for its source, its delay, its CPU time (dredge_device.timeline)."""

    sources: str
    delay_ms: list[Run]
    cpu_us: list[float]


class TimelineReport(TimelineNeeded, total=False):
    """start: number of the first period; first_packet: its sequence number; jumps: where those do not go on by one."""

    start: Count
    first_packet: int
    jumps: list[Jump]


class DeviceReport(TypedDict, total=False):
    """One report of a device, as far as the host reads it. Unknown fields pass."""

    sources: dict[str, Count]
    reasons: dict[str, Count]
    bursts: Bursts
    loss_pct: float
    packets: dict[str, Count]
    budget: BudgetReport
    output: OutputReport
    timeline: TimelineReport


def check_of(kind: Any) -> Check:
    """Return the check of a JSON value for a type: str, int, float, list[...], dict[str, ...], a TypedDict, or
    Annotated with a check of its own.
    """
    if get_origin(kind) is Annotated:
        own: Check = get_args(kind)[1]
        return own
    if is_typeddict(kind):
        return _record(kind)
    if get_origin(kind) is list:
        item = check_of(get_args(kind)[0])
        return lambda value: isinstance(value, list) and all(map(item, value))
    if get_origin(kind) is dict:
        of = check_of(get_args(kind)[1])
        return lambda value: isinstance(value, dict) and all(map(of, value.values()))
    return {float: number, int: whole, str: lambda value: isinstance(value, str)}[kind]


def _record(kind: Any) -> Check:
    fields = fields_of(kind)

    def good(value: Any) -> bool:
        if not isinstance(value, dict) or any(value.get(name) is None for name in kind.__required_keys__):
            return False
        return all(value.get(name) is None or check(value[name]) for name, check in fields.items())

    return good


def fields_of(kind: Any) -> dict[str, Check]:
    """Return the check of every field of a TypedDict."""
    return {name: check_of(of) for name, of in get_type_hints(kind, include_extras=True).items()}
