# SPDX-License-Identifier: BSD-2-Clause
"""Slots for streams: how they are given and freed."""

from collections.abc import Callable
from typing import Any

from dredge_device import agent as states
from dredge_device.agent import Agent
from dredge_device.pi.service.notices import Notices
from dredge_device.pi.service.session_log import OUTPUT_FAILED, SessionLog
from dredge_device.pi.service.streams.final_reports import FinalReports, Outgoing
from dredge_device.pi.service.streams.rendering import PLAYING, StreamSession
from dredge_device.pi.transport.addresses import network_of
from dredge_device.pi.transport.errors import refusal

_ENDED_US = 1_000_000  # late packets of a stream that said goodbye begin no new stream within this time
_ENDED = 9  # remembered streams that said goodbye


class StreamSlots:
    """Up to ``most`` stream sessions; ``make`` builds the one with this index.

    A new peer gets a free slot, a new one, one whose session has said goodbye (its buffer is
    still played), or one whose peer is silent.
    """

    def __init__(self, make: Callable[[int], StreamSession], most: int, notices: Notices, log: SessionLog) -> None:
        self._make = make
        self._most = most
        self._notices, self.log = notices, log
        self._ended: list[tuple[int, int]] = []  # (SSRC, until when) of streams that said goodbye
        self._over = 0  # sessions that ended in their slot
        self.lost_outputs = 0  # outputs that failed while their session ran
        self.final_reports = FinalReports()
        self.streams = [make(0)]

    @property
    def ended(self) -> int:
        """The number of ended sessions whose reports are delivered or given up."""
        return self._over + self.final_reports.ended

    @property
    def agents(self) -> list[tuple[StreamSession, Agent]]:
        """The slot and the agent of every session; leaving agents come after their successors."""
        return [(s, a) for s in self.streams for a in (s.agent, s.leaving) if a is not None]

    @property
    def playing(self) -> list[StreamSession]:
        """The slots in which speech is played."""
        return [s for s in self.streams if s.player.state in PLAYING]

    def of(self, peer: Any, ssrc: int | None = None) -> tuple[StreamSession | None, Agent | None]:
        """Return the session of this peer: the one with this SSRC, else the newer one if an older one is leaving."""
        own = [(s, a) for s, a in self.agents if a.state != states.IDLE and a.peer == peer]
        if len(own) > 1:
            own.sort(key=lambda pair: (ssrc is None or pair[1].media.ssrc != ssrc, pair[1].state != states.ACTIVE))
        return own[0] if own else (None, None)

    def idle(self) -> Agent | None:
        """Return the agent of a slot without a session."""
        return next((s.agent for s in self.streams if s.agent.state == states.IDLE), None)

    def is_over(self, ssrc: int, now_us: int) -> bool:
        """Return whether a stream with this SSRC has just said goodbye."""
        self._ended = [(ended, until) for ended, until in self._ended if until > now_us]
        return ssrc in (ended for ended, _ in self._ended)

    def find(self, peer: Any, now_us: int, media: bool = False) -> StreamSession | None:
        """Return a slot whose agent is free to begin a session with this peer, which has sent media or a request."""
        for stream in self.streams:
            if stream.agent.state == states.REPORTING and stream.leaving is None:
                self._release(stream)
        for stream in self.streams:
            if stream.agent.state == states.IDLE and stream.leaving is None and self._fit(stream):
                return stream
        if len(self.streams) < self._most:
            self.streams.append(self._make(len(self.streams)))
            return self.streams[-1]
        for stream in self.streams:
            if stream.agent.state == states.DRAINING and stream.leaving is None:
                stream.leaving, stream.agent = stream.agent, stream.agent.successor()
                return stream
        for stream in self.streams:
            agent = stream.agent
            same = media and network_of(agent.peer) == network_of(peer) and agent.paused(now_us)
            if stream.leaving is None and (same or agent.yields(now_us)):
                agent.end("silence")
                self._release(stream)
                return stream if self._fit(stream) else None
        return None

    def due(self, stream: StreamSession, now_us: int) -> Outgoing:
        """Return the datagrams due now for the host in this slot; ended sessions leave it."""
        if stream.leaving is not None:
            leaving = stream.leaving
            out = [(datagram, leaving.peer) for datagram in leaving.tick(now_us)]
            if leaving.state == states.REPORTING:
                self.let_go(stream)
            return out
        agent, peer = stream.agent, stream.agent.peer
        out = [(datagram, peer) for datagram in agent.tick(now_us)]
        self._tell_begin(agent, now_us)
        if agent.state == states.REPORTING:
            self._tell_end(agent, now_us)
            if agent.over():
                self.free(stream)
        return out

    def free(self, stream: StreamSession) -> None:
        """Free the slot after its session has ended and was reported."""
        self._over += 1
        stream.agent.renew()

    def let_go(self, stream: StreamSession) -> None:
        """Give the output to the waiting session, after the previous one was played out or cut short."""
        agent, stream.leaving = stream.leaving, None
        if agent is not None:
            agent.end("goodbye")
            self._part(agent)

    def lose_output(self, stream: StreamSession, error: OSError) -> None:
        """End the session whose output failed; the others go on."""
        self.lost_outputs += 1
        self._notices.warn("output", f"the output failed, its session ends: {refusal(error)}")
        for agent in (stream.leaving, stream.agent):
            if agent is not None:
                self._tell_begin(agent, agent.heard_us)  # its first period may be the one that failed
                agent.end(OUTPUT_FAILED, refusal(error))
        output, stream.output = stream.output, None
        if output is not None:
            try:
                output.discard()
            except OSError:
                return  # the host has been told already

    def _fit(self, stream: StreamSession) -> bool:
        """Return whether the slot has an output; a failed one is replaced as soon as possible."""
        if stream.output is None:
            try:
                fresh = self._make(self.streams.index(stream))
            except (OSError, RuntimeError) as error:
                why = refusal(error) if isinstance(error, OSError) else str(error)
                self._notices.warn("output", f"the output cannot be opened: {why}")
                return False
            stream.agent, stream.output = fresh.agent, fresh.output
        return True

    def _release(self, stream: StreamSession) -> None:
        """Free the slot at once; ``FinalReports`` sends the final report of its session."""
        self._part(stream.agent)
        stream.agent.renew()

    def _part(self, agent: Agent) -> None:
        self._tell_end(agent, agent.heard_us)
        self.final_reports.add(agent.peer, agent.reports.hand_over())

    def _tell_begin(self, agent: Agent, now_us: int) -> None:
        if agent.state in PLAYING and agent.media.ssrc is not None and not self.log.knows(agent):
            self.log.began(agent, now_us)

    def _tell_end(self, agent: Agent, now_us: int) -> None:
        if self.log.ended(agent, now_us) and agent.media.ssrc is not None and agent.why == "goodbye":
            self._ended = [*self._ended[1 - _ENDED :], (agent.media.ssrc, now_us + _ENDED_US)]
