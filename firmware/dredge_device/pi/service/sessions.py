# SPDX-License-Identifier: BSD-2-Clause
"""Who is heard: one agent, receiver and output for every stream, up to a limit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dredge_device import agent as states
from dredge_device import control, rtcp, rtp
from dredge_device.agent import Agent
from dredge_device.pi.service.admission import Candidates
from dredge_device.pi.service.governor import Governor
from dredge_device.pi.service.notices import Notices
from dredge_device.pi.service.pacer import monotonic_us
from dredge_device.pi.service.rendering import PLAYING, Rendering, StreamSession
from dredge_device.pi.service.session_log import SessionLog
from dredge_device.pi.transport.addresses import name_of, place_of

__all__ = ["Sessions", "StreamSession"]

Outgoing = list[tuple[bytes, Any]]  # datagrams and the peers they are for

_FAREWELLS = 8  # final reports on their way after their place was given to another session
_ENDED_US = 1_000_000  # stragglers of a stream that said goodbye begin no new one within this time


@dataclass
class _Farewell:
    peer: Any
    outgoing: list[Any] = field(default_factory=list)


class Sessions:
    """The one place that decides who is heard; ``make`` builds the station with this index.

    A peer that asks (hello, configure), or whose RTP is credible, gets a place: a free one, a new one up to ``most``,
    one whose session has said goodbye (what it has buffered is still played), or one whose peer is silent. Everybody
    else is told that there is none. The governor, if there is one, says how much work a stream may be, and turns
    hosts away when there is no time for another stream.
    """

    def __init__(
        self,
        make: Callable[[int], StreamSession],
        most: int = 1,
        governor: Governor | None = None,
        notices: Notices | None = None,
        candidates: Candidates | None = None,
        clock: Callable[[], int] = monotonic_us,
    ) -> None:
        self._make = make
        self._most = most
        self._governor = governor
        self._notices = notices or Notices(lambda line: None)
        self.log = SessionLog(self._notices, governor)
        self._candidates = candidates or Candidates()
        self._rendering = Rendering(governor, self._lose_output, clock)
        self._farewells: list[_Farewell] = []
        self._ended: list[tuple[int, int]] = []  # (SSRC, until when) of streams that said goodbye
        self.sessions_ended = 0  # sessions that are over, with their reports
        self._full = f"all {most} streams of the device are in use" if most > 1 else "another host is using me"
        self.stations = [make(0)]

    # --- who is heard ---

    @property
    def peers(self) -> frozenset[Any]:
        """The peers of running sessions."""
        return frozenset(agent.peer for _, agent in self._agents() if agent.state in PLAYING)

    def handle(self, datagram: bytes, peer: Any, now_us: int) -> list[bytes]:
        """Answers to one datagram, for the same peer."""
        station, agent = self._of(peer)
        if rtp.is_rtcp(datagram):
            return self._control(station, agent, datagram, peer, now_us)
        if station is None or agent is None or not _takes(agent, datagram):
            return self._stranger(datagram, peer, now_us)
        return agent.handle(datagram, peer, now_us)

    def rekeyed(self, peer: Any) -> None:
        """This peer has new keys: what its receiver knows of the stream under the old ones is not used any more."""
        agent = self._of(peer)[1]
        if agent is not None:
            agent.media.rekeyed()

    def _agents(self) -> list[tuple[StreamSession, Agent]]:
        return [(s, a) for s in self.stations for a in (s.agent, s.leaving) if a is not None]

    def _of(self, peer: Any) -> tuple[StreamSession | None, Agent | None]:
        """The session of this peer; the newer one, while an older one of the same peer is leaving."""
        for station, agent in self._agents():
            if agent.state != states.IDLE and agent.peer == peer:
                return station, agent
        return None, None

    def _control(
        self, station: StreamSession | None, agent: Agent | None, datagram: bytes, peer: Any, now_us: int
    ) -> list[bytes]:
        try:
            packets = rtcp.split(datagram)
            messages = control.messages_of(packets)
        except ValueError:  # damaged, or of another version: any agent answers that alike
            return (agent or self.stations[0].agent).handle(datagram, peer, now_us)
        self._acknowledged(messages, peer)
        if agent is None or (agent.state == states.REPORTING and _begins(messages)):
            return self._asked(packets, messages, datagram, peer, now_us)
        if station is not None and station.leaving not in (None, agent) and _says_bye(messages):
            self._let_go(station)  # its own session ends before the one before it: that one is cut short
        return agent.handle(datagram, peer, now_us)

    def _acknowledged(self, messages: list[control.Message], peer: Any) -> None:
        for message in messages:
            if message.kind == control.ACK:
                try:
                    report, index, _, _ = message.chunk()
                except ValueError:
                    continue
                for farewell in self._farewells:
                    for outgoing in farewell.outgoing if farewell.peer == peer else ():
                        outgoing.acknowledge(report, index)

    def _asked(
        self, packets: list[Any], messages: list[control.Message], datagram: bytes, peer: Any, now_us: int
    ) -> list[bytes]:
        """RTCP of a peer without a session."""
        self._goodbyes(packets, peer, now_us)
        if not _begins(messages):
            idle = next((s.agent for s in self.stations if s.agent.state == states.IDLE), None)
            return idle.handle(datagram, peer, now_us) if idle else self._aside(messages, datagram, peer, now_us)
        why = self._governor.refusal(len(self._playing())) if self._governor else None
        if why is not None and self._governor is not None:
            answers = control.refusals(datagram, why)
            self._governor.refused += bool(answers)
            return answers
        station = self._place(peer, now_us)
        if station is None:
            return control.refusals(datagram, self._full)
        return station.agent.handle(datagram, peer, now_us)

    def _aside(self, messages: list[control.Message], datagram: bytes, peer: Any, now_us: int) -> list[bytes]:
        """What is answered while all places are taken: probes, and goodbyes whose first answer was lost."""
        if any(message.kind == control.PROBE for message in messages):
            return self.stations[0].agent.handle(datagram, peer, now_us)
        return control.refusals(datagram, self._full)

    def _goodbyes(self, packets: list[Any], peer: Any, now_us: int) -> None:
        """RTCP may come from another port than the stream: the goodbye names the stream's SSRC."""
        for packet in packets:
            if packet.kind != rtcp.BYE:
                continue
            for ssrc in rtcp.parse_bye(packet):
                for _, agent in self._agents():
                    if agent.plain and agent.media.ssrc == ssrc and place_of(agent.peer) == place_of(peer):
                        agent.goodbye(now_us)

    def _stranger(self, datagram: bytes, peer: Any, now_us: int) -> list[bytes]:
        """Media of a peer without a session: two packets that go on from each other begin one."""
        arrivals = self._candidates.confirm(datagram, peer, now_us)
        if not arrivals or self._is_over(datagram, now_us):
            return []
        why = self._governor.refusal(len(self._playing())) if self._governor else None
        station = self._place(peer, now_us, media=True) if why is None else None
        if station is None:
            self._notices.warn("full", f"stream from {name_of(peer)} not played: {why or self._full}")
            return []
        for arrived, when_us in arrivals:
            station.agent.handle(arrived, peer, when_us)
        return []

    def _is_over(self, datagram: bytes, now_us: int) -> bool:
        self._ended = [(ssrc, until) for ssrc, until in self._ended if until > now_us]
        return rtp.parse(datagram).ssrc in (ssrc for ssrc, _ in self._ended)

    def _place(self, peer: Any, now_us: int, media: bool = False) -> StreamSession | None:
        """A station whose agent is free to begin a session."""
        for station in self.stations:
            if station.agent.state == states.REPORTING and station.leaving is None:
                self._bury(station)
        for station in self.stations:
            if station.agent.state == states.IDLE and station.leaving is None and self._fit(station):
                return station
        if len(self.stations) < self._most:
            self.stations.append(self._make(len(self.stations)))
            return self.stations[-1]
        for station in self.stations:
            if station.agent.state == states.DRAINING and station.leaving is None:
                station.leaving, station.agent = station.agent, station.agent.successor()
                return station
        for station in self.stations:
            agent = station.agent
            same = media and place_of(agent.peer) == place_of(peer) and agent.paused(now_us)
            if station.leaving is None and (same or agent.yields(now_us)):
                agent.end("silence")
                self._bury(station)
                return station if self._fit(station) else None
        return None

    def _fit(self, station: StreamSession) -> bool:
        """True when the station has an output; a failed one is replaced as soon as that is possible."""
        if station.output is None:
            try:
                fresh = self._make(self.stations.index(station))
            except (OSError, RuntimeError) as error:
                self._notices.warn("output", f"the output cannot be opened: {error}")
                return False
            station.agent, station.output = fresh.agent, fresh.output
        return True

    # --- periods ---

    def render(self, now_us: int) -> bool:
        """One period of the stream that needs it most, handed to its output; False when nothing is due."""
        return self._rendering.render(self.stations, now_us)

    def period(self, now_us: int) -> Outgoing:
        """20 ms of every stream, for an output that has a clock of its own, and what is due for the hosts."""
        self._rendering.tick(self.stations, now_us)
        self._rendering.period(self.stations, now_us)
        return self.report(now_us)

    def tick(self, now_us: int) -> Outgoing:
        """20 ms have passed: what is due for the hosts."""
        self._rendering.tick(self.stations, now_us)
        return self.report(now_us)

    def report(self, now_us: int) -> Outgoing:
        """What is due for the hosts, without playing."""
        out = [item for station in self.stations for item in self._due(station, now_us)]
        for farewell in self._farewells:
            out += [(datagram, farewell.peer) for o in farewell.outgoing for datagram in o.due(now_us)]
        over = [f for f in self._farewells if all(o.done() for o in f.outgoing)]
        self._farewells = [f for f in self._farewells if f not in over]
        self.sessions_ended += len(over)
        return out

    def interrupt(self) -> None:
        """All sessions end now."""
        for station in self.stations:
            for agent in (station.leaving, station.agent):  # in this order: they share an output
                if agent is not None:
                    agent.interrupt()

    @property
    def reporting(self) -> bool:
        """True while a final report has not been delivered."""
        return bool(self._farewells) or any(agent.state == states.REPORTING for _, agent in self._agents())

    def give_up(self) -> None:
        """Final reports that nobody has acknowledged are not sent any more."""
        for station in self.stations:
            if station.leaving is not None and station.leaving.state == states.REPORTING:
                self._let_go(station)
            if station.agent.state == states.REPORTING:
                self._over(station)
        self.sessions_ended += len(self._farewells)
        self._farewells = []

    def close(self) -> None:
        """Lets go of all outputs."""
        for station in self.stations:
            if station.output is not None:
                station.output.discard()

    def _playing(self) -> list[StreamSession]:
        return [s for s in self.stations if s.player.state in PLAYING]

    def _lose_output(self, station: StreamSession, error: OSError) -> None:
        """The output failed: this session ends, the others go on."""
        self._notices.warn("output", f"the output failed, its session ends: {error}")
        for agent in (station.leaving, station.agent):
            if agent is not None:
                agent.end("output failed", str(error))
        output, station.output = station.output, None
        if output is not None:
            try:
                output.discard()
            except OSError:
                return  # it has been told already

    def _due(self, station: StreamSession, now_us: int) -> Outgoing:
        out: Outgoing = []
        if station.leaving is not None:
            peer = station.leaving.peer
            out += [(datagram, peer) for datagram in station.leaving.tick(now_us)]
            if station.leaving.state == states.REPORTING:
                self._let_go(station)
            return out
        agent = station.agent
        peer = agent.peer
        out += [(datagram, peer) for datagram in agent.tick(now_us)]
        if agent.state in PLAYING and agent.media.ssrc is not None and not self.log.knows(agent):
            self.log.began(agent, now_us)
        if agent.state == states.REPORTING:
            self._tell_end(agent, now_us)
            if agent.over():
                self._over(station)
        return out

    def _tell_end(self, agent: Agent, now_us: int) -> None:
        if self.log.ended(agent, now_us) and agent.media.ssrc is not None and agent.why == "goodbye":
            self._ended = [*self._ended[-_FAREWELLS:], (agent.media.ssrc, now_us + _ENDED_US)]

    def _over(self, station: StreamSession) -> None:
        self.sessions_ended += 1
        station.agent.renew()

    def _bury(self, station: StreamSession) -> None:
        """The station is free at once; its final report is sent from here on."""
        self._part(station.agent)
        station.agent.renew()

    def _let_go(self, station: StreamSession) -> None:
        """What the session before had buffered is played, or cut short: the one that waits has the output now."""
        agent, station.leaving = station.leaving, None
        if agent is not None:
            agent.end("goodbye")
            self._part(agent)

    def _part(self, agent: Agent) -> None:
        self._tell_end(agent, agent.heard_us)
        self._farewells.append(_Farewell(agent.peer, agent.farewell()))
        while len(self._farewells) > _FAREWELLS:
            self._farewells.pop(0)
            self.sessions_ended += 1


def _takes(agent: Agent, datagram: bytes) -> bool:
    """False when this media cannot be the session's: it is over, or it has said goodbye and this is another SSRC."""
    if agent.state == states.ACTIVE:
        return True
    if len(datagram) < 12:
        return True
    ssrc = int.from_bytes(datagram[8:12], "big")
    return ssrc == agent.media.ssrc


def _begins(messages: list[control.Message]) -> bool:
    return any(m.asks and m.kind in (control.HELLO, control.CONFIGURE) for m in messages)


def _says_bye(messages: list[control.Message]) -> bool:
    return any(m.asks and m.kind == control.BYE for m in messages)
