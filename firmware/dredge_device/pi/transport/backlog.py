# SPDX-License-Identifier: BSD-2-Clause
"""The queue of frames for a serial port."""

import threading
import time

_SECONDS = 0.25  # of line time; an older frame would be too late for playout
_LEAST = 4096  # bytes


class Backlog:
    """A queue between the senders and the writing thread, bounded by what the line carries in a quarter of a
    second."""

    def __init__(self, baud: int) -> None:
        self._most = max(_LEAST, int(baud / 10 * _SECONDS))
        self._lines: list[bytes] = []
        self._ready = threading.Condition()
        self._closing = False
        self.waiting = 0  # bytes not yet written

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
        """Return all waiting frames, as soon as there are some; after ``close`` the rest, possibly none."""
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
        """Wait until the queue is empty, at most ``seconds``."""
        until = time.monotonic() + seconds
        while self.waiting and time.monotonic() < until:
            time.sleep(0.005)

    def close(self) -> None:
        """Let ``take`` return."""
        with self._ready:
            self._closing = True
            self._ready.notify()
