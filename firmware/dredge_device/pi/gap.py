# SPDX-License-Identifier: BSD-2-Clause
"""Feature rows for a gap that nobody describes, when both of its sides are known."""

import numpy as np

from dredge_device.pi.parts import Rows
from dredge_device.pi.scout import Following

HOLD = 12  # frames (120 ms) for which speech goes on at full level
STEP, STEEPEST = 0.15, 8  # then c0 falls faster and faster, up to 1.2 (2.8 dB) per frame
VOICING = 0.88  # kept per frame in the fall, so that it ends in noise and not in a tone


class Gap:
    """One gap, from its first lost packet on."""

    def __init__(self, first: int, before: Rows, background: float) -> None:
        """first: its first packet; before: float32[8, 20], the rows up to it; background: quiet c0."""
        self._first = first
        self._before = before
        self._background = background

    def bridge(self, number: int, following: Following) -> Rows:
        """Rows float32[4, 20] from this packet on that nobody describes: from one side to the other."""
        start, end = 2 * self._first, 2 * following.number
        rows = [self._between(at - start, end - at, following) for at in range(2 * number, 2 * number + 4)]
        return np.stack(rows)

    def _between(self, since: int, until: int, following: Following) -> Rows:
        if until <= 0:
            return following.rows[min(-until, len(following.rows) - 1)]
        left = self._faded(self._before[-1], since)
        right = self._faded(following.rows[0], until - 1)
        share = (since + 1) / (since + until + 1)
        row = (1 - share) * left + share * right
        if min(left[19], right[19]) < 0:  # a pitch half way to one that means nothing
            row[18] = left[18] if left[19] > right[19] else right[18]
        return np.asarray(row, np.float32)

    def _faded(self, row: Rows, distance: int) -> Rows:
        late = distance - HOLD + 1
        if late <= 0:
            return row
        curved = min(late, STEEPEST)
        fall = STEP * curved * (curved + 1) / 2 + STEP * STEEPEST * (late - curved)
        out = row.copy()
        out[0] = max(out[0] - fall, min(self._background, row[0]))
        out[19] = -0.5 + (out[19] + 0.5) * VOICING**late
        return out
