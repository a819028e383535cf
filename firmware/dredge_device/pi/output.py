# SPDX-License-Identifier: BSD-2-Clause
"""Where the speech goes: a WAV file, a sound card, nowhere."""

import os
import wave
from pathlib import Path
from typing import Any, Protocol

from dredge_device.pi.parts import Pcm

RATE = 16000


class CapabilityError(RuntimeError):
    """Something this machine does not have was asked for."""


class Output(Protocol):
    """Takes 20 ms at a time; ``close`` ends a session and says what was made, ``discard`` all."""

    def write(self, pcm: Pcm, spoken: bool) -> None: ...
    def close(self) -> dict[str, Any]: ...
    def discard(self) -> None: ...


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


class WavOutput:
    """One WAV file per session: FILE.wav, then FILE-2.wav and so on.

    A file appears under its name only when it is complete; until then it is ``.NAME.part``.
    Raises OSError when the folder cannot be written.
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
        self._wav.setframerate(RATE)
        self._samples = 0

    def write(self, pcm: Pcm, spoken: bool) -> None:
        """The stream only: sample 0 of the file is the first sample of its first packet."""
        if spoken:
            self._wav.writeframesraw(pcm.astype("<i2", copy=False).tobytes())
            self._samples += len(pcm)

    def close(self) -> dict[str, Any]:
        """Completes the file; the next session gets a new one."""
        report = self._finish()
        self._open()
        return report

    def _finish(self) -> dict[str, Any]:
        self._wav.close()
        self._raw.close()
        os.replace(self._part, self._final)
        return {"kind": "wav", "file": str(self._final), "samples": self._samples}

    def discard(self) -> None:
        """Ends for good; a file that no session has written to is not left behind."""
        if self._samples or self._session == 1:
            self._finish()
        else:
            self._wav.close()
            self._raw.close()
            self._part.unlink()


class PlayOutput:
    """The default sound card. Raises CapabilityError when there is none to use."""

    def __init__(self) -> None:
        try:
            import sounddevice  # type: ignore[import-not-found, import-untyped, unused-ignore]
        except (ImportError, OSError) as error:
            raise CapabilityError(
                "playing needs the package sounddevice and libportaudio2: "
                "pip install sounddevice; or use --out FILE.wav"
            ) from error
        try:
            # PortAudio's own low latency crackles on a Pi; 40 ms does not.
            self._stream = sounddevice.RawOutputStream(RATE, 0, None, 1, "int16", latency=0.04)
            self._stream.start()
        except sounddevice.PortAudioError as error:
            raise CapabilityError(f"no sound card can be opened: {error}") from error
        self._underflows = 0

    def write(self, pcm: Pcm, spoken: bool) -> None:
        """Everything is played, silence too."""
        self._underflows += bool(self._stream.write(pcm.tobytes()))

    def close(self) -> dict[str, Any]:
        """End of a session; the card stays open."""
        done, self._underflows = self._underflows, 0
        report: dict[str, Any] = {"kind": "play", "underflows": done}
        if done:
            report["advice"] = (
                "the sound card ran dry: give the agent --realtime, or a core of its own (--core), "
                "and check with `dredge check` that the board keeps up"
            )
        return report

    def discard(self) -> None:
        """Lets go of the card."""
        self._stream.stop()
        self._stream.close()


def open_output(text: str) -> Output:
    """``null``, ``play`` or a path that ends in .wav; ValueError for anything else."""
    if text == "null":
        return NullOutput()
    if text == "play":
        return PlayOutput()
    if text.lower().endswith(".wav"):
        return WavOutput(text)
    raise ValueError(f"output is '{text}', expected null, play or a file name ending in .wav")
