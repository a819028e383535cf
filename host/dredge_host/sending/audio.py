# SPDX-License-Identifier: BSD-2-Clause
"""Audio files: anything soundfile reads becomes 16 kHz mono int16; what is written is whole or not there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dredge_device.pi.output.files import OutputFile, is_stream, write_bytes
from dredge_device.pi.output.wav import header
from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE
from dredge_host.errors import CapabilityError, InputError, UsageError

CLIP_NAME = "demo_speech.flac"
RATES = (1000, 768000)       # Hz; a header may promise anything
CONTAINERS = {
    ".wav": "WAV", ".flac": "FLAC PCM_16", ".ogg": "OGG VORBIS", ".opus": "OGG OPUS", ".mp3": "MP3",
}  # fmt: skip
MAX_VALUES = 1 << 29         # samples of all channels: 2 GiB while they are read, over nine hours at 16 kHz

Pcm = NDArray[np.int16]


@dataclass
class Audio:
    """Speech ready for the pipeline.

    pcm: int16[n], 16 kHz mono; rate, channels: what the file had; notes: what was changed.
    """

    pcm: Pcm
    rate: int
    channels: int
    notes: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_RATE


def read_audio(path: str | Path) -> Audio:
    """Read a WAV, FLAC or OGG file as 16 kHz mono int16.

    A 16 kHz mono 16-bit file comes back sample for sample; anything else is converted with a note.
    Raises InputError when the file is missing, damaged or empty.
    """
    import soundfile

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: there is no such audio file")
    try:
        with soundfile.SoundFile(str(path)) as file:
            rate, channels, subtype = file.samplerate, file.channels, file.subtype
            exact = rate == SAMPLE_RATE and channels == 1 and subtype == "PCM_16"
            _check_size(path, rate, file.frames * channels)
            data = file.read(dtype="int16" if exact else "float32", always_2d=True)
    except InputError:
        raise
    except (soundfile.SoundFileError, RuntimeError, ValueError, MemoryError) as error:
        raise InputError(f"{path}: not a readable WAV, FLAC or OGG file ({_short(error)})") from None
    if len(data) == 0:
        raise InputError(f"{path}: the file holds no audio samples")
    if exact:
        return Audio(np.ascontiguousarray(data[:, 0]), rate, channels)
    notes: list[str] = []
    pcm = to_int16(_to_rate(_to_mono(_finite(data, notes), notes), rate, notes))
    if len(pcm) == 0:
        raise InputError(f"{path}: shorter than one sample at 16 kHz")
    return Audio(pcm, rate, channels, notes)


def _check_size(path: Path, rate: int, values: int) -> None:
    if not RATES[0] <= rate <= RATES[1]:
        raise InputError(f"{path}: sample rate is {rate} Hz, expected {RATES[0]} to {RATES[1]} Hz")
    if values > MAX_VALUES:
        raise InputError(f"{path}: {values} samples, expected at most {MAX_VALUES}; cut it into pieces")


def to_int16(signal: NDArray[np.float32]) -> Pcm:
    """float32[n] in -1 … 1 to int16[n], rounded and clipped."""
    scaled = np.rint(np.asarray(signal, dtype=np.float64) * 32768.0)
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def packets(pcm: Pcm, count: int | None = None) -> Iterator[Pcm]:
    """Cut int16[n] into int16[320] pieces, the rest filled with zeros; `count` forces how many."""
    total = -(-len(pcm) // PACKET_SAMPLES) if count is None else count
    for start in range(0, total * PACKET_SAMPLES, PACKET_SAMPLES):
        piece = pcm[start : start + PACKET_SAMPLES]
        if len(piece) < PACKET_SAMPLES:
            piece = np.concatenate([piece, np.zeros(PACKET_SAMPLES - len(piece), np.int16)])
        yield np.ascontiguousarray(piece)


def check_audio_target(path: str | Path) -> str:
    """The container that the name asks for: WAV where it says nothing. Raises UsageError for any other."""
    suffix = Path(path).suffix.lower()
    if suffix in CONTAINERS:
        return CONTAINERS[suffix]
    if is_stream(path) or not suffix:
        return "WAV"
    raise UsageError(f"{path}: expected a name ending in {', '.join(CONTAINERS)}, got '{suffix}'")


def write_audio(path: str | Path, pcm: Pcm, rate: int = SAMPLE_RATE) -> Path:
    """Write int16[n], mono, as a file that is complete or not there at all; its name decides the format.

    WAV and FLAC keep every sample, .ogg is Vorbis, .opus and .mp3 are what they say. Raises UsageError for another
    name, OutputError when it cannot be written.
    """
    container = check_audio_target(path)
    pcm = np.ascontiguousarray(pcm, np.int16)
    if container == "WAV":
        with OutputFile(path) as file:
            file.write(header(len(pcm), rate))
            file.write(pcm.astype("<i2", copy=False).data)
        return Path(path)
    return write_bytes(path, _encoded(container, pcm, rate))


def _encoded(container: str, pcm: Pcm, rate: int) -> bytes:
    import soundfile

    buffer = io.BytesIO()
    form, _, subtype = container.partition(" ")
    try:
        soundfile.write(buffer, pcm, rate, subtype or None, format=form)
    except (soundfile.SoundFileError, RuntimeError, ValueError) as error:
        raise CapabilityError(f"this libsndfile cannot write {container} ({_short(error)}); use .wav") from None
    return buffer.getvalue()


@contextmanager
def bundled_clip() -> Iterator[Path]:
    """The speech clip that comes with the package, as a path."""
    entry = resources.files("dredge_host") / "assets" / CLIP_NAME
    if not entry.is_file():
        raise InputError(f"the bundled clip {CLIP_NAME} is missing; reinstall the package")
    with resources.as_file(entry) as path:
        yield path


def _finite(data: NDArray[np.float32], notes: list[str]) -> NDArray[np.float32]:
    bad = ~np.isfinite(data)
    if bad.any():
        notes.append(f"replaced {int(bad.sum())} samples that are no numbers by silence")
        data = np.where(bad, np.float32(0), data)
    return data


def _to_mono(data: NDArray[np.float32], notes: list[str]) -> NDArray[np.float32]:
    if data.shape[1] > 1:
        notes.append(f"mixed {data.shape[1]} channels to mono")
    return data.mean(axis=1, dtype=np.float64).astype(np.float32)


def _to_rate(signal: NDArray[np.float32], rate: int, notes: list[str]) -> NDArray[np.float32]:
    if rate == SAMPLE_RATE:
        return signal
    import soxr

    notes.append(f"converted from {rate} Hz to {SAMPLE_RATE} Hz")
    return np.asarray(soxr.resample(signal, rate, SAMPLE_RATE, quality="HQ"), np.float32)


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text.rsplit(": ", 1)[-1].rstrip(".")
