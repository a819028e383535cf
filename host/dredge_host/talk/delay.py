# SPDX-License-Identifier: BSD-2-Clause
"""From mouth to ear, piece by piece.

capture    the 20 ms of a packet, and what had waited in the card or pipe before it
encode     from the last sample to the link, and the codec's look-ahead
network    half of the fastest recent round trip; what a packet needed beyond the fastest is in playout
playout    from the arrival (had it met no jitter) to the moment at which the loudspeaker takes the packet
card       speech that the loudspeaker has taken and not played
"""

from __future__ import annotations

from collections import deque
from typing import Any

from dredge_device.units import PACKET_SECONDS, SAMPLE_RATE

_FORGET = 1 / 50  # of a recent mean, per packet: 1 s
_TRIPS = 16  # round trips of which the fastest counts


class Mean:
    """The mean of all values, and of those of about the last second."""

    def __init__(self) -> None:
        self.recent = 0.0
        self._sum, self.count = 0.0, 0

    def add(self, value: float) -> None:
        self._sum += value
        self.count += 1
        self.recent += (value - self.recent) * max(_FORGET, 1 / self.count)

    @property
    def mean(self) -> float:
        return self._sum / self.count if self.count else 0.0


class SpokenDelay:
    """This end's share of what the other end hears late, in ms."""

    def __init__(self, lookahead: int) -> None:
        self._lookahead_ms = 1000 * lookahead / SAMPLE_RATE
        self._capture, self._encode = Mean(), Mean()
        self._trips: deque[float] = deque(maxlen=_TRIPS)
        self.network_ms: float | None = None

    def packet(self, backlog_ms: float, encode_ms: float) -> None:
        """A packet went out."""
        self._capture.add(1000 * PACKET_SECONDS + backlog_ms)
        self._encode.add(encode_ms + self._lookahead_ms)

    def trip(self, seconds: float) -> None:
        """A probe came back."""
        self._trips.append(1000 * seconds)
        self.network_ms = min(self._trips) / 2

    def report(self) -> dict[str, float]:
        """Means for the other end."""
        return {"capture": round(self._capture.mean, 2), "encode": round(self._encode.mean, 2)}


class HeardDelay:
    """This end's share of what it hears late, in ms."""

    def __init__(self) -> None:
        self.playout, self.card = Mean(), Mean()

    def report(self) -> dict[str, float]:
        """Means for the other end."""
        return {"playout": round(self.playout.mean, 2), "card": round(self.card.mean, 2)}

    @property
    def recent_ms(self) -> float:
        return self.playout.recent + self.card.recent


def path(spoken: dict[str, Any] | None, network_ms: float | None, heard: dict[str, Any] | None) -> dict[str, Any]:
    """All pieces of one direction and their sum; None for what one end does not know of the other."""
    pieces: dict[str, float | None] = dict.fromkeys(("capture", "encode", "network", "playout", "card"))
    for known in (spoken, heard):
        for name in pieces:
            value = (known or {}).get(name)
            if isinstance(value, int | float) and 0 <= value < 1e6:
                pieces[name] = value
    pieces["network"] = None if network_ms is None else round(network_ms, 2)
    whole = None if None in pieces.values() else round(sum(value or 0.0 for value in pieces.values()), 2)
    return {**pieces, "mouth_to_ear": whole}
