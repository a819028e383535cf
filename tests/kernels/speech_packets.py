# SPDX-License-Identifier: BSD-2-Clause
"""The bundled speech clip and packets of it."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from dredge_kernels.opus import OpusEncoder

CLIP = Path(__file__).parent.parent / "data" / "speech_short.flac"


@functools.cache
def speech() -> npt.NDArray[np.int16]:
    """int16 [n] at 16 kHz, about 4 s."""
    samples, rate = soundfile.read(CLIP, dtype="int16")
    assert rate == 16000
    samples.flags.writeable = False
    return samples


def encode(frame_ms: int = 20, seconds: float = 4.0, **settings: object) -> list[bytes]:
    """Packets of the clip's first seconds."""
    size = 16 * frame_ms
    with OpusEncoder(frame_ms=frame_ms, **settings) as encoder:  # type: ignore[arg-type]
        clip = speech()[: int(16000 * seconds)]
        return [encoder.encode(clip[at : at + size]) for at in range(0, len(clip) - size + 1, size)]
