# SPDX-License-Identifier: BSD-2-Clause
"""The receiving half of a talk: the device's agent and receiver, which renders ahead for the output."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

from dredge_device import agent as states
from dredge_device import control
from dredge_device.agent import Agent
from dredge_device.pi.clock import microseconds, monotonic_us
from dredge_device.pi.factory import ModelCache
from dredge_device.pi.machine import Machine
from dredge_device.pi.schema.documents import Description, SessionRequest
from dredge_device.pi.schema.report import DeviceReport, OutputReport, TalkPart
from dredge_device.pi.security.access import Access
from dredge_device.pi.service.building import calibration_for, expected_costs, make_receiver
from dredge_device.pi.service.capabilities import describe
from dredge_device.pi.service.governor import Governor
from dredge_device.pi.service.options import AUTO
from dredge_device.pi.service.pacer import Pacer
from dredge_device.pi.service.session_log import SessionLog
from dredge_device.pi.service.streams.sessions import Sessions, StreamSession
from dredge_device.pi.status.reporter import StatusReporter
from dredge_host.settings import Settings
from dredge_host.talk.delay import ReceiveDelay
from dredge_host.talk.documents import LastSession
from dredge_host.talk.loudspeaker import Loudspeaker
from dredge_host.talk.shared_endpoint import SharedEndpoint
from dredge_models.vocoders import DEFAULT

_SHOWN = 50  # periods between two updates of the figures, which another thread shows
SILENT_S = 5.0  # an end silent for this long is gone, and the next caller is answered


class _MeasuredReceiver:
    """A receiver whose periods are timed and whose reports carry this end's part of the delays."""

    def __init__(self, receiver: Any, delay: ReceiveDelay, about: Callable[[], TalkPart]) -> None:
        self._receiver, self._delay, self._about = receiver, delay, about

    def __getattr__(self, name: str) -> Any:
        return getattr(self._receiver, name)

    def render(self, *arguments: Any) -> Any:
        played = self._receiver.render(*arguments)
        for frame in played.frames:
            self._delay.playout.add(frame.delay_us)
        return played

    def report(self) -> DeviceReport:
        return {**self._receiver.report(), "talk": self._about()}


