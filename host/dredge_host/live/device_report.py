# SPDX-License-Identifier: BSD-2-Clause
"""A device's report as the host may believe it: every field that is used has the type and size that it should have.

A report comes from a network. What passes here can be counted, drawn and printed without further questions, and is not
larger in memory than it was on the wire.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from dredge_device.timeline import LETTERS

LARGEST = 2**53              # of any number: exact in JSON and in float64
_DEEPEST = 8                 # lists and objects within each other
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_DIGITS = re.compile(r"[0-9]{1,6}\+?")

Check = Callable[[Any], bool]


def sound(document: dict[str, Any]) -> dict[str, Any]:
    """The document itself; ValueError when something in it would do harm: numbers that are none, text that steers a
    terminal, more depth than a device sends. Every answer and every report passes here first."""
    if not _harmless(document, _DEEPEST):
        raise ValueError("the device's answer holds what no device sends")
    return document


def _harmless(value: Any, depth: int) -> bool:
    if isinstance(value, str):
        return _STEERING.search(value) is None
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int | float):
        return _number(value)
    if depth == 0:
        return False
    if isinstance(value, list):
        return all(_harmless(item, depth - 1) for item in value)
    return isinstance(value, dict) and all(
        _harmless(name, 0) and _harmless(item, depth - 1) for name, item in value.items()
    )


def checked(report: dict[str, Any]) -> dict[str, Any]:
    """The report itself; ValueError names the first field that is not as it should be. Unknown fields pass."""
    for name, good in FIELDS.items():
        value = report.get(name)
        if value is not None and not good(value):
            raise ValueError(f"the device report has a malformed {name}")
    return report


def _number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= LARGEST and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST


def _count(value: Any) -> bool:
    return _whole(value) and value >= 0


def _each(good: Check) -> Check:
    """A list of such values."""
    return lambda value: isinstance(value, list) and all(map(good, value))


def _named(good: Check, name: re.Pattern[str] = re.compile(r".*", re.DOTALL)) -> Check:
    """An object of such values."""
    return lambda value: isinstance(value, dict) and all(name.fullmatch(k) and good(v) for k, v in value.items())


def _record(needed: tuple[str, ...] = (), **fields: Check) -> Check:
    """An object; a field may be absent or null unless it is needed."""

    def good(value: Any) -> bool:
        if not isinstance(value, dict) or any(value.get(name) is None for name in needed):
            return False
        return all(value.get(name) is None or check(value[name]) for name, check in fields.items())

    return good


def _pair(first: Check, second: Check) -> Check:
    return lambda value: isinstance(value, list) and len(value) == 2 and first(value[0]) and second(value[1])


def _text(value: Any) -> bool:
    return isinstance(value, str)


_TIMES = ("frames", "p50_us", "p99_us", "max_us")
_times = _record(_TIMES, **dict.fromkeys((*_TIMES, "mean_us", "p95_us"), _count))
_budget = _record(
    (*_TIMES, "period_us", "late_frames", "p99_pct"),
    **dict.fromkeys((*_TIMES, "mean_us", "p95_us", "period_us", "late_frames"), _count), p99_pct=_number,
    histogram=_each(_pair(_count, _count)), wall=_times, stages=_named(_times),
)  # fmt: skip
_output = _record(
    pacing=_named(_number),
    machine=_record(
        board=_text, soc=_text, cpu=_text, architecture=_text, os=_text, kernel=_text, python=_text, governor=_text,
        cores=_count, l2_bytes=_count, bits=_count, clock_mhz=_number, temperature_c=_number, throttling=_each(_text),
    ),
)  # fmt: skip
_shape = _record(
    ("sources", "delay_ms", "cpu_us"),
    sources=_text, start=_count, first_packet=_whole, delay_ms=_each(_pair(_number, _count)), cpu_us=_each(_number),
    jumps=_each(_pair(_count, _whole)),
)  # fmt: skip


def _timeline(value: Any) -> bool:
    """As many delays and times as periods: a run length must not become memory."""
    if not _shape(value):
        return False
    periods = len(value["sources"])
    delays = sum(count for _, count in value["delay_ms"])
    numbered = not periods or value.get("first_packet") is not None
    return numbered and delays == periods == len(value["cpu_us"]) and not set(value["sources"]) - set(LETTERS)


FIELDS: dict[str, Check] = {
    "sources": _named(_count),
    "reasons": _named(_count),
    "bursts": _named(_count, _DIGITS),
    "loss_pct": _number,
    "packets": _named(_count),
    "budget": _budget,
    "output": _output,
    "timeline": _timeline,
}
