# SPDX-License-Identifier: BSD-2-Clause
"""The sending half of a talk: it calls the other end, sends the source's speech, and calls again when the other end is
gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dredge_device.pi.clock import microseconds
from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.schema.report import TalkPart
from dredge_device.pi.transport.schemes import scheme_of
from dredge_host.audio_io.source import Source
from dredge_host.errors import UnreachableError
from dredge_host.links.link import Link
from dredge_host.live.checks.serial_check import check_line
from dredge_host.live.result import accounting
from dredge_host.live.session import Session
from dredge_host.live.stream import StreamOutcome, StreamRun
from dredge_host.sending.adaptive_redundancy import AutoRedundancy
from dredge_host.sending.loss import LossModel, parse_loss
from dredge_host.sending.network import Network
from dredge_host.sending.sender import BitrateMeter, Sender
from dredge_host.talk.delay import SendDelay, path
from dredge_host.talk.documents import CallAccounting, PathDelay
from dredge_host.talk.options import TalkOptions
from dredge_host.talk.shared_endpoint import PeerLink, SharedEndpoint, StoppedError
from dredge_host.talk.signal.endless_source import EndlessSource

_AGAIN_S = 0.3  # between two unanswered calls
_GONE_S = 6.0  # an end without reports for this long is called again
_PROBE_S = 1.0
_FINAL_S = 8.0  # after playout: the other end drains, then repeats its report for 5 s


class SendingHalf:
    """The sending half of a talk: `run` in a thread; the figures may be read from others.

    peer: the end to call, None while unknown; hung_up: True when the other end has said goodbye; gate: returns the
    samples to send for int16[320]; muted: asked once per packet; secure: wraps the link with keys; may_send: see
    PeerLink.
    """

    def __init__(
        self,
        shared: SharedEndpoint,
        options: TalkOptions,
        source: Source,
        *,
        peer: Callable[[], Any | None],
        hung_up: Callable[[], bool],
        gate: Callable[[Pcm], Pcm],
        muted: Callable[[], bool],
        secure: Callable[[Link], Link],
        may_send: Callable[[bytes, Any], bool],
        models: list[str] | None,
    ) -> None:
        self._shared, self._options, self._source = shared, options, EndlessSource(source)
        self._peer, self._hung_up, self._gate, self._muted = peer, hung_up, gate, muted
        self._secure, self._may_send, self._models = secure, may_send, models
        self.level = self._source.level
        self.state = "waiting"  # waiting, calling, talking
        self.calls = 0
        self.turns = 0  # counter that grows while this half is alive
        self.first_s: float | None = None  # time of the first answered call, time.monotonic
        self.problem = ""  # why the last call failed
        self.accounting: CallAccounting | None = None  # of the last call
        self.session: Session | None = None
        self.delay: SendDelay | None = None
        self.bitrate_bps = 0.0  # of the last second
        self._loss: LossModel = parse_loss(options.settings.loss, options.settings.seed)

    def run(self, stop: Callable[[], bool]) -> None:
        """Call and send until `stop` returns True; then say goodbye and wait for the other end's report."""
        while not stop():
            self.turns += 1
            peer = self._peer()
            if peer is None or self._hung_up():
                self.state = "waiting"
                time.sleep(0.02)
                continue
            try:
                self._call(peer, stop)
            except StoppedError:
                return
            except UnreachableError as error:
                self.problem = str(error)
                self._rest(stop)

    def path(self) -> PathDelay:
        """Return the delays of this end's speech (dredge_host.talk.delay)."""
        if self.delay is None or self.session is None:
            return path(None, None, None)
        return path(self.delay.report(), self.delay.network_us, self._reported().get("received"))

    def send_delay_there(self) -> dict[str, float] | None:
        """Return the other end's part of the delay of its speech, from its report."""
        return self._reported().get("sent")

    def _reported(self) -> TalkPart:
        told = self.session.newest.get("talk") if self.session is not None else None
        return told or {}

    def _rest(self, stop: Callable[[], bool]) -> None:
        until = time.monotonic() + _AGAIN_S
        while time.monotonic() < until and not stop():
            time.sleep(0.02)

    def _call(self, peer: Any, stop: Callable[[], bool]) -> None:
        self.state = "calling"
        settings = self._options.settings
        proven = False
        near = PeerLink(self._shared, peer, lambda datagram: proven or self._may_send(datagram, peer))
        link = self._secure(near)
        session = Session(link)
        told = session.greet(self._models)
        if scheme_of(link.url).needs_probe:
            check_line(session, settings)
        sender = Sender.from_settings(settings, live=True)
        session.configure(settings, sender.ssrc, sender.first_sequence, sender.first_timestamp)
        proven = True
        self.delay, self.session = SendDelay(sender.lookahead), session
        self.calls += 1
        self.first_s = self.first_s or time.monotonic()
        self.problem = ""
        self.state = "talking"
        outcome = StreamOutcome(told, None, [], BitrateMeter())
        options = self._options
        network = Network(options.delay, options.jitter, options.reorder, options.duplicate, settings.seed)
        run = StreamRun(session, sender, self._loss, outcome, network, None, self._muted, live=True)
        steering = AutoRedundancy(sender, settings.playout_ms, options.cap_bps) if options.auto else None
        run.control = steering
        try:
            self._speak(run, session, near, steering, stop)
            wait_s = settings.playout_ms / 1000 + _FINAL_S
            outcome.report = session.goodbye(sender.next_sequence - 1, wait_s, sender.last_timestamp)
        finally:
            sender.close()
            self.accounting = {**accounting(outcome), "bitrate_total_bps": outcome.meter.total()}

    def _speak(
        self,
        run: StreamRun,
        session: Session,
        near: PeerLink,
        steering: AutoRedundancy | None,
        stop: Callable[[], bool],
    ) -> None:
        """Send until `stop` returns True or the other end has hung up. Raises UnreachableError when it is gone."""
        self._source.flush()
        run.begin()
        probed = 0.0
        try:
            while not stop() and not self._hung_up():
                pcm = self._source.next()
                self.turns += 1
                begin = time.monotonic()
                backlog_us = self._source.backlog_us
                run.one(self._gate(pcm))
                self._loss.history.clear()  # bounds the memory of a talk that lasts for weeks
                if steering is not None:
                    steering.log.clear()
                self.bitrate_bps = run.recent_bps
                now = time.monotonic()
                assert self.delay is not None
                self.delay.packet(backlog_us, microseconds(now - begin))
                while near.pending:
                    session.listen(now, once=True)
                if now - probed > _PROBE_S:
                    probed = now
                    session.ping()
                if session.round_trip_s is not None:
                    self.delay.round_trip(microseconds(session.round_trip_s))
                    session.round_trip_s = None
                if now - session.heard_s > _GONE_S:
                    raise UnreachableError(f"{near.url}: {near.trouble or f'not heard for {_GONE_S:g} s'}")
            run.flush()
        finally:
            run.end()
