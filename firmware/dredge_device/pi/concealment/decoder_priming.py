# SPDX-License-Identifier: BSD-2-Clause
"""Priming of the Opus decoder with what was played in a gap, or with the loss itself."""

import numpy as np

from dredge_device.pi.interfaces import Decoder, Encoder, Pcm
from dredge_device.pi.stage_timer import StageTimer
from dredge_device.units import PACKET_SAMPLES

DECODED = 2  # packets that the decoder gets
PRELUDE = 1  # packets before them, for the encoder alone
NEEDED = (DECODED + PRELUDE) * PACKET_SAMPLES
MOST_PUT_OFF = 5  # lost packets after which a decoder's own concealment has faded
SILK_WIDEBAND_20_MS = 9  # configuration number of the packet's first byte (RFC 6716 table 2)


class DecoderPriming:
    """The recovered speech at the end of a gap is encoded and decoded by the Opus decoder, whose state then fits.

    A packet predicts from the samples before it. After a loss the decoder has its own concealment there, which no
    longer resembles the speech; a re-encoded recovery does.
    """

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def run(self, decoder: Decoder, played: Pcm, tail: Pcm, packet: bytes) -> bool:
        """Prime the decoder with the samples before the next packet (``packet``), if linear prediction codes it.

        played: int16[>= NEEDED] up to the gap's end; tail: what would follow, int16[>= look-ahead]. CELT recovers by
        itself. Returns True where it was primed.
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
    """The decoder's own concealment, which moves its state on whether or not it is played.

    It can be put off while the vocoder synthesises, since a decoder that is primed afterwards need not conceal every
    lost packet.
    """

    def __init__(self, decoder: Decoder, timer: StageTimer) -> None:
        self._decoder, self._timer = decoder, timer
        self._put_off = 0

    def conceal(self) -> Pcm:
        """Return the decoder's int16[320] for a lost packet."""
        self.catch_up()
        with self._timer.stage("opus"):
            return self._conceal()

    def put_off(self) -> None:
        """Put off the concealment of a lost packet while the vocoder synthesises."""
        self._put_off += 1

    def forget(self) -> None:
        """Forget what was put off, because the decoder need not conceal it."""
        self._put_off = 0

    def catch_up(self) -> None:
        """Let the decoder conceal what was put off."""
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
