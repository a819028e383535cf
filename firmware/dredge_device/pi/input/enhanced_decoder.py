# SPDX-License-Identifier: BSD-2-Clause
"""Speech that libopus' own networks improve after decoding, for as long as there is time for it."""

from __future__ import annotations

from typing import Protocol

from dredge_device.pi.interfaces import Decoder, Pcm


class AdjustableDecoder(Decoder, Protocol):
    """A decoder whose effort can be set (``dredge_kernels.opus.OpusDecoder`` over libopus 1.5 or later)."""

    def set_complexity(self, value: int) -> None: ...


class EnhancedDecoder:
    """A Decoder that works with this complexity while ``enabled``, else with none.

    conceals: its concealment is heard; else it only keeps the decoder's state going, which is done the cheap way.
    """

    def __init__(self, decoder: AdjustableDecoder, complexity: int, conceals: bool) -> None:
        self.enabled = True
        self.complexity = complexity
        self.enhanced = self.plain = 0  # calls with and without it, those that prime the decoder after a gap included
        self._decoder = decoder
        self._conceals = conceals
        self._now = 0

    def decode(self, packet: bytes) -> Pcm:
        """The packet's samples."""
        self._heard()
        return self._decoder.decode(packet)

    def decode_fec(self, packet: bytes, samples: int = 320) -> Pcm:
        """The stretch before this packet, from its low-rate copy."""
        self._heard()
        return self._decoder.decode_fec(packet, samples)

    def conceal(self, samples: int = 320) -> Pcm:
        """The decoder's own concealment."""
        if self._conceals:
            self._heard()
        else:
            self._set(0)
        return self._decoder.conceal(samples)

    def reset(self) -> None:
        """As before the first packet."""
        self._decoder.reset()

    def report(self) -> dict[str, int]:
        """The complexity, and how often it was worked with, and without."""
        return {"complexity": self.complexity, "enhanced": self.enhanced, "plain": self.plain}

    def _heard(self) -> None:
        self._set(self.complexity if self.enabled else 0)
        self.enhanced += self.enabled
        self.plain += not self.enabled

    def _set(self, complexity: int) -> None:
        if complexity != self._now:
            self._decoder.set_complexity(complexity)
            self._now = complexity
