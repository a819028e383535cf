# SPDX-License-Identifier: BSD-2-Clause
"""Standard streams that stay safe when they were closed by the parent process or lose their reader.

Lines for people go to standard error; where that is systemd's journal they carry their severity (sd-daemon(3)).
"""

import io
import os
import select
import sys
from contextlib import suppress
from typing import Any

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6  # severities of RFC 5424
STDOUT = "standard output"


def say(text: str, severity: int = NOTICE, name: str = "dredge agent") -> None:
    """Write one line to standard error: behind the program's name, or in the journal behind "<severity>"."""
    line = " ".join(text.split("\n"))
    print(f"<{severity}>{line}" if in_journal() else f"{name}: {line}", file=sys.stderr, flush=True)


def in_journal() -> bool:
    """Return whether standard error is connected to systemd's journal (systemd.exec(5), $JOURNAL_STREAM)."""
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def write_all(descriptor: int, data: Any, name: str) -> None:
    """Write all bytes to a descriptor. Raises OSError that names ``name``."""
    rest = memoryview(data).cast("B")
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:  # another process made this pipe non-blocking
            select.select([], [descriptor], [])
        except OSError as error:
            raise OSError(error.errno, error.strerror, name) from None


class _Descriptor(io.RawIOBase):
    """Writes all that it is given to a descriptor. The first error is raised, and names ``name``; what comes after it
    is dropped, so that Python can end without another one.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor, self._name = descriptor, name
        self._failed = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        if not self._failed:
            try:
                write_all(self._descriptor, data, self._name)
            except OSError:
                self._failed = True
                raise
        return len(data)


class _TolerantStream(_Descriptor):
    """Writes to a descriptor; what cannot be written is dropped."""

    def write(self, data: Any) -> int:
        with suppress(OSError):
            os.write(self._descriptor, data)
        return len(data)


def make_safe() -> None:
    """Make the standard streams safe to use.

    Closed descriptors become /dev/null, so that no file gets their numbers; a character that a terminal cannot show is
    escaped; an error of standard output names it; standard error never ends the process, whether its reader went away
    or its disk is full.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and _is_own(sys.stdout, 1):
        unbuffered, raw = sys.stdout.write_through, _Descriptor(1, STDOUT)
        sys.stdout = io.TextIOWrapper(
            raw if unbuffered else io.BufferedWriter(raw), encoding=sys.stdout.encoding, errors="backslashreplace",
            line_buffering=sys.stdout.line_buffering, write_through=unbuffered,
        )
    if not _is_own(sys.stderr, 2):
        return  # a caller within this process has replaced it
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    raw = _TolerantStream(2, "standard error")
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(raw, 1), encoding=encoding, errors="backslashreplace", line_buffering=True, write_through=True
    )


def _is_own(stream: Any, descriptor: int) -> bool:
    """Return whether a standard stream is the process's own, or closed: not one that a caller has put in its place."""
    try:
        return stream is None or bool(stream.fileno() == descriptor)
    except (OSError, ValueError, AttributeError):
        return False
