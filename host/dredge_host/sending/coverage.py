# SPDX-License-Identifier: BSD-2-Clause
"""Which losses redundancy can fill at all."""

from __future__ import annotations

from collections.abc import Sequence

from dredge_device.units import PACKET_MS, PACKET_SECONDS
from dredge_host.settings import Settings


def coverable(trace: Sequence[bool], settings: Settings) -> set[int]:
    """Lost packets that a later packet describes before playout needs them.

    Packet n + d arrives d periods later and carries redundancy_s of history before itself: it
    helps packet n if d lies within the history and before packet n is played.
    """
    history = int(round(settings.redundancy_s / PACKET_SECONDS, 6))
    reach = min(history, settings.playout_ms // PACKET_MS - 1)
    found = set()
    next_arrival: int | None = None
    for number in range(len(trace) - 1, -1, -1):
        if not trace[number]:
            next_arrival = number
        elif next_arrival is not None and next_arrival - number <= reach:
            found.add(number)
    return found