class ReceivingHalf:
    """The receiving half of a talk: `run` in a thread; `peer` and `hung_up` may be read from others.

    about: further parts of the reports to the other end. Raises the models' errors.
    """

    def __init__(
        self,
        shared: SharedEndpoint,
        access: Access,
        settings: Settings,
        speaker: Loudspeaker,
        about: Callable[[], TalkPart],
    ) -> None:
        self._shared, self._access, self._speaker = shared, access, speaker
        self._about = about
        self.delay = ReceiveDelay()
        self.last: LastSession = {}  # the report of the last session, once it has ended
        self.figures: DeviceReport = {}  # figures of the running session, at most a second old, or of the last one
        self.sessions_ended = 0
        self.closing = False  # this end is leaving, so requests for a session are not answered
        self.turns = 0  # periods of 20 ms, with or without a session
        self._cache = ModelCache()
        measured = calibration_for("", Machine())  # a talk does not begin with a measurement
        self._vocoder = settings.known_vocoder(measured.choice.vocoder if measured is not None else DEFAULT)
        expected = expected_costs(self._vocoder, measured)
        self.governor = Governor(monotonic_us, lambda: time.thread_time_ns() // 1000, expected)
        self._options: SessionRequest = {**settings.for_session(), "lbrr": True}  # the other end may send copies
        self.info: Description = {**describe(), "boot": secrets.token_hex(4), "vocoder": self._vocoder}
        first = Agent(self._make_receiver, self._options, self.info, on_end=self._ended, on_report=self._reported)
        self._sessions = Sessions(lambda index: StreamSession(first, speaker, clock=speaker.clock), 1, self.governor)
        self.status: StatusReporter | None = None
        self._heard_us = monotonic_us()
        self._pacer = Pacer(sleep=self._answer_until)

    @property
    def _agent(self) -> Agent:
        """The agent of the newest session."""
        return self._sessions.streams[0].agent

    @property
    def log(self) -> SessionLog:
        """The log of the sessions."""
        return self._sessions.log

    def rekeyed(self, peer: Any) -> None:
        """Note that a peer has new keys (dredge_device.pi.security.access.KeyedAccess)."""
        self._sessions.rekeyed(peer)

    @property
    def peer(self) -> Any | None:
        """The peer of the running session, None without one."""
        return self._agent.peer if self._agent.state in (states.ACTIVE, states.DRAINING) else None

    @property
    def silent_s(self) -> float | None:
        """Seconds since the other end's last datagram; None without a session."""
        return None if self.peer is None else round(max(0.0, (monotonic_us() - self._heard_us) / 1e6), 2)

    @property
    def hung_up(self) -> bool:
        """True from the other end's goodbye until the buffer is played."""
        return self._agent.state in (states.DRAINING, states.REPORTING)

    @property
    def idle(self) -> bool:
        """True while there is no session and no report to deliver."""
        return self._agent.state == states.IDLE

    def run(self, stop: Callable[[], bool]) -> None:
        """Render period after period until `stop` returns True; then end the session and report it."""
        self._pacer = Pacer(sleep=self._answer_until)
        while not stop():
            self._answer()
            if self._pacer.passed():
                self._tick(self._pacer.ticked_us)
            if not self._sessions.render(monotonic_us()):
                self._pacer.sleep()
        self._last_words()

    def _tick(self, now_us: int) -> None:
        """Do the work of one period of 20 ms."""
        self._send(self._sessions.tick(now_us))
        if self.status is not None:
            self.status.tick(now_us)
        if self._sessions.streams[0].receiver is None:
            self._speaker.idle()
        self._look_after_silence()
        self.turns += 1
        if self.turns % _SHOWN == 0 and self.peer is not None:
            self.figures = self._agent.receiver.report()

    def _make_receiver(self, options: SessionRequest) -> Any:
        wanted: SessionRequest = {**options, "vocoder": self._vocoder} if options["vocoder"] == AUTO else options
        return _MeasuredReceiver(make_receiver(wanted, self._cache), self.delay, self._about)

    def _answer_until(self, seconds: float) -> None:
        """Wait this long and answer requests at once meanwhile, because the other end measures round trips by them."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._shared.asked.wait(left):
                self._shared.asked.clear()
                self._answer()

    def _answer(self) -> None:
        """Answer the datagrams since the last period."""
        questions = self._shared.questions
        while questions:
            datagram, peer, now_us = questions.popleft()
            clear, answers = self._access.receive(datagram, peer, now_us)
            for answer in answers:
                self._shared.send(answer, peer)
            if clear is not None and not (self.closing and _calls(clear)):
                self._heard_us = now_us if peer == self._agent.peer else self._heard_us
                self._send([(answer, peer) for answer in self._sessions.handle(clear, peer, now_us)])

    def _send(self, datagrams: list[tuple[bytes, Any]]) -> None:
        for datagram, peer in datagrams:
            wrapped = self._access.wrap(datagram, peer)
            if wrapped is not None:
                self._shared.send(wrapped, peer)

    def _look_after_silence(self) -> None:
        if self._agent.state == states.ACTIVE and monotonic_us() - self._heard_us > microseconds(SILENT_S):
            self._sessions.interrupt()
            self._sessions.give_up()

    def _last_words(self, longest_s: float = 1.0) -> None:
        """Complete the output and try to deliver the final report."""
        self._sessions.interrupt()
        until = time.monotonic() + longest_s
        while self._sessions.reporting and time.monotonic() < until:
            self._answer()
            self._send(self._sessions.report(monotonic_us()))
            time.sleep(0.02)
        self._sessions.give_up()

    def _reported(self, agent: Agent, report: DeviceReport, now_us: int) -> None:
        self._sessions.log.reported(agent, report, now_us)

    def _ended(self) -> OutputReport:
        pacing = self._pacer.session(self.governor.late())
        output: OutputReport = {**self._speaker.close(), "pacing": pacing}
        self.last = {**self._agent.receiver.report(), "timeline": self._agent.reports.timeline.part(),
                     "output": output, "governor": self.governor.report()}  # fmt: skip
        self.figures = self.last
        self.sessions_ended += 1
        return output


def _calls(datagram: bytes) -> bool:
    """Return whether the datagram asks for a session."""
    try:
        messages = control.parse(datagram)
    except ValueError:
        return False
    return any(m.kind in (control.HELLO, control.CONFIGURE) and not m.flags & control.REPLY for m in messages)
