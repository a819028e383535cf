# SPDX-License-Identifier: BSD-2-Clause
"""Requests to a device and its answers and reports; only requested and well-formed ones are accepted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dredge_device import control, fragments
from dredge_device.pi.schema.report import DeviceReport
from dredge_host.errors import UnreachableError, VersionMismatch
from dredge_host.links.link import Link
from dredge_host.live import device_report
from dredge_host.live.documents import LiveFigures

REPORT_SCHEMA = "dredge-device-report-1"

Update = Callable[[LiveFigures], None]


class ControlChannel:
    """The exchange with a device over a link: requests, their answers, and reports; other datagrams are counted.

    A request is noted in `_awaited` (kind and number); its answer is stored in `_answer`. `clock` replaces real time in
    tests. Errors: UnreachableError (no device, unless ``tolerant``), VersionMismatch (another protocol).
    """

    def __init__(self, link: Link, clock: Callable[[], float] = time.monotonic, update: Update | None = None) -> None:
        self.link = link
        self.report: DeviceReport | None = None
        self._clock = clock
        self._update = update or (lambda state: None)
        self._incoming = fragments.Incoming()
        self._final_number: int | None = None
        self.heard_s = self._clock()  # time of the device's last datagram
        self.reported_s = self._clock()  # time of its last report
        self.boot: Any = None  # identity of the device process; another one means that it restarted
        self.tolerant = False  # a stream is running: a refused datagram is a loss, not the end
        self.refused = 0
        self.reports = 0
        self.newest: DeviceReport = {}  # the newest report
        self.fault = ""  # of the device's output, as a final report told it
        self.arrived_before = 0  # packets in the last reports of earlier processes and sessions
        self._arrived: tuple[Any, int] = (None, 0)  # the present process, and the packets that it has received
        self.ignored = 0  # datagrams that were not requested or are malformed
        self._awaited: tuple[int, int] | None = None  # kind and number of the pending request
        self._answer: dict[str, Any] | None = None
        self._echo: tuple[int, bytes] | None = None
        self._ping: tuple[int, float] | None = None
        self.round_trip_s: float | None = None  # of the last answered `ping`

    def transmit(self, datagram: bytes) -> bool:
        """Send; while streaming a refusal is counted instead of raised. True when it went out."""
        return self._tolerantly(lambda: self.link.send(datagram))

    def _tolerantly(self, work: Callable[[], None]) -> bool:
        """Send and return True; while streaming, a refused datagram is counted and False is returned."""
        try:
            work()
        except UnreachableError:
            if not self.tolerant:
                raise
            self.refused += 1
            return False
        return True

    @property
    def report_age_s(self) -> float | None:
        """Seconds since the device's last report; None where none is expected."""
        return round(max(0.0, self._clock() - self.reported_s), 2)

    def listen(self, until: float, once: bool = False) -> None:
        """Handle the datagrams that arrive until that time (or only the first one)."""
        while True:
            try:
                datagram = self.link.recv(max(0.0, until - self._clock()))
            except UnreachableError:
                if not self.tolerant:
                    raise
                self.refused += 1
                continue
            if datagram is not None:
                self._handle(datagram)
            if once or self._clock() >= until:
                return

    def _handle(self, datagram: bytes) -> None:
        """Handle a datagram; count it without effect when it was not requested or is malformed."""
        try:
            messages = control.parse(datagram)
        except control.VersionError as error:
            if self.tolerant:  # a stream is running, with a device of our version
                self.ignored += 1
                return
            raise VersionMismatch(
                f"{self.link.url}: the device speaks protocol version {error.version}, this host "
                f"version {control.PROTOCOL_VERSION}; install the same version of dredge on both"
            ) from None
        except ValueError:
            self.ignored += 1
            return
        for message in messages:
            try:
                heard = self._take(message)
            except ValueError:
                heard = False
            if heard:
                self.heard_s = self._clock()
            else:
                self.ignored += 1

    def _take(self, message: control.Message) -> bool:
        """Return True for a message that the device may send in this state."""
        if message.kind == control.REPORT:
            self._take_report(message)
            return True
        if not message.flags & control.REPLY:
            return False
        asked = (message.kind, message.number) == self._awaited
        if message.kind == control.PROBE:
            self._echo = (message.number, message.body) if asked else self._echo
            return self._took(message.number) or asked
        if message.kind == control.ACK:
            return False
        document = device_report.sound(message.document())
        if asked:
            self._answer, self._awaited = document, None
        elif self.tolerant and message.kind == control.HELLO and "boot" in document:
            self.boot = document["boot"]
        return asked or self.tolerant  # while streaming: answers to `rehello`

    def _take_report(self, message: control.Message) -> None:
        number, _, _, _ = message.chunk()
        final = bool(message.flags & control.FINAL)
        if final:
            self.transmit(fragments.acknowledgement(message))
            if number == self._final_number:
                return
        document = self._incoming.add(message)
        if document is None or document.get("schema") != REPORT_SCHEMA:
            return
        report = device_report.checked(device_report.sound(document))
        self.reports += 1
        self.reported_s = self._clock()
        self.newest, self.boot = report, document.get("boot")
        self._count_arrived(report, self.boot)
        if final:
            self._final_number = number
            self.fault = device_report.fault_of(report) or self.fault
            if self.tolerant:  # the device ended the session because none of our datagrams arrived
                self._count_arrived({}, number)
                self._update({"fault": self.fault})
                self.boot = ("session over", number)
                return
            self.report = report
        self._update(progress_of(report))

    def _count_arrived(self, report: DeviceReport, process: Any) -> None:
        before, arrived = self._arrived
        if process != before:
            self.arrived_before += arrived
        self._arrived = process, (report.get("packets") or {}).get("arrived") or 0

    def _took(self, number: int) -> bool:
        if self._ping is None or self._ping[0] != number:
            return False
        arrived_us = getattr(self.link, "arrived_us", 0)  # links that are read later record the arrival
        arrived_s = arrived_us / 1e6 if arrived_us else self._clock()
        self.round_trip_s, self._ping = max(0.0, arrived_s - self._ping[1]), None
        return True


def progress_of(report: DeviceReport) -> LiveFigures:
    """Return the live figures in a checked report, for dredge_host.live.screen.display.Display.update."""
    state: LiveFigures = {"by_source": report.get("sources"), "loss_pct": report.get("loss_pct")}
    state["report_age_s"] = 0.0
    budget, timeline = report.get("budget"), report.get("timeline")
    if budget:
        state["cpu_p99_us"] = budget["p99_us"]
    if timeline and timeline["delay_ms"]:
        state["delay_ms"] = timeline["delay_ms"][-1][0]
    if timeline and timeline["cpu_us"]:
        state["cpu_us"] = max(timeline["cpu_us"])
    return state
