# SPDX-License-Identifier: BSD-2-Clause
"""The check of a device's report: every field that is used has the type and size that it should have.

A report comes from a network. A report that passes can be counted, drawn and printed without further checks, and is not
larger in memory than it was on the wire.
"""

from __future__ import annotations

import re
from typing import Any, cast

from dredge_device.pi.schema.checks import Check, check_of, fields_of, number
from dredge_device.pi.schema.report import DeviceReport, TimelineReport
from dredge_device.timeline import LETTERS

_DEEPEST = 8                 # lists and objects within each other
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")



def sound(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document itself. Raises ValueError for invalid numbers, text with control characters, or more
    nesting than a device sends. Every answer and every report passes here first.
    """
    if not _harmless(document, _DEEPEST):
        raise ValueError("the device's answer holds what no device sends")
    return document


def _harmless(value: Any, depth: int) -> bool:
    if isinstance(value, str):
        return _STEERING.search(value) is None
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int | float):
        return number(value)
    if depth == 0:
        return False
    if isinstance(value, list):
        return all(_harmless(item, depth - 1) for item in value)
    return isinstance(value, dict) and all(
        _harmless(name, 0) and _harmless(item, depth - 1) for name, item in value.items()
    )


def checked(report: dict[str, Any]) -> DeviceReport:
    """Return the report itself. Raises ValueError that names the first field of a wrong type or size. Unknown fields
    pass.
    """
    for name, good in FIELDS.items():
        value = report.get(name)
        if value is not None and not good(value):
            raise ValueError(f"the device report has a malformed {name}")
    return cast(DeviceReport, report)


def fault_of(report: DeviceReport) -> str:
    """Return the fault of the device's output as a sentence, empty without one."""
    error = (report.get("output") or {}).get("error")
    return f"the device reports: {error}" if error else ""


def _timeline(value: Any) -> bool:
    """Return whether there are as many delays and times as periods, so that a run length cannot become memory."""
    if not SHAPE(value):
        return False
    periods = len(value["sources"])
    delays = sum(count for _, count in value["delay_ms"])
    numbered = not periods or value.get("first_packet") is not None
    return numbered and delays == periods == len(value["cpu_us"]) and not set(value["sources"]) - set(LETTERS)


SHAPE = check_of(TimelineReport)
FIELDS: dict[str, Check] = {**fields_of(DeviceReport), "timeline": _timeline}
