# SPDX-License-Identifier: BSD-2-Clause
"""The sessions of a device: one agent, receiver and output for every stream, up to a limit."""

from collections.abc import Callable
from typing import Any

from dredge_device import agent as states
from dredge_device.pi.clock import monotonic_us
from dredge_device.pi.service.governor import Governor
from dredge_device.pi.service.notices import Notices
from dredge_device.pi.service.session_log import SessionLog
from dredge_device.pi.service.streams.admission import Candidates
from dredge_device.pi.service.streams.final_reports import Outgoing
from dredge_device.pi.service.streams.reception import Reception
from dredge_device.pi.service.streams.rendering import PLAYING, Rendering, StreamSession
from dredge_device.pi.service.streams.slots import StreamSlots

__all__ = ["Sessions", "StreamSession"]


class Sessions:
    """Decides which peers are served; ``make`` builds the stream of an index.

    A peer that asks (hello, configure), or whose RTP is credible, gets one of ``most`` slots (streams.slots). Others
    are refused when none is free. The governor, if there is one, limits the work for a stream and refuses hosts
    when there is no time for another stream.
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
        notices = notices or Notices(lambda line: None)
        full = f"all {most} streams of the device are in use" if most > 1 else "another host is using me"
        self.log = SessionLog(notices, governor)
        self._slots = StreamSlots(make, most, notices, self.log)
        self._reception = Reception(self._slots, governor, notices, candidates or Candidates(), full)
        self._rendering = Rendering(governor, self._slots.lose_output, clock)
        self.streams = self._slots.streams

    # --- admission ---

    @property
    def peers(self) -> frozenset[Any]:
        """The peers of running sessions."""
        return frozenset(agent.peer for _, agent in self._slots.agents if agent.state in PLAYING)

    @property
    def lost_outputs(self) -> int:
        """The number of outputs that failed while their session ran, also before its stream began."""
        return self._slots.lost_outputs

    @property
    def sessions_ended(self) -> int:
        """The number of ended sessions whose reports are delivered or given up."""
        return self._slots.ended

    def handle(self, datagram: bytes, peer: Any, now_us: int) -> list[bytes]:
        """Return the answers to one datagram, for the same peer."""
        return self._reception.handle(datagram, peer, now_us)

    def rekeyed(self, peer: Any) -> None:
        """Note that this peer has new keys: its receiver forgets the stream under the old ones."""
        agent = self._slots.of(peer)[1]
        if agent is not None:
            agent.media.rekeyed()

    # --- periods ---

    def render(self, now_us: int) -> bool:
        """Render one period of the most urgent stream, for its output; return False when nothing is due."""
        return self._rendering.render(self.streams, now_us)

    def period(self, now_us: int) -> Outgoing:
        """Render 20 ms of every stream, for an output with a clock of its own; return the datagrams due for the hosts.
        """
        self._rendering.tick(self.streams, now_us)
        self._rendering.period(self.streams, now_us)
        return self.report(now_us)

    def tick(self, now_us: int) -> Outgoing:
        """Advance by 20 ms; return the datagrams due for the hosts."""
        self._rendering.tick(self.streams, now_us)
        return self.report(now_us)

    def report(self, now_us: int) -> Outgoing:
        """Return the datagrams due for the hosts, without playing."""
        out = [item for stream in self.streams for item in self._slots.due(stream, now_us)]
        return out + self._slots.final_reports.due(now_us)

    # --- the end ---

    @property
    def reporting(self) -> bool:
        """True while a final report has not been delivered."""
        agents = self._slots.agents
        return bool(self._slots.final_reports) or any(agent.state == states.REPORTING for _, agent in agents)

    def interrupt(self) -> None:
        """End all sessions now."""
        for stream in self.streams:
            for agent in (stream.leaving, stream.agent):  # in this order: they share an output
                if agent is not None:
                    agent.interrupt()

    def give_up(self) -> None:
        """Stop sending unacknowledged final reports."""
        for stream in self.streams:
            if stream.leaving is not None and stream.leaving.state == states.REPORTING:
                self._slots.let_go(stream)
            if stream.agent.state == states.REPORTING:
                self._slots.free(stream)
        self._slots.final_reports.give_up()

    def close(self) -> None:
        """Release all outputs."""
        for stream in self.streams:
            if stream.output is not None:
                stream.output.discard()
