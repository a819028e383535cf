# SPDX-License-Identifier: BSD-2-Clause
"""The reports of a board: its description, then one document per second while hellos renew the request."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypedDict, cast

from dredge_device import control, fragments
from dredge_device.pi.schema.documents import Description
from dredge_device.pi.schema.report import BudgetReport
from dredge_host.errors import UnreachableError, VersionMismatch
from dredge_host.links.link import Link

ANSWER_S = 5.0  # silence after which the board counts as gone
RETRY_S = 0.5
RENEW_S = 5.0  # a hello keeps the reports coming for ten seconds


class BoardReport(TypedDict, total=False):
    """One report of a board: counters by part of its program."""

    number: int
    line: dict[str, int]
    budget: BudgetReport
    bridge: dict[str, int]
    radio: dict[str, int]
    microphone: dict[str, int]
    loudspeaker: dict[str, int]


class Watch:
    """The reports of a bridge (docs/guide/micropython.md), requested over a link.

    `info`: the board's answer to the hello. Raises UnreachableError without an answer, VersionMismatch when the
    board speaks another version of the protocol.
    """

    def __init__(self, link: Link, clock: Callable[[], float] = time.monotonic) -> None:
        self._link, self._clock = link, clock
        self._incoming = fragments.Incoming()
        self._asked = 0.0
        self._number = 0
        self.info: Description = {}
        self._greet()

    def _greet(self) -> None:
        until = self._clock() + ANSWER_S
        while not self.info and self._clock() < until:
            self._hello()
            retry = self._clock() + RETRY_S
            while not self.info and self._clock() < retry:
                self._take(self._link.recv(max(0.0, retry - self._clock())))
        if not self.info:
            raise UnreachableError(f"{self._link.url}: no board answers there within {ANSWER_S:g} s")

    def _hello(self) -> None:
        self._number += 1
        self._asked = self._clock()
        message = control.with_document(control.HELLO, self._number, {"role": "host"})
        self._link.send(control.build(message))

    def _take(self, datagram: bytes | None) -> BoardReport | None:
        """Return the report that this datagram completes, None for anything else."""
        try:
            messages = control.parse(datagram) if datagram else []
        except control.VersionError as error:
            raise VersionMismatch(f"{self._link.url}: {error}; install the same version of dredge on both") from None
        except ValueError:
            return None
        for message in messages:
            try:
                if message.kind == control.HELLO and message.flags & control.REPLY:
                    self.info = cast(Description, message.document())
                elif message.kind == control.REPORT:
                    return cast("BoardReport | None", self._incoming.add(message))
            except ValueError:
                continue
        return None

    def reports(self, count: int | None = None) -> Iterator[BoardReport]:
        """Yield the next `count` reports as they arrive (None: until the caller stops)."""
        heard = self._clock()
        seen = 0
        while count is None or seen < count:
            if self._clock() - self._asked > RENEW_S:
                self._hello()
            document = self._take(self._link.recv(0.5))
            if document is not None:
                heard, seen = self._clock(), seen + 1
                yield document
            elif self._clock() - heard > ANSWER_S:
                raise UnreachableError(f"{self._link.url}: the board has stopped reporting")

    def close(self) -> None:
        """Tell the board to stop its reports."""
        self._link.send(control.build(control.Message(control.BYE, self._number + 1)))


def line(report: BoardReport) -> str:
    """Return one report of a board as a line of text: its traffic, in the order of the path."""
    counts: Mapping[str, Any] = report
    parts = [words(counts[name]) for name, words in _WORDS.items() if name in counts]
    wire, budget = report.get("line") or {}, report.get("budget")
    if wire:
        lost = wire.get("missed", 0) + wire.get("damaged", 0) + wire.get("overlong", 0)
        parts.append(f"line: {wire.get('frames', 0)} frames, {lost} lost")
    return f"{report.get('number', 0):5d}  {'; '.join(parts)}; CPU p99 {budget['p99_pct'] if budget else 0} % of 20 ms"


def _bridge(part: dict[str, int]) -> str:
    return f"in {part.get('udp_in', 0)} out {part.get('udp_out', 0)} datagrams, busy {part.get('line_busy', 0)}"


def _radio(part: dict[str, int]) -> str:
    lost = part.get("datagrams_missed", 0) + part.get("datagrams_cut", 0)
    return (
        f"radio: {part.get('frames_out', 0)} frames out, {part.get('frames_in', 0)} in, {lost} datagrams lost, "
        f"unanswered {part.get('unanswered', 0)}, dropped {part.get('dropped', 0)}"
    )


def _microphone(part: dict[str, int]) -> str:
    return (
        f"microphone: {part.get('packets', 0)} packets, peak {100 * part.get('peak', 0) // 32768} %, "
        f"unsent {part.get('unsent', 0)}, overruns {part.get('overruns', 0)}"
    )


def _loudspeaker(part: dict[str, int]) -> str:
    return (
        f"loudspeaker: {part.get('packets', 0)} packets, {part.get('waiting_ms', 0)} ms wait, "
        f"missed {part.get('missed', 0)}, dry {part.get('dry', 0)}, "
        f"clock {part.get('longer', 0) - part.get('shorter', 0):+d} samples"
    )


_WORDS: dict[str, Callable[[dict[str, int]], str]] = {
    "bridge": _bridge, "radio": _radio, "microphone": _microphone, "loudspeaker": _loudspeaker,
}  # fmt: skip
