# SPDX-License-Identifier: BSD-2-Clause
"""A second decoding of received packets at the rate and with the channels of the output."""

import numpy as np
from numpy.typing import NDArray

from dredge_device.pi.input.periods import Period
from dredge_device.pi.interfaces import Decoder, Pcm
from dredge_device.pi.output.interface import Format
from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE

_FADE_MS = 10  # fade from the speech alone to the packet's whole signal
_FOLLOWED = 5  # lost periods that the decoder conceals; after those its state stays as it is
_STEREO = 0x04  # bit of a packet's first byte (RFC 6716 section 3.1)


def reaches_beyond(first: int, form: Format) -> bool:
    """Return whether a packet with this first byte holds a signal beyond 16 kHz mono that ``form`` can represent.

    Configurations 12 to 15 are hybrid, 24 to 31 CELT of 12 and 20 kHz (RFC 6716 table 2).
    """
    configuration = first >> 3
    wide = form.rate > SAMPLE_RATE and (12 <= configuration < 16 or configuration >= 24)
    return wide or (form.channels == 2 and bool(first & _STEREO))


class Companion:
    """The speech beyond 16 kHz mono, int16[n, channels] per period; zeros where there is nothing to add.

    It begins with a fade of 10 ms and ends with the decoder's own concealment, which fades within 20 ms. Recovered
    speech is 16 kHz mono, so only the bandwidth changes at a transition. A stream without anything beyond that is not
    decoded twice.
    """

    def __init__(self, decoder: Decoder, form: Format) -> None:
        self._decoder = decoder
        self._form = form
        self._samples = PACKET_SAMPLES * form.rate // SAMPLE_RATE
        self._fade = _ramp(_FADE_MS * form.rate // 1000)
        self._end = _ramp(self._samples)[::-1]
        self._silence = np.zeros((self._samples, form.channels), np.int16)
        self._heard = False  # the last period was decoded here
        self._lost = 0  # lost periods since then
        self._stale = True  # the decoder's state does not fit the next packet

    def received(self, packet: Period) -> Pcm:
        """Return the period of this packet."""
        if not (self._heard or self._following) and not reaches_beyond(packet[0], self._form):
            return self._silence
        try:
            if self._stale:
                self._decoder.reset()
            pcm = self._shaped(self._decoder.decode(packet))  # type: ignore[arg-type]
        except (ValueError, RuntimeError):
            return self.missing()
        fresh, self._stale = not self._heard, False
        self._heard, self._lost = reaches_beyond(packet[0], self._form), 0
        self._stale = not self._heard
        return self._mixed(pcm, self._fade, 0) if fresh else pcm

    def missing(self) -> Pcm:
        """Return a lost period."""
        if not self._heard and not self._following:
            return self._silence
        fading, self._heard = self._heard, False
        self._lost += 1
        try:
            pcm = self._shaped(self._decoder.conceal(self._samples))
        except RuntimeError:
            return self._silence
        return self._mixed(pcm, self._end, len(pcm) - len(self._end)) if fading else self._silence

    def restart(self) -> None:
        """Begin another stream."""
        self._heard, self._stale, self._lost = False, True, 0

    @property
    def _following(self) -> bool:
        """True in a gap whose first lost periods the decoder has concealed."""
        return not self._stale and self._lost < _FOLLOWED

    def _shaped(self, pcm: Pcm) -> Pcm:
        return pcm.reshape(-1, self._form.channels)

    @staticmethod
    def _mixed(pcm: Pcm, weight: NDArray[np.float32], at: int) -> Pcm:
        out = pcm.copy()
        out[at : at + len(weight)] = np.rint(pcm[at : at + len(weight)] * weight[:, None])
        return out


def _ramp(samples: int) -> NDArray[np.float32]:
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(samples) + 0.5) / samples)).astype(np.float32)
