# SPDX-License-Identifier: BSD-2-Clause
"""Undelivered final reports of sessions whose slot another session has taken."""

from dataclasses import dataclass
from typing import Any

from dredge_device import control

Outgoing = list[tuple[bytes, Any]]  # datagrams and the peers they are for

MOST = 8  # with more of them, the oldest is given up


@dataclass
class _FinalReport:
    peer: Any
    parts: list[Any]  # fragments.Outgoing or Once


class FinalReports:
    """Sends the rest of final reports until they are acknowledged or given up; ``ended`` counts those."""

    def __init__(self) -> None:
        self._waiting: list[_FinalReport] = []
        self.ended = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, peer: Any, parts: list[Any]) -> None:
        """Take over the parts of a report that remain to be sent to this peer."""
        self._waiting.append(_FinalReport(peer, parts))
        while len(self._waiting) > MOST:
            self._waiting.pop(0)
            self.ended += 1

    def acknowledge(self, message: control.Message, peer: Any) -> None:
        """Note that this peer has received a chunk; a malformed acknowledgement has no effect."""
        try:
            report, index, _, _ = message.chunk()
        except ValueError:
            return
        for final in self._waiting:
            for part in final.parts if final.peer == peer else ():
                part.acknowledge(report, index)

    def due(self, now_us: int) -> Outgoing:
        """Return the datagrams to be sent now."""
        out = [(datagram, f.peer) for f in self._waiting for part in f.parts for datagram in part.due(now_us)]
        left = [f for f in self._waiting if not all(part.done() for part in f.parts)]
        self.ended += len(self._waiting) - len(left)
        self._waiting = left
        return out

    def give_up(self) -> None:
        """Send nothing more."""
        self.ended += len(self._waiting)
        self._waiting = []
