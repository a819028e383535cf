# SPDX-License-Identifier: BSD-2-Clause
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from .lbrr import packet_has_lbrr as packet_has_lbrr
from .opuserrors import OpusError as OpusError
from .opuserrors import OpusValueError as OpusValueError

SAMPLE_RATE: int
MAX_SAMPLES: int
STEP_SAMPLES: int
APPLICATIONS: dict[str, int]
FRAME_MS: tuple[int, ...]
RATES: tuple[int, ...]

def opus_version() -> str:
    """Version string of the libopus in use, for example "libopus 1.3.1"."""

def packet_samples(packet: bytes) -> int:
    """Duration of a packet in samples at 16 kHz; OpusError (a ValueError) if it is malformed."""

class OpusEncoder:
    """Encoder of 16 kHz mono speech (voice signal, wideband) over the system's libopus.

    bitrate in bits per second; complexity 0 to 10; lbrr: in-band FEC, which needs loss_pct > 0 to
    appear; dtx: packets of one or two bytes in silence; application: voip, audio or lowdelay;
    frame_ms: 10, 20, 40 or 60. One thread at a time: RuntimeError while another one is inside. A
    context manager: closed at the end of the block. Arguments out of range raise ValueError (from
    libopus: OpusError too).
    """

    def __init__(
        self,
        bitrate: int = 24000,
        complexity: int = 9,
        lbrr: bool = False,
        loss_pct: int = 0,
        dtx: bool = False,
        application: str = "voip",
        frame_ms: int = 20,
        vbr: bool = True,
    ) -> None: ...
    @property
    def frame_samples(self) -> int: ...
    @property
    def lookahead(self) -> int: ...
    @property
    def final_range(self) -> int: ...
    def set_bitrate(self, value: int) -> None: ...
    def set_complexity(self, value: int) -> None: ...
    def set_lbrr(self, value: bool) -> None: ...
    def set_loss_pct(self, value: int) -> None: ...
    def set_dtx(self, value: bool) -> None: ...
    def set_vbr(self, value: bool) -> None: ...
    def encode(self, pcm: npt.NDArray[np.int16]) -> bytes:
        """Packet of one frame, int16 [frame_samples]; ValueError for another dtype or shape."""

    def reset(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

class OpusDecoder:
    """Decoder of Opus packets to int16 over the system's libopus: 16 kHz mono unless asked for other things.

    rate: one of RATES; channels: 1 or 2, with 2 arrays are int16 [samples, 2]. samples, where given,
    is the length of the missing stretch at this rate: a multiple of 2.5 ms up to 120 ms. Malformed
    packets raise OpusError (a ValueError) or ValueError. One thread at a time: RuntimeError while
    another one is inside. A context manager.
    """

    def __init__(self, rate: int = 16000, channels: int = 1) -> None: ...
    @property
    def rate(self) -> int: ...
    @property
    def channels(self) -> int: ...
    def set_complexity(self, value: int) -> None:
        """Effort of the decoder, 0 (as decoders always were) to 10; libopus 1.5 or later.

        What it does depends on how the library was built: from 5 on a loss is concealed by a
        network, from 6 (LACE) and 7 on (NoLACE) decoded speech is enhanced. OpusError with code -5
        where the library does not know the request.
        """

    def decode(self, packet: bytes) -> npt.NDArray[np.int16]:
        """All samples of a packet, int16 [packet_samples(packet)] at 16 kHz."""

    def decode_fec(self, packet: bytes, samples: int = 320) -> npt.NDArray[np.int16]:
        """Return the stretch lost just before this packet, from its LBRR; int16 [samples].

        Decode the packet itself afterwards. Without LBRR in the packet this is concealment
        (packet_has_lbrr tells); what lies before the LBRR copy is concealed as well.
        """

    def conceal(self, samples: int = 320) -> npt.NDArray[np.int16]:
        """libopus' own concealment of a missing stretch, int16 [samples]; its state moves on."""

    @property
    def final_range(self) -> int: ...
    def reset(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
