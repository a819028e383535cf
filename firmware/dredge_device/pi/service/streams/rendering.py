# SPDX-License-Identifier: BSD-2-Clause
"""The rendering of all streams' periods, the most urgent first, ahead of their time as far as they are settled."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from dredge_device import agent as states
from dredge_device.agent import Agent
from dredge_device.pi.clock import monotonic_us
from dredge_device.pi.output.card_clock import CardClock
from dredge_device.pi.output.interface import TimedOutput
from dredge_device.pi.quality import AFTER, FIRST, FOUND, FULL, LATE, LOST, NEXT, PLAIN
from dredge_device.pi.receiver import Receiver
from dredge_device.pi.service.governor import Governor

PLAYING = (states.ACTIVE, states.DRAINING)


@dataclass
class StreamSession:
    """The agent and the output of one stream.

    leaving: the agent of the previous session, while its buffer is still played; the new stream waits
    in its jitter buffer meanwhile. output is None after a failure, until a later session gets a new one.
    """

    agent: Agent
    output: TimedOutput | None
    leaving: Agent | None = None
    clock: CardClock | None = None  # the clock of a sound card, which the periods follow
    in_gap: bool = False  # the last period that was rendered had been lost
    begun: int = FULL  # the level at which the gap began that is being synthesised
    degraded: int = 0  # periods of reduced quality because of other streams' deadlines

    @property
    def player(self) -> Agent:
        """The agent whose speech is played now."""
        return self.leaving or self.agent

    @property
    def receiver(self) -> Receiver | None:
        """The receiver that renders for it now, None without one."""
        playing = self.player.state in PLAYING and self.output is not None
        receiver: Receiver | None = self.player.receiver if playing else None
        return receiver


Stream = tuple[StreamSession, Receiver]


class Rendering:
    """Renders one period at a time; governor: chooses the quality levels, None for full quality.

    clock: microseconds. ``failed`` is called with a session whose output could not be written.
    """

    def __init__(
        self,
        governor: Governor | None,
        failed: Callable[[StreamSession, OSError], None],
        clock: Callable[[], int] = monotonic_us,
    ) -> None:
        self._governor = governor
        self._failed = failed
        self._clock = clock
        self._streams = 0
        self._enhancing = True  # until the governor lowers the quality of gaps

    def tick(self, sessions: Iterable[StreamSession], now_us: int) -> None:
        """Advance by 20 ms; a new stream's first period gets the time of a tick."""
        streams = _streams(sessions)
        for _, receiver in streams:
            receiver.queue.begin(now_us)
        if self._governor:
            if not streams:
                self._governor.restart()
                self._enhancing = True
            self._governor.judge(len(streams))

    def render(self, sessions: Iterable[StreamSession], now_us: int) -> bool:
        """Render one period of the stream whose queue ends first, for its output; return False when none is due.

        Periods are rendered ahead as far as they are settled (``Receiver.may_render``).
        """
        streams = [stream for stream in _streams(sessions) if stream[1].queue.begun]
        self._streams = len(streams)
        streams.sort(key=_urgency)
        for session, receiver in streams:
            if receiver.may_render(now_us, self._reserve_us):
                self._play(session, receiver, streams, now_us)
                return True
        return False

    def period(self, sessions: Iterable[StreamSession], now_us: int) -> None:
        """Render 20 ms of every stream at this moment, for outputs with a clock of their own; nothing is rendered
        ahead.
        """
        streams = _streams(sessions)
        for _, receiver in streams:
            receiver.queue.next_us = now_us
        for session, receiver in sorted(streams, key=_urgency):
            self._play(session, receiver, streams, now_us)

    def _reserve_us(self, kind: int, together: bool, then: int | None = None) -> int:
        return self._governor.reserve_us(kind, self._streams - 1, together, then) if self._governor else 0

    def _slack_us(self, receiver: Receiver, streams: list[Stream], now_us: int) -> int:
        """Return how long this stream's next period may take, so that the next ones of all others are still ready in
        time.
        """
        assert self._governor is not None
        costs = self._governor.costs
        slack, taken = receiver.queue.deadline_us() - now_us, 0
        for _, other in streams:  # the most urgent first
            if other is not receiver:
                taken += round(costs.of(NEXT, FULL) if other.synthesising else costs.plain)
                slack = min(slack, other.queue.deadline_us() - now_us - taken)
        return slack

    def _play(self, session: StreamSession, receiver: Receiver, streams: list[Stream], now_us: int) -> None:
        agent, governor, output = session.player, self._governor, session.output
        queue, kind, quality = receiver.queue, receiver.coming(), FULL
        assert queue.next_us is not None and output is not None
        ahead_us = queue.ahead_us(now_us)
        if governor:
            self._enhancing = self._enhancing and governor.level == FULL
            quality = governor.quality(kind, self._slack_us(receiver, streams, now_us) if kind else 0, session.begun)
            if kind == FIRST:
                session.begun = quality
            session.degraded += quality not in (FULL, governor.level)
            governor.begin()
        if receiver.enhancer is not None:
            receiver.enhancer.enabled = self._enhancing
        played = receiver.render(queue.next_us, quality)
        late = queue.late
        at_us = queue.finished(self._clock(), played.of_stream)
        if session.clock is not None:
            queue.next_us += session.clock.step_us()
        if governor:
            kind = _kind(kind, played.decoded)
            level = session.begun if kind in (NEXT, FOUND, AFTER) and quality != LATE else quality
            governor.rendered(kind, level, ahead_us, queue.late > late, session.in_gap)
            session.in_gap = kind in LOST
        for frame in played.frames:
            agent.played(frame.packet, frame.source, frame.delay_us, frame.cpu_us, frame.reason)
        try:
            output.write(played.pcm, played.of_stream, at_us)
        except OSError as error:
            self._failed(session, error)


def _kind(coming: int | None, decoded: bool) -> int | None:
    """Return the kind of a rendered period that was expected to be of the kind ``coming``.

    decoded: it took the decoder alone, although a loss may have been expected: playout has left the lost packet out and
    played the next one that has arrived.
    """
    if not decoded or coming in (PLAIN, AFTER):
        return coming
    return AFTER if coming in (NEXT, FOUND) else PLAIN


def _streams(sessions: Iterable[StreamSession]) -> list[Stream]:
    streams: list[Stream] = []
    for session in sessions:
        receiver = session.receiver
        if receiver is not None:
            streams.append((session, receiver))
    return streams


def _urgency(stream: Stream) -> tuple[int, int]:
    """Return the key that puts the stream first whose finished periods end first; among equals, the one of most reduced
    quality.
    """
    session, receiver = stream
    return receiver.queue.next_us or 0, -session.degraded
