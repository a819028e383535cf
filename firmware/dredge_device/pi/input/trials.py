# SPDX-License-Identifier: BSD-2-Clause
"""Packets that are held until their successor confirms them."""

from dataclasses import dataclass

from dredge_device import rtp
from dredge_device.pi.input.payloads import Block
from dredge_device.pi.input.placement import Placement
from dredge_device.telemetry import Counters

_LEAP = 100  # a packet further ahead is accepted when a second one continues it
_STEADY = 2  # no burst: a packet arrives at least its length over this after the one before


@dataclass(slots=True)
class Held:
    """A packet of the sender that is heard, and its arrival."""

    packet: rtp.RtpPacket
    blocks: list[Block]
    now_us: int
    late: bool = False  # it arrived too late, after a time without packets


class Trials:
    """Two kinds of packets that are held until their successor arrives.

    A packet far ahead of the stream is dropped unless the next one continues it. A packet that continues the stream but
    arrives too late for its period, after a time without packets, is played after the pause if the next one follows at
    the pace of the stream, because then the sender had paused and its timestamps with it (push-to-talk). If
    the next one follows at once, the network had stood still, and both are late.
    """

    def __init__(self, placement: Placement, counters: Counters) -> None:
        self._placement = placement
        self._counters = counters
        self._waiting: Held | None = None

    def clear(self) -> None:
        """Forget the sender, since another one begins."""
        self._waiting = None

    def passed(self, arrived: Held, highest: int) -> list[Held]:
        """Return the packets that may be stored now, in order. highest: running sequence number of the newest one."""
        waiting, self._waiting = self._waiting, None
        goes_on = waiting is not None and rtp.distance(arrived.packet.sequence, waiting.packet.sequence) == 1
        if waiting is not None and waiting.late:
            if goes_on and arrived.now_us - waiting.now_us >= _shortest_us(waiting):
                self._placement.resume(waiting.now_us)
            return [waiting, arrived]
        if waiting is not None and goes_on:
            self._counters.add("on_trial", -1)  # it is counted like every other packet from now on
            return [waiting, arrived]
        if _LEAP < rtp.distance(arrived.packet.sequence, highest & 0xFFFF) <= rtp.MAX_DROPOUT:
            self._counters.add("on_trial")
            self._waiting = arrived
        elif self._placement.overdue(arrived.packet, arrived.blocks[0], arrived.now_us):
            arrived.late = True
            self._waiting = arrived
        return [] if self._waiting else [arrived]


def _shortest_us(held: Held) -> int:
    return held.blocks[0].ticks * 1000 // 48 // _STEADY


def within_reach(packet: rtp.RtpPacket, highest: int) -> bool:
    """Return whether a sequence number is within _LEAP of the newest one."""
    return -_LEAP <= rtp.distance(packet.sequence, highest & 0xFFFF) <= _LEAP
