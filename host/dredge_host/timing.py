# SPDX-License-Identifier: BSD-2-Clause
"""Percentiles of measured times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return min, p50, p95, p99, max of measured values; empty for no values.

    Percentiles are observed values (the smallest one that is not exceeded by that share), never interpolated: a p99 is
    a measured time.
    """
    if not len(values):
        return {}
    ordered = np.sort(np.asarray(values, np.float64))
    ranks = {"min": 0.0, "p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}
    last = len(ordered) - 1
    return {
        name: round(float(ordered[min(last, max(0, int(np.ceil(share * len(ordered))) - 1))]), 2)
        for name, share in ranks.items()
    }
