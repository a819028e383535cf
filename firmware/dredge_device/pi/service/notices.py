# SPDX-License-Identifier: BSD-2-Clause
"""Lines for the user on standard error: one per event, at a limited rate."""

import time
from collections.abc import Callable

from dredge_device.pi.standard_streams import INFO, NOTICE, WARNING, say

_EVERY_S = 10.0  # between lines of one kind
_STREAMS, _STREAMS_S = 20, 10.0  # lines about streams within this time


class Notices:
    """A writer of lines to standard error. ``write`` takes each line instead, ``clock`` gives seconds; quiet: warnings
    only.
    """

    def __init__(
        self,
        write: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        quiet: bool = False,
    ) -> None:
        self._write = write
        self._clock = clock
        self._quiet = quiet
        self._said: dict[str, float] = {}
        self._suppressed: dict[str, int] = {}
        self._streams: list[float] = []

    def warn(self, kind: str, text: str) -> None:
        """Write a warning of this kind, at most one in ten seconds; the next one states how many were suppressed."""
        now = self._clock()
        if now - self._said.get(kind, -_EVERY_S) < _EVERY_S:
            self._suppressed[kind] = self._suppressed.get(kind, 0) + 1
            return
        self._said[kind] = now
        more = self._suppressed.pop(kind, 0)
        self._line(f"{text} (and {more} times before)" if more else text, WARNING)

    def stream(self, text: str) -> None:
        """Write a line about a stream: that it began or ended, what it lost."""
        now = self._clock()
        self._streams = [when for when in self._streams if now - when < _STREAMS_S]
        if len(self._streams) < _STREAMS:
            self._streams.append(now)
            self._line(text, NOTICE)

    def note(self, text: str) -> None:
        """Write a line about the process itself."""
        self._line(text, INFO)

    def _line(self, text: str, severity: int) -> None:
        if self._quiet and severity > WARNING:
            return
        if self._write is not None:
            self._write(text)
        else:
            say(text, severity)
