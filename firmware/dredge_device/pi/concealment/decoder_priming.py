# SPDX-License-Identifier: BSD-2-Clause
"""What the Opus decoder is told of a gap: what was played in its place, or that packets are missing."""

import numpy as np

from dredge_device.pi.interfaces import Decoder, Encoder, Pcm
from dredge_device.pi.stage_timer import StageTimer
from dredge_device.units import PACKET_SAMPLES

HEARD = 2  # packets that the decoder gets
PRELUDE = 1  # packets before them, for the encoder alone
NEEDED = (HEARD + PRELUDE) * PACKET_SAMPLES
MOST_PUT_OFF = 5  # lost packets after which a decoder's own concealment has faded
SILK_WIDEBAND_20_MS = 9  # configuration number of the packet's first byte (RFC 6716 table 2)


class DecoderPriming:
    """Encodes the recovered speech at the end of a gap and has the decoder decode it.

    A packet predicts from the samples before it. After a loss the decoder has its own concealment
    there, which no longer resembles the speech; a re-encoded recovery does.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def run(self, decoder: Decoder, played: Pcm, tail: Pcm, packet: bytes) -> bool:
        """played: int16[>= NEEDED] up to the gap's end; tail: what would follow, int16[>= look-ahead].

        Only when the next packet (``packet``) is coded by linear prediction; CELT recovers by itself. True then.
        """
        if packet[0] >> 3 != SILK_WIDEBAND_20_MS:
            return False
        look = self._encoder.lookahead
        speech = np.concatenate((played[-(NEEDED - look) :], tail[:look]))
        self._encoder.reset()
        for i in range(0, NEEDED, PACKET_SAMPLES):
            coded = self._encoder.encode(np.ascontiguousarray(speech[i : i + PACKET_SAMPLES]))
            if i >= PRELUDE * PACKET_SAMPLES:
                decoder.decode(coded)
        return True


class HiddenConcealment:
    """The decoder's own concealment, which moves its state on whether or not somebody hears it.

    It can be put off while the vocoder speaks: a decoder that is primed afterwards need not hear of every lost packet.
    """

    def __init__(self, decoder: Decoder, timer: StageTimer) -> None:
        self._decoder, self._timer = decoder, timer
        self._put_off = 0

    def conceal(self) -> Pcm:
        """The decoder's int16[320] for a lost packet."""
        self.catch_up()
        with self._timer.stage("opus"):
            return self._conceal()

    def put_off(self) -> None:
        """A packet is lost and the vocoder speaks."""
        self._put_off += 1

    def forget(self) -> None:
        """The decoder need not hear of what was put off."""
        self._put_off = 0

    def catch_up(self) -> None:
        """The decoder hears of what was put off."""
        if self._put_off:
            with self._timer.stage("opus"):
                for _ in range(min(self._put_off, MOST_PUT_OFF)):
                    self._conceal()
            self._put_off = 0

    def _conceal(self) -> Pcm:
        try:
            return self._decoder.conceal(PACKET_SAMPLES)
        except RuntimeError:
            return np.zeros(PACKET_SAMPLES, np.int16)
