# SPDX-License-Identifier: BSD-2-Clause
"""Looks at a process from outside: memory, descriptors, threads, CPU time; and whether any of it grows."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
TICKS = os.sysconf("SC_CLK_TCK")
NORMAL_95 = 1.96


@dataclass
class Sample:
    """A process at one moment; t_s counts from the beginning of the watch."""

    t_s: float
    rss_kib: int
    fds: int
    threads: int
    cpu_s: float


def look(pid: int, t_s: float) -> Sample:
    """Return one sample (Linux). Raises OSError when the process is gone."""
    base = Path(f"/proc/{pid}")
    fields = (base / "stat").read_text().rpartition(")")[2].split()
    return Sample(
        t_s=round(t_s, 2),
        rss_kib=int((base / "statm").read_text().split()[1]) * PAGE_KIB,
        fds=len(os.listdir(base / "fd")),
        threads=int(fields[17]),
        cpu_s=(int(fields[11]) + int(fields[12])) / TICKS,
    )


def slope(times: list[float], values: list[float]) -> tuple[float, float]:
    """Return the least-squares slope and half of its 95 % interval (normal residuals), per unit of time.

    Raises ValueError for fewer than three points or times that are all the same.
    """
    t, y = np.asarray(times, float), np.asarray(values, float)
    if len(t) < 3 or len(t) != len(y):
        raise ValueError(f"slope: expected at least 3 points, got {len(t)} times and {len(y)} values")
    spread = float(np.sum((t - t.mean()) ** 2))
    if spread == 0:
        raise ValueError("slope: all times are the same")
    rise = float(np.sum((t - t.mean()) * (y - y.mean()))) / spread
    rest = y - y.mean() - rise * (t - t.mean())
    return rise, NORMAL_95 * float(np.sqrt(np.sum(rest**2) / (len(t) - 2) / spread))


def trend(samples: list[Sample], warm_up_s: float) -> dict[str, Any]:
    """Return the growth of memory, descriptors and threads after the warm-up, as JSON values.

    fds: the fewest of the first and of the second half, since every host that is served has a socket.
    """
    kept = [sample for sample in samples if sample.t_s >= warm_up_s]
    rise, half = slope([s.t_s / 3600 for s in kept], [s.rss_kib for s in kept])
    return {
        "warm_up_s": warm_up_s,
        "samples": len(kept),
        "rss_kib": {"first": kept[0].rss_kib, "last": kept[-1].rss_kib, "max": max(s.rss_kib for s in kept)},
        "seconds": round(kept[-1].t_s - kept[0].t_s, 1),
        "rss_kib_per_h": round(rise, 1),
        "rss_kib_per_h_ci95": round(half, 1),
        "fds": [min(s.fds for s in half) for half in (kept[: len(kept) // 2], kept[len(kept) // 2 :])],
        "threads": [min(s.threads for s in kept), max(s.threads for s in kept)],
        "cpu_pct": round(100 * (kept[-1].cpu_s - kept[0].cpu_s) / (kept[-1].t_s - kept[0].t_s), 1),
    }


def rows(samples: list[Sample]) -> list[dict[str, Any]]:
    """Return the samples as JSON values."""
    return [asdict(sample) for sample in samples]
