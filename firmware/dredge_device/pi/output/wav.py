# SPDX-License-Identifier: BSD-2-Clause
"""Output to a WAV file."""

import os
import struct
import wave
from pathlib import Path
from typing import Any

from dredge_device.pi.interfaces import Pcm
from dredge_device.units import SAMPLE_RATE

_HEADER_BYTES = 44


class WavOutput:
    """One WAV file per session: FILE.wav, then FILE-2.wav and so on.

    A file appears under its name only when it is complete; until then it is ``.NAME.part``.
    Raises OSError when the folder cannot be written, or when the disk is full: then what fitted becomes
    the file, and nothing more is taken for it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._session = 0
        self._open()

    def _open(self) -> None:
        self._session += 1
        stem, suffix = self._path.stem, self._path.suffix or ".wav"
        name = f"{stem}{suffix}" if self._session == 1 else f"{stem}-{self._session}{suffix}"
        self._final = self._path.with_name(name)
        self._part = self._path.with_name(f".{name}.part")
        self._raw = self._part.open("wb")
        self._wav = wave.Wave_write(self._raw)
        self._wav.setnchannels(1)
        self._wav.setsampwidth(2)
        self._wav.setframerate(SAMPLE_RATE)
        self._samples = 0
        self._full = False

    def write(self, pcm: Pcm, spoken: bool) -> None:
        """The stream only: sample 0 of the file is the first sample of its first packet."""
        if not spoken or self._full:
            return
        self._samples += len(pcm)
        try:
            self._wav.writeframesraw(pcm.astype("<i2", copy=False).tobytes())
        except OSError:
            self._full = True
            raise

    def close(self) -> dict[str, Any]:
        """Completes the file; the next session gets a new one."""
        report = self._finish()
        self._open()
        return report

    def _finish(self) -> dict[str, Any]:
        self._let_go()
        if self._full:
            self._samples = _shortened(self._part)
        os.replace(self._part, self._final)
        return {"kind": "wav", "file": str(self._final), "samples": self._samples}

    def discard(self) -> None:
        """GapEnds for good; a file that no session has written to is not left behind."""
        if self._samples or self._session == 1:
            self._finish()
        else:
            self._let_go()
            self._part.unlink()

    def _let_go(self) -> None:
        for file in (self._wav, self._raw):
            try:
                file.close()
            except OSError:  # the last samples do not fit
                self._full = True


def _shortened(path: Path) -> int:
    """Makes a WAV file of what a full disk took, in place; returns its samples."""
    samples = max(0, path.stat().st_size - _HEADER_BYTES) // 2
    size = 2 * samples
    with path.open("r+b") as file:
        file.truncate(_HEADER_BYTES + size if samples else 0)
        if samples:
            rates = SAMPLE_RATE, 2 * SAMPLE_RATE  # samples and bytes per second
            head = struct.pack("<4sI8sIHHIIHH", b"RIFF", 36 + size, b"WAVEfmt ", 16, 1, 1, *rates, 2, 16)
            file.write(head + struct.pack("<4sI", b"data", size))
    return samples
