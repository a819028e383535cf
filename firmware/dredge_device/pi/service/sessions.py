# SPDX-License-Identifier: BSD-2-Clause
"""Many streams at once: one agent, receiver and output for every host, up to a limit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dredge_device import agent as states
from dredge_device import control
from dredge_device.agent import Agent
from dredge_device.pi.output.interface import Output
from dredge_device.pi.service.governor import FULL, HURRIED, Governor

Outgoing = list[tuple[bytes, Any]]  # datagrams and the peers they are for


@dataclass
class StreamSession:
    """One stream's agent and where its speech goes."""

    agent: Agent
    output: Output


class Sessions:
    """Routes datagrams to stations by peer; ``make`` builds the station with this index.

    A station is built when the ones there are busy; a host beyond the limit is answered by the
    first station that somebody else is using it. The governor, if there is one, says how much work a
    stream may be, and turns hosts away when there is no time for another stream.
    """

    def __init__(self, make: Callable[[int], StreamSession], most: int = 1, governor: Governor | None = None) -> None:
        self._make = make
        self._most = most
        self._governor = governor
        self._first = 0  # whose turn is first: a stream that had to hurry comes first in the next period
        self.stations = [make(0)]
        if most > 1:
            self.stations[0].agent.occupied = f"all {most} streams of the device are in use"

    def handle(self, datagram: bytes, peer: Any, now_us: int) -> list[bytes]:
        """Answers to one datagram, for the same peer."""
        station = self._of(peer)
        if station is None:
            why = self._governor.refusal(len(self._playing())) if self._governor else None
            if why is not None:
                return self._turn_away(datagram, why)
            station = self._free()
        return station.agent.handle(datagram, peer, now_us)

    def rekeyed(self, peer: Any) -> None:
        """This peer has new keys: what its receiver knows of the stream under the old ones is not used any more."""
        station = self._of(peer)
        if station is not None:
            station.agent.receiver.rekeyed()

    def period(self, now_us: int) -> Outgoing:
        """20 ms of every stream: decode, hand to the outputs, then collect what is due for the hosts."""
        playing = self._playing()
        turns = [(self._first + turn) % len(playing) for turn in range(len(playing))]
        hurried = [i for turn, i in enumerate(turns) if self._play(playing[i], len(turns) - turn) == HURRIED]
        if hurried:
            self._first = hurried[0]
        return self.report(now_us)

    def report(self, now_us: int) -> Outgoing:
        """What is due for the hosts, without playing."""
        return [item for station in self.stations for item in self._due(station, now_us)]

    def interrupt(self) -> None:
        """All sessions end now."""
        for station in self.stations:
            station.agent.interrupt()

    @property
    def reporting(self) -> bool:
        """True while a final report has not been delivered."""
        return any(s.agent.state == states.REPORTING for s in self.stations)

    @property
    def sessions_ended(self) -> int:
        """Sessions that are over, with their reports."""
        return sum(s.agent.sessions_ended for s in self.stations)

    def give_up(self) -> None:
        """Final reports that nobody has acknowledged are not sent any more."""
        for station in self.stations:
            if station.agent.state == states.REPORTING:
                station.agent.renew()

    def close(self) -> None:
        """Lets go of all outputs."""
        for station in self.stations:
            station.output.discard()

    def _playing(self) -> list[StreamSession]:
        return [s for s in self.stations if s.agent.state in (states.ACTIVE, states.DRAINING)]

    def _of(self, peer: Any) -> StreamSession | None:
        for station in self.stations:
            if station.agent.state != states.IDLE and station.agent.peer == peer:
                return station
        return None

    def _turn_away(self, datagram: bytes, why: str) -> list[bytes]:
        assert self._governor is not None
        answers = control.refusals(datagram, why)
        self._governor.refused += bool(answers)
        return answers

    def _free(self) -> StreamSession:
        for station in self.stations:
            if station.agent.state == states.IDLE:
                return station
        if len(self.stations) < self._most:
            self.stations.append(self._make(len(self.stations)))
            return self.stations[-1]
        return self.stations[0]

    def _play(self, station: StreamSession, waiting: int) -> int:
        """One stream, when so many, itself included, wait for their turn; how much work it was allowed."""
        agent, governor = station.agent, self._governor
        effort = governor.effort(waiting) if governor else FULL
        played = agent.receiver.pull(effort)
        if governor:
            governor.served(played.source)
        for frame in played.frames:
            agent.played(frame.packet, frame.source, frame.delay_ms, frame.cpu_us, frame.reason)
        station.output.write(played.pcm, played.spoken)
        return effort

    def _due(self, station: StreamSession, now_us: int) -> Outgoing:
        agent = station.agent
        peer = agent.peer
        datagrams = agent.tick(now_us)
        if agent.over():
            agent.renew()
        return [(datagram, peer) for datagram in datagrams]
