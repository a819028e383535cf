# SPDX-License-Identifier: BSD-2-Clause
"""Priming of the Opus decoder with the speech played in a gap or with its own concealment, and a guard against
overshoot.
"""

import math
from collections.abc import Callable
from operator import add

import numpy as np

from dredge_device.pi.concealment.limiter import FLOOR, RAMP
from dredge_device.pi.interfaces import Decoder, Encoder, Pcm
from dredge_device.pi.stage_timer import StageTimer
from dredge_device.units import FRAME_SAMPLES, PACKET_SAMPLES

DECODED = 2  # packets that the decoder decodes
PRELUDE = 1  # packets before them, for the encoder alone
NEEDED = (DECODED + PRELUDE) * PACKET_SAMPLES
MOST_PUT_OFF = 5  # lost packets after which a decoder's own concealment has faded
RISE = 10 ** (4 / 20)  # the first packet is no louder than the last 20 ms before it, or the packet after it, by more
LOUDER = 10 ** (3 / 20)  # a primed decoder's output is rejected if louder than the last 200 ms by this …
OVERSHOOT = 10 ** (2 / 20)  # … and than an empty decoder's output by this
SILK_WIDEBAND_20_MS = 9  # configuration number of the packet's first byte (RFC 6716 table 2)

Loudness = tuple[float, float]  # peak, root mean square of the loudest 10 ms


class DecoderPriming:
    """The priming: the recovered speech at the end of a gap is encoded, and the Opus decoder decodes it, so that its
    state fits.

    A packet predicts from the samples before it. After a loss the decoder has its own concealment there, which no
    longer resembles the speech; the re-encoded recovered speech does.
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


class OvershootGuard:
    """The check of the first packet after a gap.

    That packet is predicted from synthesised samples and not from decoded ones, which sometimes resonates: the output
    is up to 14 dB louder than the original. A decoder with an empty state cannot resonate; where its output is too loud
    as well, the packet after it decides.
    """

    def __init__(self, decoder: Decoder, spare: Decoder) -> None:
        """Check the output of ``decoder``; spare: a decoder that may be reset."""
        self._decoder, self._spare = decoder, spare

    def checked(self, pcm: Pcm, played: Pcm, decode: Callable[[Decoder], Pcm], behind: bytes | None) -> Pcm:
        """Return pcm, int16[320] of the primed decoder, or the packet decoded from an empty state, limited.

        played: int16[>= 320] before it; decode: decodes the packet with a decoder; behind: the packet after it, None
        where it has not arrived.
        """
        last, primed = _loudness(played[-PACKET_SAMPLES:]), _loudness(pcm)
        if not _is_louder(primed, last, RISE):
            return pcm
        self._spare.reset()
        empty = _loudness(decode(self._spare))
        if _is_louder(primed, _loudness(played), LOUDER) and _is_louder(primed, empty, OVERSHOOT):
            self._decoder.reset()
            pcm = decode(self._decoder)
        following = self._following(behind)
        return pcm if following is None else limited(pcm, RISE * max(last[1], following[1]))

    def _following(self, packet: bytes | None) -> Loudness | None:
        """Return the loudness of the packet after the one that the spare decoder has decoded."""
        try:
            return _loudness(self._spare.decode(packet)) if packet else None
        except (ValueError, RuntimeError):
            return None


def _is_louder(one: Loudness, other: Loudness, factor: float) -> bool:
    """Return whether the peak or the loudest 10 ms of one piece are more than so many times those of the other."""
    return one[0] > factor * other[0] or one[1] > factor * other[1]


def _loudness(pcm: Pcm) -> Loudness:
    """Return the peak, and the root mean square of the loudest 10 ms (in steps of 5 ms); FLOOR at least."""
    wide = pcm.astype(np.float64)
    halves = np.add.reduce((wide * wide).reshape(-1, FRAME_SAMPLES // 2), axis=1).tolist()
    loudest = max(map(add, halves, halves[1:])) / FRAME_SAMPLES
    return max(FLOOR, float(np.abs(wide).max())), max(FLOOR, math.sqrt(loudest))


def limited(pcm: Pcm, most: float) -> Pcm:
    """Return pcm turned down until its loudest 10 ms have this root mean square; the gain returns to 1 at its end."""
    gain = most / _loudness(pcm)[1]
    if gain >= 1.0:
        return pcm
    curve = np.full(len(pcm), gain)
    curve[-RAMP:] = np.linspace(gain, 1.0, RAMP)
    return np.rint(pcm * curve).astype(np.int16)


class HiddenConcealment:
    """The decoder's own concealment, which advances its state whether or not it is played.

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

    def settle(self, primed: bool) -> None:
        """Prepare the decoder for a packet: forget what was put off if it has been primed, else let it conceal those
        packets.
        """
        if primed:
            self.forget()
        self.catch_up()

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
