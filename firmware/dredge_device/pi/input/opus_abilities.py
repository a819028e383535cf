# SPDX-License-Identifier: BSD-2-Clause
"""The abilities of the system's libopus beyond decoding, found by trying, since its version says nothing about its
build.
"""

from dataclasses import dataclass
from functools import cache

from dredge_device.pi.interfaces import Encoder
from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE

DEEP_PLC, LACE, NOLACE = 5, 6, 7  # the decoder's complexity from which on each works (libopus 1.5 and later)
MOST = 10
COMPLEXITY_HELP = "Of libopus' decoder, 1.5 or later: 5 conceals by a network, 6 and 7 enhance speech (LACE, NoLACE)."


@dataclass(frozen=True)
class OpusAbilities:
    """The abilities of a libopus.

    version: libopus' version string; settable: its decoders have a complexity; deep_plc: losses are concealed by a
    network (complexity 5); enhancement: decoded speech is enhanced by LACE (6) and NoLACE (7).
    """

    version: str
    settable: bool = False
    deep_plc: bool = False
    enhancement: bool = False

    @property
    def best(self) -> int:
        """The least complexity that enables all abilities of this library."""
        return NOLACE if self.enhancement else DEEP_PLC if self.deep_plc else 0

    def missing(self, complexity: int) -> str:
        """Return why a decoder of this complexity would be no better than one of complexity 0; empty if it is, and for
        0.
        """
        if complexity < 1:
            return ""
        if not self.settable:
            return (
                f"a decoder's complexity needs libopus 1.5 or later (Debian 13), {self.version} is here; "
                "leave --opus-complexity out"
            )
        if complexity < DEEP_PLC:
            return f"decoders of complexity 1 to {DEEP_PLC - 1} do what 0 does; expected {DEEP_PLC} to {MOST}"
        if not (self.enhancement if complexity >= LACE else self.deep_plc):
            return (
                f"{self.version} here was built without its networks (--enable-deep-plc, --enable-osce); "
                "leave --opus-complexity out"
            )
        return ""


@cache
def opus_abilities() -> OpusAbilities:
    """Test libopus once per process: code, decode and conceal 0.4 s of a vowel at each complexity (about 20 ms)."""
    from dredge_kernels.opus import OpusDecoder, OpusEncoder, OpusError, opus_version

    version = opus_version()
    packets = _vowel(OpusEncoder(bitrate=12000))

    def heard(complexity: int) -> list[bytes]:
        with OpusDecoder() as decoder:
            if complexity:
                decoder.set_complexity(complexity)
            return [*(decoder.decode(packet).tobytes() for packet in packets), decoder.conceal().tobytes()]

    plain = heard(0)
    try:
        deep, enhanced = heard(DEEP_PLC), heard(LACE)
    except OpusError:
        return OpusAbilities(version)
    return OpusAbilities(version, True, deep[-1] != plain[-1], enhanced[:-1] != plain[:-1])


def _vowel(encoder: Encoder) -> list[bytes]:
    """Return packets of 0.4 s: harmonics of 120 Hz under a formant."""
    import numpy as np

    at = np.arange(20 * PACKET_SAMPLES) / SAMPLE_RATE
    tones = [np.sin(2 * np.pi * 120 * k * at) / (1 + ((120 * k - 600) / 300) ** 2) for k in range(1, 25)]
    pcm = (6000 * np.sum(tones, axis=0)).clip(-20000, 20000).astype(np.int16)
    return [bytes(encoder.encode(piece)) for piece in pcm.reshape(-1, PACKET_SAMPLES)]
