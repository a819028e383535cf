# SPDX-License-Identifier: BSD-2-Clause
"""The sender's cost of redundancy, from 100 ms to 1 s."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from dredge_host.bench.clock import timed
from dredge_host.bench.documents import LengthCost
from dredge_host.sending.audio import Pcm, packets
from dredge_host.timing import percentiles

LENGTHS_S = (0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
_WARM_UP = 60  # packets: more than one second of history, so that the whole 1 s is sent


def redundancy_cost(
    pcm: Pcm, count: int, lengths: Sequence[float] = LENGTHS_S, make: Callable[[float], Any] | None = None
) -> list[LengthCost]:
    """Return the CPU time of the whole sender per packet for every length of history, packet by packet in turn.

    All lengths take turns in one loop, so that they meet the same disturbances; medians suppress outliers. bytes: mean
    of the redundancy in a packet.
    """
    from dredge_host.sending.sender import Sender

    make = make or (lambda seconds: Sender(redundancy_s=seconds))
    senders = [make(seconds) for seconds in lengths]
    pieces = list(packets(pcm))
    times: list[list[float]] = [[] for _ in senders]
    sizes = [0] * len(senders)
    for index in range(_WARM_UP + count):
        piece = pieces[index % len(pieces)]
        for turn in range(len(senders)):
            which = (turn + index) % len(senders)
            made: list[Any] = []
            spent = timed(partial(_push, senders[which], piece, made))
            if index >= _WARM_UP:
                times[which].append(spent)
                sizes[which] += made[0].split.dred
    return [
        {"redundancy_ms": round(1000 * seconds), "cpu_us": percentiles(spent), "bytes": round(size / count, 1)}
        for seconds, spent, size in zip(lengths, times, sizes, strict=True)
    ]


def _push(sender: Any, piece: Pcm, made: list[Any]) -> None:
    made.append(sender.push(piece))


def ratio(rows: Sequence[LengthCost]) -> float:
    """Return the CPU time with the longest history divided by that with the shortest one."""
    ordered = sorted(rows, key=lambda row: row["redundancy_ms"])
    longest, shortest = (row["cpu_us"]["p50"] for row in (ordered[-1], ordered[0]))
    return round(longest / max(shortest, 1e-3), 4)
