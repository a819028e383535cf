# SPDX-License-Identifier: BSD-2-Clause
"""The host's half of a conversation with a device: greet it, configure it, collect its reports."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dredge_device import control, fragments
from dredge_device.pi.transport.schemes import scheme_of
from dredge_host.errors import UnreachableError, VersionMismatch
from dredge_host.links.link import Link
from dredge_host.live import device_report
from dredge_host.live.report_schema import DeviceReport
from dredge_host.settings import Settings

RETRY_S = 0.25
GREETING_S = 3.0
REPORT_SCHEMA = "dredge-device-report-1"
REQUEST_BYTES = 1100  # requests over UDP are this long: a device never answers more than it was sent

Update = Callable[[dict[str, Any]], None]


class Session:
    """One conversation with a device agent over a link.

    Control messages are RTCP APP packets on the same link as the media (RFC 5761). `clock` and
    `sleep` replace real time in tests. Errors: UnreachableError (no or a refusing answer),
    VersionMismatch (another protocol or other models).
    """

    def __init__(self, link: Link, clock: Callable[[], float] = time.monotonic, update: Update | None = None) -> None:
        self.link = link
        self.report: DeviceReport | None = None
        self._clock = clock
        self._update = update or (lambda state: None)
        self._number = 0
        self._incoming = fragments.Incoming()
        self._final_number: int | None = None
        self.device: dict[str, Any] = {}
        self.heard_s = self._clock()  # when the device was last heard
        self.reported_s = self._clock()  # when its last report came
        self.boot: Any = None  # identity of the device process; another one means it started anew
        self.tolerant = False  # a stream is running: a refused datagram is a loss, not the end
        self.refused = 0
        self.reports = 0
        self.newest: DeviceReport = {}  # the newest report
        self.ignored = 0  # datagrams that say nothing that was asked, or nothing that may be believed
        self._awaited: tuple[int, int] | None = None  # kind and number of the request that waits for its answer
        self._answer: dict[str, Any] | None = None
        self._echo: tuple[int, bytes] | None = None
        self._pinged: tuple[int, float] | None = None
        self.trip_s: float | None = None  # of the last `ping` that came back
        self._wanted: dict[str, Any] = {}

    # --- conversation ---

    def greet(self, models: list[str] | None = None) -> dict[str, Any]:
        """What the device says about itself; with `models`, it must have the same ones."""
        info = self._ask(control.HELLO, {"role": "host"}, GREETING_S)
        self.device, self.boot = info, info.get("boot")
        theirs = info.get("models")
        # A probe reads headers only and has no models.
        if models is not None and info.get("role") != "probe" and theirs != models:
            raise VersionMismatch(
                f"{self.link.url}: the device has the models {theirs}, this host {models}; "
                "install the same version of dredge on both"
            )
        return info

    def configure(
        self, settings: Settings, ssrc: int, first_sequence: int, first_timestamp: int = 0
    ) -> dict[str, Any]:
        """Tell the device how to play, and where the stream begins."""
        self._wanted = {
            **settings.for_session(),
            "ssrc": ssrc,
            "first_sequence": first_sequence,
            "first_timestamp": first_timestamp,
        }
        self.report = None  # a final report that came before is the last word of somebody else's session
        return self._ask(control.CONFIGURE, self._wanted, GREETING_S)

    @property
    def key_changes(self) -> int:
        """How often the link got other keys since its first ones; 0 without keys."""
        return int(getattr(self.link, "key_changes", 0))

    def rehello(self) -> None:
        """While streaming: greet and configure again without waiting, in case the device restarted."""
        renew = getattr(self.link, "renew", None)
        self._number += 2
        for step, (kind, document) in enumerate(((control.HELLO, {"role": "host"}), (control.CONFIGURE, self._wanted))):
            self.transmit(self._request(kind, self._number - 1 + step, document))
        if renew is not None:
            self._tolerantly(renew)

    def transmit(self, datagram: bytes) -> bool:
        """Send; while streaming a refusal is counted instead of raised. True when it went out."""
        return self._tolerantly(lambda: self.link.send(datagram))

    def _tolerantly(self, work: Callable[[], None]) -> bool:
        """The one rule of everything that is sent: while streaming, nobody there is a loss and not the end."""
        try:
            work()
        except UnreachableError:
            if not self.tolerant:
                raise
            self.refused += 1
            return False
        return True

    def probe(self, body: bytes, timeout: float = 1.0) -> float | None:
        """Seconds until the device has sent these bytes back unchanged; None if it did not."""
        self._number += 1
        begin = self._clock()
        self._echo = None
        self._awaited = control.PROBE, self._number & 0xFFFF
        self.link.send(control.build(control.Message(control.PROBE, self._number, body)))
        while self._clock() - begin < timeout:
            self.listen(begin + timeout, once=True)
            if self._echo == (self._number & 0xFFFF, body):
                return self._clock() - begin
        return None

    def ping(self) -> None:
        """A probe that nobody waits for; `trip_s` is set when it comes back."""
        self._number += 1
        self._pinged = (self._number & 0xFFFF, self._clock())
        self.transmit(control.build(control.Message(control.PROBE, self._number)))

    def _took(self, number: int) -> bool:
        if self._pinged is None or self._pinged[0] != number:
            return False
        arrived_us = getattr(self.link, "arrived_us", 0)  # links that look later than datagrams arrive say when
        arrived_s = arrived_us / 1e6 if arrived_us else self._clock()
        self.trip_s, self._pinged = max(0.0, arrived_s - self._pinged[1]), None
        return True

    def goodbye(self, last_sequence: int | None, wait_s: float, timestamp: int | None = None) -> DeviceReport | None:
        """End the stream; returns the final report if it arrives complete within `wait_s`."""
        body = {} if last_sequence is None else {"last_sequence": last_sequence & 0xFFFF}
        if timestamp is not None:
            body["last_timestamp"] = timestamp
        self._ask(control.BYE, body, GREETING_S)
        until = self._clock() + wait_s
        while self.report is None and self._clock() < until:
            self.listen(min(until, self._clock() + 0.1))
        if self.report is not None:
            self.listen(self._clock() + 0.05)  # acknowledge repetitions that are on their way
        return self.report

    def _ask(self, kind: int, document: dict[str, Any], timeout: float) -> dict[str, Any]:
        self._number += 1
        request = self._request(kind, self._number, document)
        self._awaited, self._answer = (kind, self._number & 0xFFFF), None
        until = self._clock() + timeout
        while self._clock() < until:
            self.link.send(request)
            retry = self._clock() + RETRY_S
            while self._clock() < retry:
                self.listen(retry, once=True)
                if self._answer is not None:
                    return self._accepted(self._answer)
        raise UnreachableError(f"{self.link.url}: no answer within {timeout:g} s; is `dredge agent` running there?")

    def _request(self, kind: int, number: int, document: dict[str, Any]) -> bytes:
        bare = control.build(control.with_document(kind, number, document))
        if not scheme_of(self.link.url).may_amplify:
            return bare
        padding = "." * max(0, REQUEST_BYTES - len(bare))
        return control.build(control.with_document(kind, number, {**document, "padding": padding}))

    def _accepted(self, answer: dict[str, Any]) -> dict[str, Any]:
        if answer.get("ok") is False:
            raise UnreachableError(f"{self.link.url}: the device refused: {answer.get('error')}")
        return answer

    @property
    def report_age_s(self) -> float | None:
        """Seconds since the device's last report; None where none is expected."""
        return round(max(0.0, self._clock() - self.reported_s), 2)

    # --- listening ---

    def listen(self, until: float, once: bool = False) -> None:
        """Handle what arrives until then (or until the first datagram)."""
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
        """The door: what is not asked for, not well formed or not to be believed is counted and has no effect."""
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
        """True when the message is one that a device says now."""
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
        if final:
            self._final_number = number
            if self.tolerant:  # the device gave the session up while nothing of ours arrived
                self.boot = ("session over", number)
                return
            self.report = report
        self._update(progress_of(report))


def progress_of(report: DeviceReport) -> dict[str, Any]:
    """The live figures in a checked report, for dredge_host.live.screen.display.Display.update."""
    state: dict[str, Any] = {"by_source": report.get("sources"), "loss_pct": report.get("loss_pct")}
    state["report_age_s"] = 0.0
    budget, timeline = report.get("budget"), report.get("timeline")
    if budget:
        state["cpu_p99_us"] = budget["p99_us"]
    if timeline and timeline["delay_ms"]:
        state["delay_ms"] = timeline["delay_ms"][-1][0]
    if timeline and timeline["cpu_us"]:
        state["cpu_us"] = max(timeline["cpu_us"])
    return state
