# SPDX-License-Identifier: BSD-2-Clause
"""The host's half of a live session: greet a device, stream in real time, collect its reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from dredge_device import chunks, control
from dredge_host.audio import Pcm
from dredge_host.errors import UnreachableError, VersionMismatch
from dredge_host.links import Link
from dredge_host.loss import LossModel
from dredge_host.sender import BitrateMeter, Sender
from dredge_host.settings import PACKET_SECONDS, Settings

RETRY_S = 0.25
GREETING_S = 3.0
FINAL_REPORT_S = 8.0  # after playout: the device drains, then repeats its report for 5 s
REPORT_SCHEMA = "dredge-device-report-1"
STALL_S = 0.2  # this far behind, deadlines start anew instead of being caught up in one burst

Update = Callable[[dict[str, Any]], None]


@dataclass
class StreamOutcome:
    """What a stream did. report: the device's final report, None if it never came complete."""

    device: dict[str, Any]
    report: dict[str, Any] | None
    trace: list[bool]
    meter: BitrateMeter
    late_ms: list[float] = field(default_factory=list)


class Session:
    """One conversation with a device agent over a link.

    Control messages are RTCP APP packets on the same link as the media (RFC 5761). `clock` and
    `sleep` replace real time in tests. Errors: UnreachableError (no or a refusing answer),
    VersionMismatch (another protocol or other models).
    """

    def __init__(self, link: Link, clock: Callable[[], float] = time.monotonic, update: Update | None = None) -> None:
        self.link = link
        self.report: dict[str, Any] | None = None
        self._clock = clock
        self._update = update or (lambda state: None)
        self._number = 0
        self._replies: dict[tuple[int, int], dict[str, Any]] = {}
        self._incoming = chunks.Incoming()
        self._final_number: int | None = None

    # --- conversation ---

    def greet(self, models: list[str] | None = None) -> dict[str, Any]:
        """What the device says about itself; with `models`, it must have the same ones."""
        info = self._ask(control.HELLO, {"role": "host"}, GREETING_S)
        theirs = info.get("models")
        if models is not None and theirs != models:
            raise VersionMismatch(
                f"{self.link.url}: the device has the models {theirs}, this host {models}; "
                "install the same version of dredge on both"
            )
        return info

    def configure(self, settings: Settings, ssrc: int, first_sequence: int) -> dict[str, Any]:
        """Tell the device how to play, and where the stream begins."""
        wanted = {
            "playout_ms": settings.playout_ms,
            "conceal": settings.conceal,
            "lbrr": settings.lbrr,
            "ssrc": ssrc,
            "first_sequence": first_sequence,
        }
        return self._ask(control.CONFIGURE, wanted, GREETING_S)

    def goodbye(self, last_sequence: int | None, wait_s: float) -> dict[str, Any] | None:
        """End the stream; returns the final report if it arrives complete within `wait_s`."""
        body = {} if last_sequence is None else {"last_sequence": last_sequence & 0xFFFF}
        self._ask(control.BYE, body, GREETING_S)
        until = self._clock() + wait_s
        while self.report is None and self._clock() < until:
            self.listen(min(until, self._clock() + 0.1))
        if self.report is not None:
            self.listen(self._clock() + 0.05)  # acknowledge repetitions that are on their way
        return self.report

    def _ask(self, kind: int, document: dict[str, Any], timeout: float) -> dict[str, Any]:
        self._number += 1
        request = control.build(control.with_document(kind, self._number, document))
        until = self._clock() + timeout
        while self._clock() < until:
            self.link.send(request)
            retry = self._clock() + RETRY_S
            while self._clock() < retry:
                self.listen(retry, once=True)
                answer = self._replies.pop((kind, self._number), None)
                if answer is not None:
                    return self._accepted(answer)
        raise UnreachableError(f"{self.link.url}: no answer within {timeout:g} s; is `dredge agent` running there?")

    def _accepted(self, answer: dict[str, Any]) -> dict[str, Any]:
        if answer.get("ok") is False:
            raise UnreachableError(f"{self.link.url}: the device refused: {answer.get('error')}")
        return answer

    # --- listening ---

    def listen(self, until: float, once: bool = False) -> None:
        """Handle what arrives until then (or until the first datagram)."""
        while True:
            datagram = self.link.recv(max(0.0, until - self._clock()))
            if datagram is not None:
                self._handle(datagram)
            if once or self._clock() >= until:
                return

    def _handle(self, datagram: bytes) -> None:
        try:
            messages = control.parse(datagram)
        except control.VersionError as error:
            raise VersionMismatch(
                f"{self.link.url}: the device speaks protocol version {error.version}, this host "
                f"version {control.PROTOCOL_VERSION}; install the same version of dredge on both"
            ) from None
        except ValueError:
            return  # not ours: counted nowhere, trusted never
        for message in messages:
            try:
                self._take(message)
            except ValueError:
                continue

    def _take(self, message: control.Message) -> None:
        if message.kind == control.REPORT:
            self._take_report(message)
        elif message.flags & control.REPLY:
            self._replies[message.kind, message.number] = message.document()

    def _take_report(self, message: control.Message) -> None:
        number, _, _, _ = message.chunk()
        final = bool(message.flags & control.FINAL)
        if final:
            self.link.send(chunks.acknowledgement(message))
            if number == self._final_number:
                return
        document = self._incoming.add(message)
        if document is None or document.get("schema") != REPORT_SCHEMA:
            return
        state = progress_of(document)
        if final:
            self._final_number = number
            self.report = document
        self._update(state)


