# SPDX-License-Identifier: BSD-2-Clause
"""Interpolation of feature rows for a gap that no packet describes, when both of its sides are known."""

from collections.abc import Callable

import numpy as np

from dredge_device.pi.concealment.lookahead import Following
from dredge_device.pi.interfaces import Rows

HOLD = 12  # frames (120 ms) during which speech continues at full level
STEP, STEEPEST = 0.15, 8  # then c0 falls by STEP more in every frame, up to 1.2 (2.8 dB) per frame
VOICING = 0.88  # factor on the voicing per frame of the fall, which ends in noise and not in a tone
BEL = np.sqrt(18.0)  # difference of c0 for ten times the power in every band
_BANDS = np.cos(np.pi / 18 * np.outer(np.arange(18), np.arange(18) + 0.5)) * np.sqrt(2 / 18)
_BANDS[0] *= np.sqrt(0.5)


class Interpolation:
    """The interpolation of one gap, from its first lost packet on."""

    def __init__(self, first: int, before: Rows, lifted: Callable[[Rows], Rows]) -> None:
        """Begin a gap; first: its first packet; before: float32[4, 20], the rows up to it.

        lifted: gives rows in which nothing is quieter than the background.
        """
        self._first = first
        self._before = before
        self._lifted = lifted

    def bridge(self, number: int, following: Following) -> Rows:
        """Return the rows float32[4, 20] from this packet on, interpolated from one side to the other."""
        start, end, after = 2 * self._first, 2 * following.number, self.after(following)
        rows = [self._between(at - start, end - at, after) for at in range(2 * number, 2 * number + 4)]
        return np.stack(rows)

    def after(self, following: Following) -> Rows:
        """Return the rows float32[4, 20] of the first frames after the gap.

        A cold decoder's first 20 ms can be 10 dB too loud. They are limited to the level of the speech before the gap
        or that of the third frame, whichever is higher.
        """
        rows = np.concatenate((following.rows, following.rows[-1:]))
        limit = max(_level(self._before[-1]), _level(rows[2]))
        for row in rows[:2]:
            row[0] -= BEL * max(0.0, _level(row) - limit)
        return rows

    def _between(self, since: int, until: int, after: Rows) -> Rows:
        if until <= 0:
            return after[-until]
        left = self._faded(self._before[-1], since)
        right = self._faded(after[0], until - 1)
        share = (since + 1) / (since + until + 1)
        row = (1 - share) * left + share * right
        if min(left[19], right[19]) < 0:  # the pitch of an unvoiced frame is arbitrary, so it is not interpolated
            row[18] = left[18] if left[19] > right[19] else right[18]
        return np.asarray(row, np.float32)

    def _faded(self, row: Rows, distance: int) -> Rows:
        late = distance - HOLD + 1
        if late <= 0:
            return row
        curved = min(late, STEEPEST)
        fall = STEP * curved * (curved + 1) / 2 + STEP * STEEPEST * (late - curved)
        out = row.copy()
        out[0] -= fall
        out[19] = -0.5 + (out[19] + 0.5) * VOICING**late
        return self._lifted(out[np.newaxis])[0]


def _level(row: Rows) -> float:
    """Return the logarithm of the frame's power."""
    return float(np.log10(np.sum(10.0 ** (row[:18] @ _BANDS))))
