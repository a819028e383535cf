# SPDX-License-Identifier: BSD-2-Clause
"""Which losses redundancy can fill at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dredge_device.units import PACKET_MS, PACKET_SECONDS
from dredge_host.settings import Settings


def coverable(trace: Sequence[bool], settings: Settings, delays: Mapping[int, float] | None = None) -> set[int]:
    """Lost packets that a later packet describes before playout needs them.

    Packet n + d arrives d periods later and carries redundancy_s of history before itself: it
    helps packet n if d lies within the history and before packet n is played. delays: how late each
    packet was played, ms, where that is not settings.playout_ms for all (adaptive playout).
    """
    history = int(round(settings.redundancy_s / PACKET_SECONDS, 6))
    found = set()
    next_arrival: int | None = None
    for number in range(len(trace) - 1, -1, -1):
        if not trace[number]:
            next_arrival = number
        elif next_arrival is not None:
            delay_ms = settings.playout_ms if delays is None else delays.get(number, 0.0)
            if next_arrival - number <= min(history, int(delay_ms) // PACKET_MS - 1):
                found.add(number)
    return found
