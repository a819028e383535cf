# SPDX-License-Identifier: BSD-2-Clause
"""The watchdog of systemd: it is notified while a talk is alive, so that a hanging one (for example in a driver) is
restarted.

The unit of `dredge deploy --talk` sets WatchdogSec (sd_notify(3), systemd.service(5)).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable

_HANGS = 2  # consecutive looks without progress of a half


class Watchdog:
    """The notifications to systemd. progress: numbers that grow while the talk works; without $NOTIFY_SOCKET none is
    sent.
    """

    def __init__(self, progress: Callable[[], tuple[int, ...]]) -> None:
        self._progress = progress
        self._before: tuple[int, ...] = ()
        self._still = 0
        self._where = os.environ.get("NOTIFY_SOCKET", "")

    def look(self) -> bool:
        """Return whether every number has grown since the last look or the one before; then systemd is notified."""
        now = self._progress()
        moved = not self._before or all(a > b for a, b in zip(now, self._before, strict=True))
        self._still = 0 if moved else self._still + 1
        self._before = now
        alive = self._still < _HANGS
        if alive and self._where:
            self._tell()
        return alive

    def _tell(self) -> None:
        # A name that begins with @ is an abstract one.
        address = "\0" + self._where[1:] if self._where.startswith("@") else self._where
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, contextlib.suppress(OSError):
            notify.sendto(b"WATCHDOG=1", address)
