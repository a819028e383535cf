# SPDX-License-Identifier: BSD-2-Clause
"""Many streams at once: one agent, receiver and output for every host, up to a limit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dredge_device import agent as states
from dredge_device.agent import Agent
from dredge_device.pi.output import Output

Outgoing = list[tuple[bytes, Any]]  # datagrams and the peers they are for


@dataclass
class Station:
    """One stream's agent and where its speech goes."""

    agent: Agent
    output: Output


class Switchboard:
    """Routes datagrams to stations by peer; ``make`` builds the station with this index.

    A station is built when the ones there are busy; a host beyond the limit is answered by the
    first station that somebody else is using it.
    """

    def __init__(self, make: Callable[[int], Station], most: int = 1) -> None:
        self._make = make
        self._most = most
        self.stations = [make(0)]

    def handle(self, datagram: bytes, peer: Any, now_us: int) -> list[bytes]:
        """Answers to one datagram, for the same peer."""
        return self._route(peer).agent.handle(datagram, peer, now_us)

    def rekeyed(self, peer: Any) -> None:
        """This peer has new keys: what its receiver knows of the stream under the old ones is not used any more."""
        for station in self.stations:
            if station.agent.state != states.IDLE and station.agent.peer == peer:
                station.agent.receiver.rekeyed()

    def period(self, now_us: int) -> Outgoing:
        """20 ms of every stream: decode, hand to the outputs, collect what is due for the hosts."""
        out: Outgoing = []
        for station in self.stations:
            self._play(station)
            out += self._due(station, now_us)
        return out

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

    def _route(self, peer: Any) -> Station:
        for station in self.stations:
            if station.agent.state != states.IDLE and station.agent.peer == peer:
                return station
        for station in self.stations:
            if station.agent.state == states.IDLE:
                return station
        if len(self.stations) < self._most:
            self.stations.append(self._make(len(self.stations)))
            return self.stations[-1]
        return self.stations[0]

    def _play(self, station: Station) -> None:
        agent = station.agent
        if agent.state not in (states.ACTIVE, states.DRAINING):
            return
        played = agent.receiver.pull()
        for frame in played.frames:
            agent.played(frame.packet, frame.source, frame.delay_ms, frame.cpu_us, frame.reason)
        station.output.write(played.pcm, played.spoken)

    def _due(self, station: Station, now_us: int) -> Outgoing:
        agent = station.agent
        peer = agent.peer
        datagrams = agent.tick(now_us)
        if agent.over():
            agent.renew()
        return [(datagram, peer) for datagram in datagrams]
