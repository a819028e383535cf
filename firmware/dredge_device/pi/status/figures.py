# SPDX-License-Identifier: BSD-2-Clause
"""The figures of one session while it runs, and after it."""

from typing import NamedTuple

from dredge_device.pi.schema.report import DeviceReport

SILENT_US = 3_000_000  # a sender without packets for this long is called silent, in the log and in the status


class SessionFigures(NamedTuple):
    """peer: its address; plain: it sent RTP without a hello; report: the newest device report; ended: why, None while
    it runs; the times are microseconds of the device's clock."""

    peer: str
    plain: bool
    report: DeviceReport
    began_us: int
    heard_us: int
    until_us: int | None = None
    ended: str | None = None
