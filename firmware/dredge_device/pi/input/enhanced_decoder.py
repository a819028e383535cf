# SPDX-License-Identifier: BSD-2-Clause
"""A decoder whose output libopus' networks enhance while the load allows it."""

from __future__ import annotations

from typing import Protocol

from dredge_device.pi.interfaces import Decoder, Pcm
from dredge_device.units import PACKET_SAMPLES


class AdjustableDecoder(Decoder, Protocol):
    """A decoder whose effort can be set (``dredge_kernels.opus.OpusDecoder`` over libopus 1.5 or later)."""

    def set_complexity(self, value: int) -> None: ...


class EnhancedDecoder:
    """A Decoder of this complexity while ``enabled``, else of complexity 0.

    conceals: its concealment is played; else it only advances the decoder's state, at complexity 0.
    """

    def __init__(self, decoder: AdjustableDecoder, complexity: int, conceals: bool) -> None:
        self.enabled = True
        self.complexity = complexity
        self.enhanced = self.plain = 0  # calls with and without enhancement, including those that prime the decoder
        self._decoder = decoder
        self._conceals = conceals
        self._now = 0

    def decode(self, packet: bytes) -> Pcm:
        """Return the packet's samples."""
        self._heard()
        return self._decoder.decode(packet)

    def decode_fec(self, packet: bytes, samples: int = PACKET_SAMPLES) -> Pcm:
        """Return the samples before this packet, from its low-rate copy."""
        self._heard()
        return self._decoder.decode_fec(packet, samples)

    def conceal(self, samples: int = PACKET_SAMPLES) -> Pcm:
        """Return the decoder's own concealment."""
        if self._conceals:
            self._heard()
        else:
            self._set(0)
        return self._decoder.conceal(samples)

    def reset(self) -> None:
        """Forget everything, as before the first packet."""
        self._decoder.reset()

    def report(self) -> dict[str, int]:
        """Return the complexity, and how many calls used it and did not."""
        return {"complexity": self.complexity, "enhanced": self.enhanced, "plain": self.plain}

    def _heard(self) -> None:
        self._set(self.complexity if self.enabled else 0)
        self.enhanced += self.enabled
        self.plain += not self.enabled

    def _set(self, complexity: int) -> None:
        if complexity != self._now:
            self._decoder.set_complexity(complexity)
            self._now = complexity
