# SPDX-License-Identifier: BSD-2-Clause
"""A live stream: packets at absolute deadlines, through a network model, over any link."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from dredge_device.pi.schema.documents import Description
from dredge_device.pi.schema.report import DeviceReport
from dredge_device.pi.transport.schemes import scheme_of
from dredge_device.units import PACKET_SECONDS
from dredge_host.errors import UnreachableError, VersionMismatch
from dredge_host.live.checks.serial_check import check_line
from dredge_host.live.control_channel import Update
from dredge_host.live.documents import LineCheck, LiveFigures
from dredge_host.live.session import Session
from dredge_host.sending.audio import Pcm
from dredge_host.sending.loss import LossModel
from dredge_host.sending.network import Network
from dredge_host.sending.sender import BitrateMeter, Sender
from dredge_host.settings import Settings

FINAL_REPORT_S = 8.0  # after playout: the device drains, then repeats its report for 5 s
STALL_S = 0.2  # beyond this delay, deadlines restart instead of being caught up in one burst
SILENT_S = 2.5  # reports come every second; after this long without one the device is greeted again
REHELLO_S = 0.25


class Control(Protocol):
    """The control of a running sender (dredge_host.sending.adaptive_redundancy.AutoRedundancy)."""

    def consider(self, t_s: float, report: Mapping[str, Any], meter: BitrateMeter) -> None: ...


@dataclass
class StreamOutcome:
    """The outcome of a stream. report: the device's final report, None if it never arrived complete.

    dropped: packets that the loss model dropped; sent: datagrams given to the link; refused: those that the link
    refused; withheld: those with speech from before a mute or a change of keys; restarts: how often another device
    process was found at the same address; arrived_before: packets in the reports of earlier processes;
    longest_silence_s: longest time without a report.
    """

    device: Description
    report: DeviceReport | None
    trace: list[bool]
    meter: BitrateMeter
    late_ms: list[float] = field(default_factory=list)
    dropped: int = 0
    sent: int = 0
    refused: int = 0
    withheld: int = 0
    restarts: int = 0
    arrived_before: int = 0
    longest_silence_s: float = 0.0
    line: LineCheck | None = None
    network: dict[str, int] = field(default_factory=dict)
    first_sequence: int = 0  # of the first packet; the device numbers its periods from there


class StreamInterrupted(KeyboardInterrupt):
    """Ctrl-C ended a stream; outcome: what it did until then."""

    def __init__(self, outcome: StreamOutcome) -> None:
        super().__init__()
        self.outcome = outcome


class StreamUnanswered(UnreachableError):
    """The device did not answer the goodbye of a stream; outcome: what is known without its report."""

    def __init__(self, why: str, outcome: StreamOutcome) -> None:
        super().__init__(why)
        self.outcome = outcome


def stream(
    pieces: Iterable[Pcm],
    session: Session,
    settings: Settings,
    loss: LossModel,
    *,
    sender: Sender | None = None,
    models: list[str] | None = None,
    update: Update | None = None,
    network: Network | None = None,
    control: Callable[[Sender], Control] | None = None,
    tap: Callable[[bytes], None] | None = None,
    muted: Callable[[], bool] | None = None,
    live: bool = False,
) -> StreamOutcome:
    """Send int16[320] pieces, one per 20 ms, and wait for the device's final report.

    live: every piece arrives when it is due and is sent at once; otherwise it waits for its deadline here.

    Packets that `loss` drops are built but not sent; `network` delays, reorders and repeats the
    others; `tap` is called with every sent datagram, `muted` once per packet. When it turns true, and
    when the keys change, no speech from before is sent any more (docs/reference/threat-model.md). A device that
    vanishes and comes back is greeted again while the stream goes on. On Ctrl-C the device gets a goodbye when the
    stream ends, so that its files are complete too, and StreamInterrupted is raised with the outcome until then. When
    the device is gone at the end, StreamUnanswered is raised, which has the outcome too.
    """
    sender = sender or Sender.from_settings(settings, live=True)
    outcome = StreamOutcome(
        session.greet(models), None, loss.history, BitrateMeter(), first_sequence=sender.first_sequence
    )
    if scheme_of(session.link.url).needs_probe:
        outcome.line = check_line(session, settings)
    session.configure(settings, sender.ssrc, sender.first_sequence, sender.first_timestamp)
    run = StreamRun(session, sender, loss, outcome, network or Network(), tap, muted, live)
    if control is not None:
        run.control = control(sender)
    try:
        run.all(pieces, update)
    except KeyboardInterrupt:
        outcome.report = _hang_up(session)
        run.count_restart()
        raise StreamInterrupted(outcome) from None
    wait = settings.playout_ms / 1000 + FINAL_REPORT_S
    try:
        outcome.report = session.goodbye(sender.next_sequence - 1, wait, sender.last_timestamp)
    except UnreachableError as error:
        if not session.fault:  # else the device said why it ended, and the outcome is what is known
            raise StreamUnanswered(str(error), outcome) from None
    run.count_restart()
    return outcome


class StreamRun:
    """The loop of one stream: `one` for every packet, or `all`. The session is tolerant meanwhile."""

    def __init__(
        self,
        session: Session,
        sender: Sender,
        loss: LossModel,
        outcome: StreamOutcome,
        network: Network,
        tap: Callable[[bytes], None] | None,
        muted: Callable[[], bool] | None = None,
        live: bool = False,
    ) -> None:
        self._live, self._session, self._sender, self._loss = live, session, sender, loss
        self._outcome, self._network, self._tap, self._muted = outcome, network, tap, muted
        self._clock = session._clock
        self._next: float | None = None
        self._rehelloed = self._clock()
        self._boot = session.boot
        self._considered, self._unsure = 0, False
        self._refusals = session.refused  # refused datagrams that were handled already
        self._media_refused = 0
        self._key_changes = session.key_changes
        self._stale = False  # the current packet holds speech that must not be sent any more
        self.control: Control | None = None

    def all(self, pieces: Iterable[Pcm], update: Update | None) -> None:
        """Send all pieces, then the packets held by the network model."""
        self.begin()
        try:
            for pcm in pieces:
                self.one(pcm)
                if update:
                    update(_figures(self._session, self._sender, self._outcome.meter))
            self.flush()
        finally:
            self.end()

    @property
    def recent_bps(self) -> float:
        """The b/s on the wire over the last second."""
        return self._outcome.meter.recent_total()

    def begin(self) -> None:
        """Begin the stream: from now on a refused datagram is a loss."""
        self._session.tolerant = True
        self._session.heard_s = self._session.reported_s = self._clock()

    def end(self) -> None:
        """End the stream after its last packet, and complete the outcome."""
        self._session.tolerant = False
        self._outcome.arrived_before = self._session.arrived_before
        self._outcome.refused = self._media_refused
        self._outcome.network = self._network.counters()

    def one(self, pcm: Pcm) -> None:
        """Encode and send int16[320], when it is due."""
        self._stale = False
        packet = self._sender.push(pcm)
        outcome = self._outcome
        outcome.meter.add(packet.split)
        late_ms = self._wait()
        if not self._live:
            outcome.late_ms.append(late_ms)
        self._forget()
        if not packet.data:
            self._loss.skip()
        elif self._loss.lost():
            outcome.dropped += 1
        else:
            self._put(packet.data)
        self._release()
        self._look_after_the_device()
        if self.control is not None and self._session.reports != self._considered:
            self._considered = self._session.reports
            self.control.consider(self._sender.index * PACKET_SECONDS, self._session.newest, outcome.meter)

    def _put(self, datagram: bytes) -> None:
        if self._stale:
            self._outcome.withheld += 1
        else:
            self._network.put(self._clock(), datagram)

    def _forget(self) -> None:
        """Forget the speech before a change of keys or a mute, so that no later packet holds it.

        The packets held by the network model are under the old keys, so the device could not read them.
        """
        changes = self._session.key_changes
        if changes != self._key_changes:
            self._key_changes = changes
            self._sender.flush()
            self._outcome.withheld += len(self._network.take(math.inf))
            self._stale = True
        if self._muted is not None:
            muted = self._muted()
            self._stale |= muted and not self._sender.muted
            self._sender.mute(muted)

    def _wait(self) -> float:
        """Wait for the next deadline and return the lateness in ms."""
        if self._live or self._next is None:
            self._next = self._clock()  # the first packet may have taken long to make
        while (due := self._network.due()) is not None and due < self._next:
            self._session.listen(max(due, self._clock()))
            self._release()
        self._session.listen(self._next)
        late = self._clock() - self._next
        self._next += PACKET_SECONDS
        if late > STALL_S:
            self._refusals = -1  # as after a refusal: the device may have ended the session meanwhile
            self._next = self._clock() + PACKET_SECONDS
        return 1000 * max(0.0, late)

    def _release(self) -> None:
        self._forget()
        for datagram in self._network.take(self._clock()):
            if self._session.transmit(datagram):
                self._outcome.sent += 1
                if self._tap:
                    self._tap(datagram)
            else:
                self._media_refused += 1

    def flush(self) -> None:
        """Send the packets that the network model holds at the end of the stream."""
        while (due := self._network.due()) is not None:
            self._session.listen(max(due, self._clock()))
            self._release()

    def count_restart(self) -> bool:
        """Return whether another device process has answered since the last call; the outcome counts it."""
        changed = self._session.boot != self._boot
        self._boot = self._session.boot
        self._outcome.restarts += changed
        return bool(changed)

    def _look_after_the_device(self) -> None:
        """Greet the device after a refusal, a pause of this process or a long silence, until it answers."""
        session, now = self._session, self._clock()
        self._outcome.longest_silence_s = max(self._outcome.longest_silence_s, session.report_age_s or 0.0)
        if self.count_restart():
            session.rehello()
        self._unsure = session.refused > self._refusals or (self._unsure and session.heard_s <= self._rehelloed)
        unheard = self._unsure or now - session.heard_s > SILENT_S
        if unheard and now - self._rehelloed > REHELLO_S:
            self._rehelloed = now
            self._refusals = session.refused
            session.rehello()


def _figures(session: Session, sender: Sender, meter: BitrateMeter) -> LiveFigures:
    """Return the displayed figures of this end, and the age of the device's figures."""
    return {
        "t_s": round(sender.index * PACKET_SECONDS, 2),
        "bitrate_bps": meter.recent_total(),
        "split_bps": meter.recent(),
        "redundancy_s": sender.redundancy_s,
        "muted": sender.muted,
        "report_age_s": session.report_age_s,
    }


def _hang_up(session: Session) -> DeviceReport | None:
    """End the device's session now, without playing its buffer; return its final report if one arrives."""
    try:
        return session.goodbye(None, 2.0)
    except (UnreachableError, VersionMismatch, OSError):
        return None  # the device is unreachable
