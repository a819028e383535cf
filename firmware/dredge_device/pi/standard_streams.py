# SPDX-License-Identifier: BSD-2-Clause
"""Standard streams that stay safe when they were closed by the parent process or lose their reader.

Lines for people go to standard error; where that is systemd's journal they carry their severity (sd-daemon(3)).
"""

import io
import os
import sys
from contextlib import suppress
from typing import Any

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6  # severities of RFC 5424


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


class _TolerantStream(io.RawIOBase):
    """Writes to a descriptor; output without a reader is dropped."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any) -> int:
        with suppress(OSError):
            os.write(self._descriptor, data)
        return len(data)


def make_safe() -> None:
    """Make the standard streams safe to use.

    Closed descriptors become /dev/null, so that no file gets their numbers; a character that a terminal cannot show is
    escaped; standard error never ends the process, whether its reader went away or its disk is full.
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
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if not _is_own_stderr():
        return  # a caller within this process has replaced it
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    raw = _TolerantStream(2)
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(raw, 1), encoding=encoding, errors="backslashreplace", line_buffering=True, write_through=True
    )


def _is_own_stderr() -> bool:
    """Return whether standard error is the process's own, or closed: not one that a caller has put in its place."""
    try:
        return sys.stderr is None or sys.stderr.fileno() == 2
    except (OSError, ValueError, AttributeError):
        return False
