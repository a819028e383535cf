# SPDX-License-Identifier: BSD-2-Clause
"""Audio files: reading with soundfile as 16 kHz mono int16; a written file is complete or absent."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from dredge_device.pi.output.files import OutputFile, is_stream, write_bytes
from dredge_device.pi.output.wav import header
from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE
from dredge_host.errors import CapabilityError, InputError, UsageError
from dredge_host.sending.audio_input import links_of, open_input
from dredge_host.sending.levels import Treatment, examine, treat
from dredge_kernels.arrays import Pcm

CLIP_NAME = "demo_speech.flac"
RATES = (1000, 768000)       # Hz; limits of the rate in a header
CONTAINERS = {
    ".wav": "WAV", ".flac": "FLAC PCM_16", ".ogg": "OGG VORBIS", ".opus": "OGG OPUS", ".mp3": "MP3",
}  # fmt: skip
MAX_VALUES = 1 << 29         # samples in memory: 1 GiB, over nine hours at 16 kHz

_BLOCK = 1 << 20              # values that are read at a time
_INTEGERS = ("PCM_", "ALAC", "ULAW", "ALAW")  # formats that cannot exceed full scale



@dataclass
class Audio:
    """Speech that is ready for the pipeline.

    pcm: int16[n], 16 kHz mono; rate (Hz), channels: those of the file; notes: the changes.
    """

    pcm: Pcm
    rate: int
    channels: int
    notes: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return len(self.pcm) / SAMPLE_RATE


class AudioFile:
    """An audio file as speech, read block by block, so that a file of any length takes little memory.

    path: a file, a FIFO, ``-`` or another name of standard input. rate (Hz), channels, frames: from its header (of
    the first link, where several follow each other in an Ogg file; frames: of all); notes: the changes. A context
    manager. Raises InputError when it is missing or damaged, also while it is read.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        with ExitStack() as stack:
            opened, self.notes = stack.enter_context(open_input(path))
            self._links = [stack.enter_context(_Link(path, file)) for file in links_of(opened)]
            self._stack = stack.pop_all()
        first = self._links[0]
        self.rate, self.channels = first.rate, first.channels
        self.frames = sum(link.frames * first.rate // link.rate for link in self._links)
        if len(self._links) > 1:
            self.notes.append(f"{len(self._links)} recordings follow each other in this file")
        self.notes += dict.fromkeys(note for link in self._links for note in link.notes)

    def blocks(self) -> Iterator[Pcm]:
        """Yield int16[n], 16 kHz mono, from the beginning; raise InputError if there is not a single sample."""
        count = 0
        for link in self._links:
            for block in link.blocks():
                count += len(block)
                yield block
        if not count:
            raise InputError(f"{self.path}: the file holds no audio samples")

    def close(self) -> None:
        """Close the file."""
        self._stack.close()

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Link:
    """The part of a file that one header describes."""

    def __init__(self, path: str | Path, file: IO[bytes]) -> None:
        import soundfile

        self._path, self.notes = path, list[str]()
        with self._told():
            self._file = soundfile.SoundFile(file)
        self.rate, self.channels, self.frames = self._file.samplerate, self._file.channels, self._file.frames
        if not RATES[0] <= self.rate <= RATES[1]:
            raise InputError(f"{path}: sample rate is {self.rate} Hz, expected {RATES[0]} to {RATES[1]} Hz")
        self._exact = self.rate == SAMPLE_RATE and self.channels == 1 and self._file.subtype == "PCM_16"
        self._treatment = Treatment()
        if self.channels > 1 or not self._file.subtype.startswith(_INTEGERS):
            self._treatment = examine(self._read("float32"), self.channels)
            self.notes += self._treatment.notes
        if self.rate != SAMPLE_RATE:
            self.notes.append(f"converted from {self.rate} Hz to {SAMPLE_RATE} Hz")

    def __enter__(self) -> _Link:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def blocks(self) -> Iterator[Pcm]:
        """Yield int16[n], 16 kHz mono, from the beginning."""
        if self._exact:
            for block in self._read("int16"):
                yield np.ascontiguousarray(block[:, 0])
            return
        blocks = (treat(block, self._treatment) for block in self._read("float32"))
        for block in blocks if self.rate == SAMPLE_RATE else _resampled(blocks, self.rate):
            yield to_int16(block)

    def _read(self, dtype: str) -> Iterator[Any]:
        with self._told():
            self._file.seek(0)
        while True:
            with self._told():
                block = self._file.read(_BLOCK // self.channels or 1, dtype=dtype, always_2d=True)
            if not len(block):
                return
            yield block

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, ValueError, TypeError, MemoryError, OSError) as error:  # soundfile's is a RuntimeError
            raise InputError(f"{self._path}: not a readable WAV, FLAC or OGG file ({_short(error)})") from None


def _resampled(blocks: Iterable[NDArray[np.float32]], rate: int) -> Iterator[NDArray[np.float32]]:
    """Yield the blocks at 16 kHz, equal sample for sample to a conversion of the whole."""
    import soxr

    stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def read_audio(path: str | Path) -> Audio:
    """Read a WAV, FLAC or OGG file as 16 kHz mono int16.

    A 16 kHz mono 16-bit file comes back sample for sample; anything else is converted with a note.
    Raises InputError when the file is missing, damaged, empty or too long for memory (`AudioFile` takes any length).
    """
    with AudioFile(path) as file:
        _check_size(path, file.frames * file.channels)
        blocks, samples = [], 0
        for block in file.blocks():
            blocks.append(block)
            samples += len(block)
            _check_size(path, samples)
        return Audio(np.concatenate(blocks), file.rate, file.channels, file.notes)


def audio_length(path: str | Path) -> tuple[int, int]:
    """Return the samples per channel and their rate in Hz, from the header. Raises InputError."""
    import soundfile

    with open_input(path) as (opened, _):
        try:
            with soundfile.SoundFile(opened) as file:
                return file.frames, file.samplerate
        except (RuntimeError, ValueError, TypeError) as error:
            raise InputError(f"{path}: not a readable WAV, FLAC or OGG file ({_short(error)})") from None


def _check_size(path: str | Path, values: int) -> None:
    if values > MAX_VALUES:
        raise InputError(f"{path}: {values} samples, expected at most {MAX_VALUES}; cut it into pieces")


def to_int16(signal: NDArray[np.float32]) -> Pcm:
    """Return float32[n] in -1 … 1 as int16[n], rounded and clipped."""
    scaled = np.rint(np.asarray(signal, dtype=np.float64) * 32768.0)
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def packets(pcm: Pcm, count: int | None = None) -> Iterator[Pcm]:
    """Cut int16[n] into int16[320] pieces, the rest filled with zeros; `count`: number of pieces."""
    total = -(-len(pcm) // PACKET_SAMPLES) if count is None else count
    for start in range(0, total * PACKET_SAMPLES, PACKET_SAMPLES):
        piece = pcm[start : start + PACKET_SAMPLES]
        if len(piece) < PACKET_SAMPLES:
            piece = np.concatenate([piece, np.zeros(PACKET_SAMPLES - len(piece), np.int16)])
        yield np.ascontiguousarray(piece)


def check_audio_target(path: str | Path) -> str:
    """Return the container by the name's ending, WAV without one. Raises UsageError for any other."""
    suffix = Path(path).suffix.lower()
    if suffix in CONTAINERS:
        return CONTAINERS[suffix]
    if is_stream(path) or not suffix:
        return "WAV"
    raise UsageError(f"{path}: expected a name ending in {', '.join(CONTAINERS)}, got '{suffix}'")


def write_audio(path: str | Path, pcm: Pcm, rate: int = SAMPLE_RATE) -> Path:
    """Write int16[n], mono, as a file that is complete or absent; its name determines the format.

    WAV and FLAC keep every sample, .ogg is Vorbis, .opus and .mp3 are Opus and MP3. Raises UsageError for another
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


def repacked(blocks: Iterable[Pcm], samples: int | None = None) -> Iterator[Pcm]:
    """Yield int16[320] pieces of blocks of any length, `samples` at most; the last piece is filled with zeros."""
    rest, left = np.zeros(0, np.int16), samples
    for block in blocks:
        block = block if left is None else block[:left]
        left = None if left is None else left - len(block)
        joined = np.concatenate([rest, block])
        whole = len(joined) - len(joined) % PACKET_SAMPLES
        yield from packets(joined[:whole])
        rest = joined[whole:]
        if left == 0:
            break
    yield from packets(rest)


@contextmanager
def bundled_clip() -> Iterator[Path]:
    """Yield the path of the speech clip in the package."""
    entry = resources.files("dredge_host") / "assets" / CLIP_NAME
    if not entry.is_file():
        raise InputError(f"the bundled clip {CLIP_NAME} is missing; reinstall the package")
    with resources.as_file(entry) as path:
        yield path


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text.rsplit(": ", 1)[-1].rstrip(".")
