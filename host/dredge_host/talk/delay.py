# SPDX-License-Identifier: BSD-2-Clause
"""The delay from mouth to ear in its parts.

capture    the 20 ms of a packet, and the speech that waited in the card or pipe before it
encode     from the last sample to the link, and the codec's look-ahead
network    half of the fastest recent round trip; delays beyond it are part of playout
playout    from the arrival (without jitter) to the time at which the loudspeaker takes the packet
card       speech that the loudspeaker has taken and not played
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from dredge_device.units import PACKET_US, SAMPLE_RATE
from dredge_host.talk.documents import PathDelay

_ROUND_TRIPS = 16  # the fastest of this many round trips counts


class Mean:
    """The mean of whole numbers."""

    def __init__(self) -> None:
        self._sum = self.count = 0

    def add(self, value: int) -> None:
        self._sum += value
        self.count += 1

    @property
    def mean(self) -> float:
        return self._sum / self.count if self.count else 0.0


class SendDelay:
    """This end's part of the delay of its speech at the other end, microseconds."""

    def __init__(self, lookahead: int) -> None:
        self._lookahead_us = 1_000_000 * lookahead // SAMPLE_RATE
        self._capture, self._encode = Mean(), Mean()
        self._round_trips: deque[int] = deque(maxlen=_ROUND_TRIPS)
        self.network_us: int | None = None

    def packet(self, backlog_us: int, encode_us: int) -> None:
        """Count a packet that was sent; backlog_us: speech that waited before it, encode_us: time since its last
        sample.
        """
        self._capture.add(PACKET_US + backlog_us)
        self._encode.add(encode_us + self._lookahead_us)

    def round_trip(self, round_trip_us: int) -> None:
        """Count the round trip of a probe."""
        self._round_trips.append(round_trip_us)
        self.network_us = min(self._round_trips) // 2

    def report(self) -> dict[str, float]:
        """Return the means for the other end, in ms as in its report."""
        return {"capture": _milliseconds(self._capture.mean), "encode": _milliseconds(self._encode.mean)}


class ReceiveDelay:
    """This end's part of the delay of the other end's speech, microseconds."""

    def __init__(self) -> None:
        self.playout, self.card = Mean(), Mean()

    def report(self) -> dict[str, float]:
        """Return the means for the other end, in ms as in its report."""
        return {"playout": _milliseconds(self.playout.mean), "card": _milliseconds(self.card.mean)}


def _milliseconds(mean: float) -> float:
    return round(mean / 1000, 2)


def path(
    sent: Mapping[str, float] | None, network_us: int | None, received: Mapping[str, float] | None
) -> PathDelay:
    """Return all pieces of one direction and their sum in ms; None for parts unknown to this end."""

    def known(name: str) -> float | None:
        values = [(part or {}).get(name) for part in (received, sent)]
        return next((v for v in values if isinstance(v, int | float) and 0 <= v < 1e6), None)

    capture, encode, playout, card = (known(name) for name in ("capture", "encode", "playout", "card"))
    network = None if network_us is None else _milliseconds(network_us)
    pieces = [piece for piece in (capture, encode, network, playout, card) if piece is not None]
    return {
        "capture": capture, "encode": encode, "network": network, "playout": playout, "card": card,
        "mouth_to_ear": round(sum(pieces), 2) if len(pieces) == 5 else None,
    }  # fmt: skip
