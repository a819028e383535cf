# SPDX-License-Identifier: BSD-2-Clause
"""Times of calls: back to back, and paced like a live stream."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dredge_device.units import PACKET_SECONDS
from dredge_host.bench.documents import CpuAndWall
from dredge_host.timing import percentiles

_LINE_BYTES = 64
_WALK_BYTES = 2 << 20  # where the machine does not report the size of its caches


@dataclass
class Times:
    """The times of calls in microseconds: CPU time of this thread, and wall time."""

    cpu_us: list[float] = field(default_factory=list)
    wall_us: list[float] = field(default_factory=list)

    def take(self, call: Callable[[], object]) -> None:
        """Call and time it."""
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        call()
        spent = (time.thread_time_ns() - cpu) / 1000
        self.add(spent, (time.perf_counter_ns() - wall) / 1000)

    def add(self, cpu_us: float, wall_us: float) -> None:
        """Add a call that was timed elsewhere."""
        self.cpu_us.append(cpu_us)
        self.wall_us.append(wall_us)

    def as_dict(self) -> CpuAndWall:
        """Return min, p50, p95, p99 and max of both times."""
        return {"cpu_us": percentiles(self.cpu_us), "wall_us": percentiles(self.wall_us)}


class Disturbance:
    """A walk over twice the second-level cache, so that the next call finds none of its data in it.

    In a live call the rest of the program and of the system does this between two frames. Instructions stay cached as
    far as the processor keeps them apart from data.
    """

    def __init__(self, l2_bytes: int | None = None) -> None:
        size = 2 * l2_bytes if l2_bytes else _WALK_BYTES
        self._memory = np.zeros(size, np.uint8)

    @property
    def size_bytes(self) -> int:
        """The bytes that every walk touches."""
        return len(self._memory)

    def __call__(self) -> None:
        self._memory[::_LINE_BYTES] += 1


def timed(call: Callable[[], object]) -> float:
    """Return the CPU time of one call in this thread, microseconds."""
    start = time.thread_time_ns()
    call()
    return (time.thread_time_ns() - start) / 1000


def back_to_back(call: Callable[[], object], count: int, prepare: Callable[[], object] | None = None) -> Times:
    """Return the times of calls without a pause; ``prepare`` runs before each of them and is not counted."""
    times = Times()
    for _ in range(count):
        if prepare:
            prepare()
        times.take(call)
    return times


def paced(
    call: Callable[[], object],
    count: int,
    prepare: Callable[[], object] | None = None,
    disturb: Callable[[], object] | None = None,
) -> Times:
    """Return the times of calls that start 20 ms apart (absolute deadlines), with disturbed caches."""
    times = Times()
    due = time.monotonic()
    for _ in range(count):
        if prepare:
            prepare()
        if disturb:
            disturb()
        due += PACKET_SECONDS
        ahead = due - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        else:
            due = time.monotonic()
        times.take(call)
    return times
