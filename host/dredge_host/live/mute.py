# SPDX-License-Identifier: BSD-2-Clause
"""The mute switch of a running stream: the signals SIGUSR1 and SIGUSR2, and the key m at a terminal."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import threading
import tty
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any, TextIO

KEY = b"m"


class MuteSwitch:
    """A call returns whether the stream is muted now. A context manager: at its end the terminal and the signals
    are restored.

    There are two signals and not one that toggles, so that a script that sends one twice knows the state. Signals need
    the main thread, the key a terminal whose foreground belongs to this process; otherwise the switch cannot change.
    others: actions of further keys.
    """

    def __init__(self, keys: TextIO | None = None, others: Mapping[bytes, Callable[[], None]] | None = None) -> None:
        self.muted = False
        self._others = others or {}
        self._keys = sys.stdin if keys is None else keys
        self._fd: int | None = None
        self._undo = contextlib.ExitStack()

    def __call__(self) -> bool:
        """Return whether the stream is muted, without waiting."""
        if self._fd is not None and self._foreground(self._fd):
            while select.select([self._fd], [], [], 0)[0]:
                pressed = os.read(self._fd, 64)
                if not pressed:  # the terminal is gone
                    self._fd = None
                    break
                self.muted ^= bool(pressed.count(KEY) % 2)
                for key in pressed:
                    self._others.get(bytes([key]), _nothing)()
        return self.muted

    def __enter__(self) -> MuteSwitch:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGUSR1, signal.SIGUSR2):
                self._undo.callback(signal.signal, number, signal.signal(number, self._signalled))
        if self._keys is not None:  # a service may have none
            with contextlib.suppress(OSError, ValueError, termios.error):
                self._take_keys(self._keys.fileno())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self.muted = number == signal.SIGUSR1

    def _take_keys(self, fd: int) -> None:
        if not os.isatty(fd) or not self._foreground(fd):
            return
        before: Any = termios.tcgetattr(fd)
        tty.setcbreak(fd)  # single keys, and Ctrl-C remains a signal
        self._undo.callback(termios.tcsetattr, fd, termios.TCSADRAIN, before)
        self._fd = fd

    def _foreground(self, fd: int) -> bool:
        """Return whether this process is in the foreground of its terminal; reading in the background would stop
        it.
        """
        try:
            return os.tcgetpgrp(fd) == os.getpgrp()
        except OSError:
            return False


def _nothing() -> None:
    """Ignore any other key."""
