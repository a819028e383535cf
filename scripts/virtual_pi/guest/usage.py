# SPDX-License-Identifier: BSD-2-Clause
"""Memory and CPU time of a process on the board."""

from __future__ import annotations

import os


def pss_kb(pid: int) -> int | None:
    """Return the proportional set size of a process in KiB; None when it has ended."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return None


def processor_s(pid: int) -> float:
    """Return the CPU seconds that a process has used so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
