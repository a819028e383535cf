# SPDX-License-Identifier: BSD-2-Clause
"""Tells the Opus decoder what was played in its place while packets were missing."""

import numpy as np

from dredge_device.pi.interfaces import Decoder, Encoder, Pcm
from dredge_device.units import PACKET_SAMPLES

HEARD = 2  # packets that the decoder gets
PRELUDE = 1  # packets before them, for the encoder alone
NEEDED = (HEARD + PRELUDE) * PACKET_SAMPLES
SILK_WIDEBAND_20_MS = 9  # configuration number of the packet's first byte (RFC 6716 table 2)


class DecoderPriming:
    """Encodes the recovered speech at the end of a gap and has the decoder decode it.

    A packet predicts from the samples before it. After a loss the decoder has its own concealment
    there, which no longer resembles the speech; a re-encoded recovery does.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def run(self, decoder: Decoder, played: Pcm, tail: Pcm, packet: bytes) -> None:
        """played: int16[>= NEEDED] up to the gap's end; tail: what would follow, int16[>= look-ahead].

        Only when the next packet (``packet``) is coded by linear prediction; CELT recovers by itself.
        """
        if packet[0] >> 3 != SILK_WIDEBAND_20_MS:
            return
        look = self._encoder.lookahead
        speech = np.concatenate((played[-(NEEDED - look) :], tail[:look]))
        self._encoder.reset()
        for i in range(0, NEEDED, PACKET_SAMPLES):
            coded = self._encoder.encode(np.ascontiguousarray(speech[i : i + PACKET_SAMPLES]))
            if i >= PRELUDE * PACKET_SAMPLES:
                decoder.decode(coded)
