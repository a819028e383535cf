# SPDX-License-Identifier: BSD-2-Clause
"""The timer of CPU time per stage of a frame, which fills the budget."""

from collections.abc import Callable

from dredge_device.budget import Budget
from dredge_kernels.histogram import Histogram

STAGES = ("opus", "dred", "plc", "vocoder", "features")
_NOTHING = [0] * len(STAGES)


class _Stage:
    """Adds the time of with blocks, which do not overlap, to its place in times."""

    def __init__(self, clock: Callable[[], int], times: list[int], index: int) -> None:
        self._clock, self._times, self._index = clock, times, index
        self._begun = 0

    def __enter__(self) -> None:
        self._begun = self._clock()

    def __exit__(self, *_: object) -> None:
        self._times[self._index] += self._clock() - self._begun


class StageTimer:
    """Adds up the stages of a frame; ``clock`` returns nanoseconds of CPU time, ``wall`` of real time."""

    def __init__(self, clock: Callable[[], int], wall: Callable[[], int] | None = None) -> None:
        self._clock = clock
        self._wall = wall if wall is not None else clock
        self._wall_started = 0
        self._times = [0] * len(STAGES)
        self._started = 0
        self._stages = {name: _Stage(clock, self._times, index) for index, name in enumerate(STAGES)}
        self.budget = Budget(STAGES, make=Histogram)

    def start(self) -> None:
        """Begin a frame."""
        self._times[:] = _NOTHING
        self._wall_started = self._wall()
        self._started = self._clock()

    def stage(self, name: str) -> "_Stage":
        """Count the time inside the with block for this stage."""
        return self._stages[name]

    def stop(self) -> int:
        """End the frame, enter its times and return its CPU time in microseconds."""
        whole = (self._clock() - self._started) // 1000
        wall = (self._wall() - self._wall_started) // 1000
        self.budget.frame(whole, [time // 1000 for time in self._times], wall)
        return whole
