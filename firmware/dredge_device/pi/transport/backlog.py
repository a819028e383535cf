# SPDX-License-Identifier: BSD-2-Clause
"""Frames that wait for a serial port."""

import threading
import time

_SECONDS = 0.25  # of line time; what is older than this when it leaves is of no use to anybody
_LEAST = 4096  # bytes


class Backlog:
    """A queue between those who send and the thread that writes, bounded by what the line carries in a quarter of a
    second."""

    def __init__(self, baud: int) -> None:
        self._most = max(_LEAST, int(baud / 10 * _SECONDS))
        self._lines: list[bytes] = []
        self._ready = threading.Condition()
        self._closing = False
        self.waiting = 0  # bytes that are not written yet

    def put(self, line: bytes) -> bool:
        """Queue a frame; return False when the line is too slow for it."""
        with self._ready:
            if self.waiting + len(line) > self._most:
                return False
            self._lines.append(line)
            self.waiting += len(line)
            self._ready.notify()
        return True

    def take(self) -> list[bytes]:
        """Return all frames that wait, as soon as there are some; after ``close`` the rest, maybe none."""
        with self._ready:
            while not self._lines and not self._closing:
                self._ready.wait()
            lines, self._lines = self._lines, []
        return lines

    def gone(self, line: bytes) -> None:
        """Note that this frame was written or given up."""
        with self._ready:
            self.waiting -= len(line)

    def drain(self, seconds: float) -> None:
        """Wait until nothing waits, so long at most."""
        until = time.monotonic() + seconds
        while self.waiting and time.monotonic() < until:
            time.sleep(0.005)

    def close(self) -> None:
        """Let ``take`` return."""
        with self._ready:
            self._closing = True
            self._ready.notify()
