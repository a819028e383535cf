# SPDX-License-Identifier: BSD-2-Clause
"""What the device says to the person beside it: one line per event, and no flood of lines."""

import sys
import time
from collections.abc import Callable
from typing import Any

from dredge_device.pi.transport.addresses import name_of

_EVERY_S = 10.0  # between lines of one kind
_STREAMS, _STREAMS_S = 20, 10.0  # lines about streams within this time


class Notices:
    """Lines on standard error. ``write`` takes a line, ``clock`` gives seconds."""

    def __init__(
        self, write: Callable[[str], None] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write or _to_stderr
        self._clock = clock
        self._said: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}
        self._streams: list[float] = []

    def warn(self, kind: str, text: str) -> None:
        """A line of this kind, at most one in ten seconds; the next one tells how many were left out."""
        now = self._clock()
        if now - self._said.get(kind, -_EVERY_S) < _EVERY_S:
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._said[kind] = now
        more = self._unsaid.pop(kind, 0)
        self._write(f"{text} (and {more} times before)" if more else text)

    def stream(self, text: str) -> None:
        """A line about a stream that began or ended."""
        now = self._clock()
        self._streams = [when for when in self._streams if now - when < _STREAMS_S]
        if len(self._streams) < _STREAMS:
            self._streams.append(now)
            self._write(text)


def _to_stderr(text: str) -> None:
    print(f"dredge agent: {text}", file=sys.stderr, flush=True)


def summary(peer: Any, why: str, report: dict[str, Any]) -> str:
    """One line about a stream that is over, from its final report."""
    packets, sources = report["packets"], report["sources"]
    played = ", ".join(f"{name} {count}" for name, count in sources.items() if count and name != "silence")
    seconds = sum(count for name, count in sources.items() if name != "silence") * 0.02
    text = f"stream from {name_of(peer)} ended ({why or 'goodbye'}): {seconds:.1f} s, "
    text += f"{packets.get('arrived', packets['received'])} packets, {packets.get('missing', packets['lost'])} lost"
    odd = [f"{packets[name]} {words}" for name, words in _ODD.items() if packets.get(name)]
    return text + (f"; played: {played}" if played else "") + ("; " + ", ".join(odd) if odd else "")


_ODD = {
    "malformed": "damaged", "not_opus": "not Opus", "other_type": "of other payload types",
    "undecodable": "undecodable (encrypted?)", "late": "late", "duplicate": "repeated",
}  # fmt: skip
