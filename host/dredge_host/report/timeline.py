# SPDX-License-Identifier: BSD-2-Clause
"""The fate of every packet for the page: rows, runs, gaps, and a compact form for its scripts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from dredge_device.units import PACKET_SECONDS
from dredge_host.legend import LETTERS, SOURCES, WHOLE


class Row(NamedTuple):
    """One packet period; delay_ms and cpu_us are None where unknown."""

    packet: int
    source: str
    delay_ms: float | None = None
    cpu_us: float | None = None


class Run(NamedTuple):
    """Neighbouring packets [start, end) filled by one source."""

    start: int
    end: int
    source: str


def timeline_rows(result: Mapping[str, Any]) -> list[Row]:
    """Return one row per packet (its last) in order of packets; rows of no packet or no known source are left out."""
    rows: dict[int, Row] = {}
    given = result.get("timeline")
    for entry in given if isinstance(given, (list, tuple)) else ():
        if not isinstance(entry, Sequence) or isinstance(entry, str) or len(entry) < 2:
            continue
        packet, source, *rest = entry
        if isinstance(packet, bool) or not isinstance(packet, int) or packet < 0:
            continue
        if not isinstance(source, str) or source not in SOURCES:
            continue
        delay, cpu = ([*rest, None, None])[:2]
        rows[packet] = Row(packet, source, number(delay), number(cpu))
    return [rows[packet] for packet in sorted(rows)]


def runs(rows: Sequence[Row]) -> list[Run]:
    """Join neighbouring packets of one source; rows need not be sorted, packets may be missing."""
    joined: list[Run] = []
    for row in sorted(rows, key=lambda r: r.packet):
        last = joined[-1] if joined else None
        if last and last.source == row.source and last.end == row.packet:
            joined[-1] = last._replace(end=row.packet + 1)
        else:
            joined.append(Run(row.packet, row.packet + 1, row.source))
    return joined


def gaps(rows: Sequence[Row]) -> list[Run]:
    """Return the runs of packets that did not arrive, with any source; source: the one that filled most of each."""
    joined: list[list[Run]] = []
    for run in runs(rows):
        if run.source in WHOLE:
            continue
        if joined and joined[-1][-1].end == run.start:
            joined[-1].append(run)
        else:
            joined.append([run])
    return [Run(part[0].start, part[-1].end, _main_source(part)) for part in joined]


def worst_gap(found: Sequence[Run], speech: NDArray[np.bool_] | None = None) -> Run | None:
    """Return the gap with most speech, among equal ones the longest; None without gaps.

    found: from `gaps`; speech: bool[packets], True for speech; None counts every packet.
    """

    def taken(gap: Run) -> tuple[int, int]:
        length = gap.end - gap.start
        return (length if speech is None else int(speech[gap.start : gap.end].sum()), length)

    return max(found, key=taken, default=None)


def _main_source(part: Sequence[Run]) -> str:
    length = {source: sum(r.end - r.start for r in part if r.source == source) for _, _, source in part}
    return max(length, key=lambda source: length[source])


class Packed(TypedDict):
    """The timeline for the page's scripts."""

    letters: str
    cpu_us: list[int]
    delay_ms: list[list[float | None]]


def packed(rows: Sequence[Row], packets: int) -> Packed:
    """Return the rows for the page's scripts.

    One letter per packet ("." where unknown), delays as [value, packets] pairs, CPU in us.
    """
    letters, cpu = ["."] * packets, [-1] * packets
    delay: list[float | None] = [None] * packets
    for row in rows:
        if row.packet < packets:
            letters[row.packet] = LETTERS[row.source]
            cpu[row.packet] = -1 if row.cpu_us is None else round(row.cpu_us)
            delay[row.packet] = None if row.delay_ms is None else round(row.delay_ms, 1)
    return {"letters": "".join(letters), "cpu_us": cpu, "delay_ms": _pairs(delay)}


def _pairs(values: Sequence[float | None]) -> list[list[float | None]]:
    edges = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(values)) if a != b), len(values)]
    return [[values[a], b - a] for a, b in pairwise(edges) if b > a]


def heard_at(rows: Sequence[Row], packets: int) -> NDArray[np.float64]:
    """Return the seconds in a recording of adaptive playout at which packet 0, 1, ... packets begins; float64[packets +
    1].

    Packet n is played n periods and its delay after the first was sent, so the difference of two delays is the amount
    by which speech was shortened or held between them. The values never decrease: packets given up have no length.
    """
    known = [row for row in rows if row.delay_ms is not None and row.source not in ("silence", "skipped")]
    if not known:
        return np.arange(packets + 1) * PACKET_SECONDS
    at = np.array([row.packet for row in known], np.float64)
    delay = np.array([row.delay_ms for row in known], np.float64) / 1000.0
    own = (at - at[0]) * PACKET_SECONDS + delay - delay[0]
    # Outside the known packets the speech is not stretched.
    grid = np.arange(packets + 1, dtype=np.float64)
    heard = np.interp(grid, at, own) + np.clip(grid - at[-1], 0, None) * PACKET_SECONDS
    heard = heard - np.clip(at[0] - grid, 0, None) * PACKET_SECONDS
    return np.asarray(np.maximum.accumulate(heard), np.float64)


def number(value: Any) -> float | None:
    """Return a finite number as float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an integer beyond the range of float
        return None
