# SPDX-License-Identifier: BSD-2-Clause
"""The search for a later packet whose DRED describes a lost one, and the reason when there is none."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dredge_device.jitter import JitterBuffer
from dredge_device.pi.interfaces import DredDecoder, PacketReader, Rows, UnknownVersionError
from dredge_device.playout import Period

ROWS = 4  # two frames to synthesise, two of look-ahead

NO_LATER = "no later packet"
NO_DRED = "no DRED in packet"
NO_MODEL = "no model for version"  # followed by the version
DAMAGED = "damaged payload"
TOO_LONG = "gap longer than redundancy"
_SPECIFICITY = (NO_LATER, NO_DRED, NO_MODEL, DAMAGED, TOO_LONG)  # the last is the most specific


@dataclass
class Entry:
    """DRED of one packet: the parsed payload, or the reason why there is none."""

    packet: Any = None
    newest: int = 0  # newest coded frame, counted from the packet's own first frame
    reason: str = ""


class DredSource:
    """Feature rows for lost packets, from later packets; a payload is parsed once, only when it is needed."""

    def __init__(self, buffer: JitterBuffer, reader: PacketReader, dred: DredDecoder) -> None:
        self._buffer = buffer
        self._reader = reader
        self._dred = dred
        self._entries: dict[int, Entry] = {}
        self.parsed = 0
        self.parsed_bytes = 0
        self.damaged = 0

    def clear(self) -> None:
        """Forget the stream."""
        self._entries.clear()

    def find(self, period: Period) -> tuple[Rows | None, str]:
        """Return the rows float32[4, 20] of a lost packet's two frames and two of look-ahead, or a reason.

        They come from the earliest later packet that covers both frames, since its copy was quantised with the finest
        steps.
        """
        if period.description is None:
            period.description = self._look_up(period)
        rows, reason = period.description
        return rows, reason

    def _look_up(self, period: Period) -> tuple[Rows | None, str]:
        reason, later = NO_LATER, period.later
        while later is not None:
            rows, why = self._from_packet(later, period.number)
            if rows is not None:
                return rows, ""
            reason = max(reason, why, key=_rank)
            later = self._buffer.next_after(later)
        return None, reason

    def holder(self, period: Period) -> int | None:
        """Return the packet from which ``find`` would take the rows, judged by headers only, without decoding."""
        later = period.later
        while later is not None:
            if self._covered(later, period.number)[0]:
                return later
            later = self._buffer.next_after(later)
        return None

    def rows(self, holder: int, number: int) -> Rows | None:
        """Return the rows float32[4, 20] that begin with this packet's frames, as packet ``holder`` describes them."""
        return self._from_packet(holder, number)[0]

    def _covered(self, holder: int, number: int) -> tuple[int, str]:
        """Return how many rows lie between the lost packet and the newest one of this payload; 0 and a reason if it has
        none.
        """
        entry = self._entry(holder)
        if entry.packet is None:
            return 0, entry.reason
        count = 2 * (holder - number) + entry.newest + 1
        if count < 2:
            return 0, NO_DRED  # the payload ends before this packet (a silent tail)
        return (count, "") if count <= entry.packet.span_frames else (0, TOO_LONG)

    def _from_packet(self, holder: int, number: int) -> tuple[Rows | None, str]:
        count, reason = self._covered(holder, number)
        if not count:
            return None, reason
        entry = self._entries[holder]
        try:
            rows = self._dred.features(entry.packet, count)
        except (ValueError, RuntimeError):
            return None, self._mark_damaged(entry)
        if not np.isfinite(rows).all():
            return None, self._mark_damaged(entry)
        rows = rows[:ROWS]
        missing = ROWS - len(rows)
        if missing:
            rows = np.concatenate((rows, np.repeat(rows[-1:], missing, axis=0)))
        return np.ascontiguousarray(rows, np.float32), ""

    def _mark_damaged(self, entry: Entry) -> str:
        entry.packet, entry.reason = None, DAMAGED
        self.damaged += 1
        return DAMAGED

    def _entry(self, holder: int) -> Entry:
        entry = self._entries.get(holder)
        if entry is None:
            self._forget_old()
            entry = self._entries[holder] = self._parse(self._buffer.get(holder))
        return entry

    def _parse(self, packet: bytes | None) -> Entry:
        try:
            data = self._reader.dred(packet) if packet is not None else None
            if data is None:
                return Entry(reason=NO_DRED)
            parsed = self._dred.parse(data)
        except UnknownVersionError as error:
            return Entry(reason=f"{NO_MODEL} {error.version}")
        except (ValueError, RuntimeError):
            entry = Entry()
            self._mark_damaged(entry)
            return entry
        self.parsed += 1
        self.parsed_bytes += len(data)
        return Entry(packet=parsed, newest=parsed.header.offset // 4 - 1)

    def _forget_old(self) -> None:
        """Forget packets older than the one being played, which may still be needed."""
        if self._buffer.next is not None:
            for number in [n for n in self._entries if n < self._buffer.next - 1]:
                del self._entries[number]


def _rank(reason: str) -> int:
    """Return how specific a reason is."""
    return _SPECIFICITY.index(NO_MODEL if reason.startswith(NO_MODEL) else reason)
