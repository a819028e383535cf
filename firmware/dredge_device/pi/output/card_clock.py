# SPDX-License-Identifier: BSD-2-Clause
"""The sound card's clock, which the periods follow instead of this machine's clock."""

from dredge_device.units import PACKET_US

_WINDOW = 50  # periods over which the card's buffer is averaged: it moves in steps of some ms
_NOISE_US = 1000
_JUMP_US = 10_000  # a larger step than any drift: the card ran dry or was reopened, so the control restarts
_STEP_US = PACKET_US // 100  # a period is longer or shorter by 1 % at most


class CardClock:
    """A control that keeps the time from a period's turn to the end of its playback constant.

    Without it, the buffer of a card slower than this machine would grow and that of a faster one would run dry.
    The writing thread calls ``written``, the one that times the periods ``step_us``.
    """

    def __init__(self) -> None:
        self._wanted_us: int | None = None  # the wanted mean, once it is known
        self._sum_us = self._count = 0
        self._passed = 0  # periods written before the last correction that are not counted
        self._owed_us = 0
        self.corrected_us = 0  # sum of the corrections of all periods, for the report

    def written(self, at_us: int, ends_us: int | None) -> None:
        """Note that the period whose turn was at_us will have been played at ends_us (monotonic); None: there is no
        card.
        """
        if ends_us is None:
            self._wanted_us = None
            self._owed_us = self._sum_us = self._count = 0
            return
        if self._owed_us or self._passed:
            self._passed = max(0, self._passed - 1)
            return
        self._sum_us += ends_us - at_us
        self._count += 1
        if self._count == _WINDOW:
            self._judge(self._sum_us // self._count)
            self._sum_us = self._count = 0

    def _judge(self, mean_us: int) -> None:
        if self._wanted_us is None or abs(mean_us - self._wanted_us) > _JUMP_US:
            self._wanted_us = mean_us
        elif abs(mean_us - self._wanted_us) > _NOISE_US:
            self._owed_us = mean_us - self._wanted_us
            self._passed = _WINDOW  # the periods rendered ahead were timed before this correction

    def step_us(self) -> int:
        """Return by how much the next period is longer than 20 ms, microseconds."""
        step = max(-_STEP_US, min(_STEP_US, self._owed_us))
        self._owed_us -= step
        self.corrected_us += step
        return step
