# SPDX-License-Identifier: BSD-2-Clause
"""Both ends of a gap: the output before it, and the packets after it that have already arrived."""

from collections.abc import Callable

from dredge_device.jitter import JitterBuffer
from dredge_device.pi.concealment.decoder_priming import DecoderPriming, OvershootGuard
from dredge_device.pi.concealment.history import CONTEXT_ROWS, History
from dredge_device.pi.concealment.interpolation import Interpolation
from dredge_device.pi.concealment.lookahead import Lookahead
from dredge_device.pi.factory import Parts
from dredge_device.pi.interfaces import Decoder, Pcm, Rows


class GapEnds:
    """The gap that is being played, if any. Without the needed parts every method returns None."""

    def __init__(self, parts: Parts, buffer: JitterBuffer, use_lbrr: bool) -> None:
        self._decoder = parts.decoder
        self._lookahead = None
        self._guard = None
        if parts.lookahead_decoder and parts.lookahead_extractor:
            decoder, extractor = parts.lookahead_decoder, parts.lookahead_extractor
            self._lookahead = Lookahead(decoder, extractor, buffer, parts.reader, use_lbrr)
            self._guard = OvershootGuard(parts.decoder, decoder)
        self._priming = DecoderPriming(parts.priming_encoder) if parts.priming_encoder else None
        self._gap: Interpolation | None = None

    def open(self, number: int, history: History) -> None:
        """Begin a gap with this packet."""
        self._gap = Interpolation(number, history.rows(CONTEXT_ROWS), history.lifted)

    def close(self) -> None:
        """Stop following the gap."""
        self._gap = None
        if self._lookahead:
            self._lookahead.clear()

    def bridge(self, number: int) -> Rows | None:
        """Return the rows float32[4, 20] from this lost packet on, interpolated between both sides; None where one is
        missing.
        """
        following = self._lookahead.follow(number) if self._lookahead and self._gap else None
        return self._gap.bridge(number, following) if self._gap and following else None

    def after(self, number: int) -> Rows | None:
        """Return the rows float32[4, 20] of the first packet after the gap, None unless the look-ahead has decoded it.
        """
        following = self._lookahead.found if self._lookahead else None
        if self._gap is None or following is None or following.number != number:
            return None
        return self._gap.after(following)

    def prime_decoder(self, played: Pcm, tail: Pcm, packet: bytes) -> bool:
        """Prime the decoder with the output in the gap before it decodes this packet; return False if it was not
        needed.
        """
        return bool(self._priming and packet and self._priming.run(self._decoder, played, tail, packet))

    def checked(self, pcm: Pcm, played: Pcm, decode: Callable[[Decoder], Pcm], behind: bytes | None) -> Pcm:
        """Return the first packet after the gap as it is played; pcm: from the primed decoder (OvershootGuard)."""
        return self._guard.checked(pcm, played, decode, behind) if self._guard else pcm
