# SPDX-License-Identifier: BSD-2-Clause
"""Where the speech goes: a WAV file, a sound card (``soundcard``), nowhere."""

from typing import Any

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.output.interface import Output
from dredge_device.pi.output.wav import WavOutput


class NullOutput:
    """Counts samples."""

    def __init__(self) -> None:
        self._samples = 0

    def write(self, pcm: Pcm, spoken: bool) -> None:
        """Periods outside the stream (spoken=False) are not counted."""
        self._samples += len(pcm) if spoken else 0

    def close(self) -> dict[str, Any]:
        """End of a session."""
        done, self._samples = self._samples, 0
        return {"kind": "null", "samples": done}

    def discard(self) -> None:
        """Nothing to let go of."""


def open_output(text: str) -> Output:
    """``null``, ``play`` or a path that ends in .wav; ValueError for anything else."""
    if text == "null":
        return NullOutput()
    if text == "play":
        from dredge_device.pi.output.soundcard import PlayOutput

        return PlayOutput()
    if text.lower().endswith(".wav"):
        return WavOutput(text)
    raise ValueError(f"output is '{text}', expected null, play or a file name ending in .wav")
