# SPDX-License-Identifier: BSD-2-Clause
"""The losses that redundancy can recover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dredge_device.units import PACKET_SECONDS, PACKET_US
from dredge_host.settings import Settings


def coverable(trace: Sequence[bool], settings: Settings, delays_us: Mapping[int, int] | None = None) -> set[int]:
    """Return the lost packets that a later packet describes before playout needs them.

    Packet n + d arrives d periods later and carries redundancy_s of history before itself: it helps packet n if d lies
    within the history and before packet n is played. delays_us: playout delay of each packet, microseconds, where
    that is not settings.playout_ms for all (adaptive playout).
    """
    history = int(round(settings.redundancy_s / PACKET_SECONDS, 6))
    found = set()
    next_arrival: int | None = None
    for number in range(len(trace) - 1, -1, -1):
        if not trace[number]:
            next_arrival = number
        elif next_arrival is not None:
            delay_us = 1000 * settings.playout_ms if delays_us is None else delays_us.get(number, 0)
            if next_arrival - number <= min(history, delay_us // PACKET_US - 1):
                found.add(number)
    return found
