# SPDX-License-Identifier: BSD-2-Clause
"""The status of a running device as one JSON document; the figures of a stream are those of its device report."""

import resource
import threading
import time
from collections.abc import Callable
from typing import cast

from dredge_device.pi.clock import monotonic_us
from dredge_device.pi.machine import Machine
from dredge_device.pi.schema.documents import Description, ProcessPart, SessionPart, Status, StatusCounts, Summary
from dredge_device.pi.schema.report import DelayPart, DeviceReport, MachineReport, QueuePart
from dredge_device.pi.status.figures import SILENT_US, SessionFigures

SCHEMA = "dredge.status/1"
STUCK_S = 5.0  # the playing thread publishes every second; after a longer silence the device is unhealthy
_FRESH_S = 0.25  # one document answers all requests within this time
_MACHINE_S = 10.0  # time between two readings of temperature and clock
_LEFT_OUT = ("timeline", "schema", "final", "number", "boot", "interrupted")  # of a report


class StatusDocument:
    """Holds the figures that the playing thread published, and makes the document for other threads.

    role: agent or talk; address: where the device listens; device: its answer to a hello. clock: microseconds.
    """

    def __init__(
        self,
        role: str,
        address: str,
        device: Description,
        machine: Machine | None = None,
        clock: Callable[[], int] = monotonic_us,
    ) -> None:
        device = device.copy()
        device.pop("ok", None)
        self._about: Status = {"role": role, "address": address, "device": device}
        self._machine = machine or Machine()
        self._clock = clock
        self._lock = threading.Lock()
        self._begun_us = self._published_us = clock()
        self._published: tuple[list[SessionFigures], SessionFigures | None, StatusCounts] = ([], None, {})
        self._made: Status | None = None
        self._made_us = 0
        self._cpu = (clock(), time.process_time())
        self._facts: MachineReport = {}
        self._facts_us: int | None = None

    def publish(self, sessions: list[SessionFigures], last: SessionFigures | None, counts: StatusCounts) -> None:
        """Take the newest figures by reference, so they must not be changed afterwards. It never waits.

        last: the session that ended last; counts: parts of the document as they are.
        """
        self._published = (sessions, last, counts)
        self._published_us = self._clock()

    @property
    def changes(self) -> tuple[int, int]:
        """A value that changes when a session begins or ends."""
        sessions, last, _ = self._published
        return len(sessions), last.until_us or 0 if last else 0

    @property
    def healthy(self) -> bool:
        """True while the playing thread publishes."""
        return self._clock() - self._published_us < STUCK_S * 1e6

    def read(self) -> Status:
        """Return the document, at most a quarter of a second old."""
        with self._lock:
            if self._made is None or self._clock() - self._made_us >= _FRESH_S * 1e6:
                self._made, self._made_us = self._make(), self._clock()
            return self._made

    def _make(self) -> Status:
        now_us = self._clock()
        sessions, last, counts = self._published
        running = [_session(figures, now_us) for figures in sessions]
        before = None if last is None else _session(last, now_us)
        process = self._process(now_us)
        return {
            "schema": SCHEMA,
            **self._about,
            "healthy": self.healthy,
            "age_s": round((now_us - self._published_us) / 1e6, 2),
            "uptime_s": round((now_us - self._begun_us) / 1e6, 1),
            "process": process,
            "machine": self._now(now_us),
            **counts,
            "sessions": running,
            "last": before,
            "summary": summary(running, before, process, self._facts),
        }

    def _process(self, now_us: int) -> ProcessPart:
        """Return the CPU time of the whole process since the last document, and in all, and its memory."""
        used = time.process_time()
        since_us, before = self._cpu
        self._cpu = (now_us, used)
        share = 1e8 * (used - before) / max(1, now_us - since_us)
        return {"cpu_pct": round(share, 2), "cpu_s": round(used, 3), "rss_kb": _resident_kb()}

    def _now(self, now_us: int) -> MachineReport:
        if self._facts_us is None or now_us - self._facts_us >= _MACHINE_S * 1e6:
            machine = self._machine
            self._facts = {"temperature_c": machine.temperature_c, "clock_mhz": machine.clock_mhz,
                           "throttling": machine.throttling}  # fmt: skip
            self._facts_us = now_us
        return self._facts


def _session(figures: SessionFigures, now_us: int) -> SessionPart:
    report = figures.report
    return {
        "peer": figures.peer,
        "plain": figures.plain,
        "ended": figures.ended,
        "seconds": round((figures.until_us or now_us) / 1e6 - figures.began_us / 1e6, 1),
        "heard_age_s": round(max(0, now_us - figures.heard_us) / 1e6, 2),
        "report": cast(DeviceReport, {name: value for name, value in report.items() if name not in _LEFT_OUT}),
    }


def summary(
    sessions: list[SessionPart], last: SessionPart | None, process: ProcessPart, machine: MachineReport
) -> Summary:
    """Return the figures for a dashboard, of the running stream or of the one that ended last; None is unknown."""
    shown = sessions[0] if sessions else last
    report: DeviceReport = shown["report"] if shown else {}
    queue: QueuePart = report.get("queue") or {}
    delay: DelayPart = report.get("delay_ms") or {}
    sources = report.get("sources") or {}
    return {
        "state": _state(sessions),
        "sessions": len(sessions),
        "peer": shown["peer"] if shown else None,
        "loss_pct": report.get("loss_pct"),
        "recovered_pct": queue.get("recovered_pct"),
        "dred": sources.get("dred"),
        "delay_ms": delay.get("mean"),
        "late_periods": queue.get("late_periods"),
        "cpu_pct": process["cpu_pct"],
        "temperature_c": machine.get("temperature_c"),
    }


def _state(sessions: list[SessionPart]) -> str:
    """Return the state of the summary's stream; it is silent after a while without packets."""
    if not sessions:
        return "idle"
    return "silent" if sessions[0]["heard_age_s"] * 1e6 >= SILENT_US else "playing"


def _resident_kb() -> int:
    """Return the resident memory in KiB, its peak without /proc."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize() // 1024
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
