# SPDX-License-Identifier: BSD-2-Clause
"""An output of raw samples to another program, by standard output or as the input of a command."""

import errno
import subprocess
import sys
from collections.abc import Callable

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.output.interface import SPEECH, Format
from dredge_device.pi.output.resample import Resampler
from dredge_device.pi.schema.report import OutputReport
from dredge_device.pi.standard_streams import STDOUT, write_all

_END_S = 2.0  # time for a command to play the rest of its input
_LET_GO_S = 0.5  # between a command's last read and its end


class PipeOutput:
    """An output of little-endian int16, mono or as ``form`` says, silence included.

    ``put`` takes bytes; ``end`` releases the other program. An exception of ``put`` ends the session: BrokenPipeError
    when the reader went away.
    """

    def __init__(
        self, kind: str, put: Callable[[bytes], object], end: Callable[[], object], rate: int,
        form: Format = SPEECH,
    ) -> None:  # fmt: skip
        self._kind, self._put, self._end = kind, put, end
        self._resampler = Resampler(form.rate, rate, form.channels)
        self._samples = 0

    def write(self, pcm: Pcm, of_stream: bool) -> None:
        """Write every period, silence too, so that the reader's clock continues."""
        del of_stream
        piece = self._resampler.convert(pcm)
        self._samples += len(piece)
        self._put(piece.astype("<i2", copy=False).tobytes())

    def close(self) -> OutputReport:
        """End the session; the reader is kept."""
        done, self._samples = self._samples, 0
        return {"kind": self._kind, "rate": self._resampler.target, "samples": done}

    def discard(self) -> None:
        """Release the reader at the end of the process."""
        self._end()


def to_stdout(rate: int, form: Format = SPEECH) -> PipeOutput:
    """Return an output to standard output; nothing else may be printed there."""
    sys.stdout.flush()
    descriptor = sys.stdout.fileno()
    return PipeOutput("stdout", lambda data: write_all(descriptor, data, STDOUT), lambda: None, rate, form)


def _fate(process: subprocess.Popen[bytes]) -> str:
    try:
        code = process.wait(_LET_GO_S)
    except subprocess.TimeoutExpired:
        return "it runs on with its input closed"
    return f"it ended by signal {-code}" if code < 0 else f"it ended with exit code {code}"


def to_command(command: str, rate: int, form: Format = SPEECH) -> PipeOutput:
    """Return an output to the standard input of a shell command."""
    process = subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE)
    into = process.stdin
    assert into is not None

    def put(data: bytes) -> None:
        try:
            into.write(data)
            into.flush()
        except BrokenPipeError:
            raise BrokenPipeError(errno.EPIPE, f"'{command}' reads no more ({_fate(process)})") from None

    def end() -> None:
        try:
            into.close()
            process.wait(_END_S)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            process.terminate()

    return PipeOutput("command", put, end, rate, form)
