# SPDX-License-Identifier: BSD-2-Clause
"""Output to WAV files."""

import os
import struct
from itertools import islice

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.output.files import PRIVATE, OutputFile, is_stream, numbered
from dredge_device.pi.output.interface import SPEECH, Format
from dredge_device.pi.schema.report import OutputReport
from dredge_device.pi.standard_streams import WARNING, say
from dredge_device.pi.transport.errors import refusal
from dredge_device.units import SAMPLE_RATE

HEADER_BYTES = 44
_UNKNOWN = 0xFFFFFFFF


def header(samples: int | None, rate: int = SAMPLE_RATE, channels: int = 1) -> bytes:
    """Return the 44 bytes before 16-bit samples (RIFF WAVE); samples None, or more than fit: the length is unknown.
    """
    block = 2 * channels
    size = _UNKNOWN if samples is None else min(block * samples, _UNKNOWN)
    riff = min(size + HEADER_BYTES - 8, _UNKNOWN)
    head = struct.pack("<4sI8sIHHIIHH", b"RIFF", riff, b"WAVEfmt ", 16, 1, channels, rate, block * rate, block, 16)
    return head + struct.pack("<4sI", b"data", size)


class WavOutput:
    """One WAV file per session, under the next free name: FILE.wav, then FILE-2.wav and so on.

    overwrite: FILE.wav is replaced by the first session, FILE-2.wav by the second. A file appears under its name
    only when it is complete; a session without speech leaves none. A FIFO or device takes one WAV stream per
    session. A later failure (a full disk, a reader that went away) is reported once on standard error and in
    the session's report; the file keeps what was written, and the stream continues. Raises OutputError at the start.
    """

    def __init__(
        self, path: str | os.PathLike[str], overwrite: bool = False, mode: int = PRIVATE, form: Format = SPEECH
    ) -> None:
        self._path = os.fspath(path)
        self._overwrite, self._mode, self._form = overwrite, mode, form
        self._session = 1
        self._file: OutputFile | None = None
        self._error: str | None = None
        if not is_stream(path):
            self._opened().discard()  # a wrong path fails here, at the start

    def _opened(self) -> OutputFile:
        name = self._path
        if self._overwrite and not is_stream(name):
            name = next(islice(numbered(name), self._session - 1, None))
        return OutputFile(name, keep=not self._overwrite, mode=self._mode)

    def write(self, pcm: Pcm, of_stream: bool) -> None:
        """Write the stream only: sample 0 of the file is the first sample of its first packet."""
        if not of_stream or self._error is not None:
            return
        try:
            if self._file is None:
                self._file = self._opened()
                self._file.write(header(None, *self._form))
            self._file.write(pcm.astype("<i2", copy=False).tobytes())
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        self._error = refusal(error)
        say(f"{self._error}; the recording ends here, the stream goes on", WARNING)

    def close(self) -> OutputReport:
        """Complete the file; the next session gets a new one."""
        report: OutputReport = {"kind": "wav", "file": None, "samples": 0}
        file, self._file = self._file, None
        if file is not None:
            try:
                report["samples"] = _completed(file, self._form)
                if report["samples"]:
                    report["file"] = str(file.finish())
                    self._session += 1
                else:
                    file.discard()
            except OSError as error:
                file.discard()
                report["samples"], report["file"] = 0, None
                self._fail(error)
        if self._error is not None:
            report["error"], self._error = self._error, None
        return report

    def discard(self) -> None:
        """End the output and complete the file of the open session."""
        self.close()


def _completed(file: OutputFile, form: Format) -> int:
    """Write the length into the header; return the samples. An incomplete sample at the end is cut off."""
    block = 2 * form.channels
    samples = max(0, file.size - HEADER_BYTES) // block
    if not file.is_stream:
        file.shorten(HEADER_BYTES + block * samples if samples else 0)
        if samples:
            file.replace(0, header(samples, *form))
    return samples