def progress_of(report: dict[str, Any]) -> dict[str, Any]:
    """The live figures in a device report, for dredge_host.meter.Meter.update."""
    state: dict[str, Any] = {"by_source": report.get("sources"), "loss_pct": report.get("loss_pct")}
    timeline = report.get("timeline") or {}
    try:
        if timeline.get("delay_ms"):
            state["delay_ms"] = timeline["delay_ms"][-1][0]
        if timeline.get("cpu_us"):
            state["cpu_us"] = max(timeline["cpu_us"])
    except (AttributeError, TypeError, IndexError, KeyError):
        raise ValueError("the device report has a malformed timeline") from None
    return state


def stream(
    pieces: Iterable[Pcm],
    session: Session,
    settings: Settings,
    loss: LossModel,
    *,
    sender: Sender | None = None,
    models: list[str] | None = None,
    update: Update | None = None,
) -> StreamOutcome:
    """Send int16[320] pieces, one per 20 ms, and wait for the device's final report.

    Packets that `loss` takes are built but not sent. On Ctrl-C the device is told that the stream
    ended, so that its files are complete too, and KeyboardInterrupt goes on.
    """
    sender = sender or Sender(settings.bitrate, settings.redundancy_s, settings.lbrr, settings.loss_pct)
    outcome = StreamOutcome(session.greet(models), None, loss.history, BitrateMeter())
    session.configure(settings, sender.ssrc, sender.first_sequence)
    try:
        _send_all(pieces, session, sender, loss, outcome, update)
    except KeyboardInterrupt:
        _hang_up(session, sender)
        raise
    wait = settings.playout_ms / 1000 + FINAL_REPORT_S
    outcome.report = session.goodbye(sender.first_sequence + sender.index - 1, wait)
    return outcome


def _send_all(
    pieces: Iterable[Pcm],
    session: Session,
    sender: Sender,
    loss: LossModel,
    outcome: StreamOutcome,
    update: Update | None,
) -> None:
    pacer = Deadlines(session)
    for pcm in pieces:
        packet = sender.push(pcm)
        outcome.meter.add(packet.split)
        outcome.late_ms.append(pacer.wait())
        if not loss.lost():
            session.link.send(packet.data)
        if update:
            update(
                {"t_s": sender.index * PACKET_SECONDS, "bitrate_bps": outcome.meter.total()},
            )


class Deadlines:
    """One absolute deadline per packet; while waiting, the session listens."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._clock = session._clock
        self._next = self._clock()

    def wait(self) -> float:
        """Return at the next deadline; the result is how late that is, in ms."""
        self._session.listen(self._next)
        late = self._clock() - self._next
        self._next += PACKET_SECONDS
        if late > STALL_S:
            self._next = self._clock() + PACKET_SECONDS
        return 1000 * max(0.0, late)


def _hang_up(session: Session, sender: Sender) -> None:
    """Best effort: the device is told to end now, without playing what it has buffered."""
    try:
        session.goodbye(None, 2.0)
    except (UnreachableError, VersionMismatch, OSError):
        del sender  # nobody is there to be told
