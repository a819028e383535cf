# SPDX-License-Identifier: BSD-2-Clause
"""CPU time per stage of one frame, handed to the budget."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dredge_device.budget import Budget

STAGES = ("opus", "dred", "plc", "vocoder", "features")


class StageTimer:
    """Adds up the stages of a frame; ``clock`` returns nanoseconds of CPU time, ``wall`` of real time."""

    def __init__(self, clock: Callable[[], int], wall: Callable[[], int] | None = None) -> None:
        self._clock = clock
        self._wall = wall if wall is not None else clock
        self._wall_started = 0
        self._times = [0] * len(STAGES)
        self._started = 0
        self.budget = Budget(STAGES)

    def start(self) -> None:
        """A frame begins."""
        for index in range(len(self._times)):
            self._times[index] = 0
        self._wall_started = self._wall()
        self._started = self._clock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts the time inside the with block for this stage."""
        begin = self._clock()
        try:
            yield
        finally:
            self._times[STAGES.index(name)] += self._clock() - begin

    def stop(self) -> int:
        """The frame is done: enters it and returns its microseconds."""
        whole = (self._clock() - self._started) // 1000
        wall = (self._wall() - self._wall_started) // 1000
        self.budget.frame(whole, [time // 1000 for time in self._times], wall)
        return whole
