# SPDX-License-Identifier: BSD-2-Clause
"""What the project promises of a board of this speed, and whether a run kept it."""

from __future__ import annotations

from typing import Any

from virtual_pi.table import BURSTS, GAPS

FAST_ENOUGH = 500  # million instructions per second: a Pi Zero 2 W


def missed(row: dict[str, Any]) -> list[str]:
    """Return sentences about the goals that these figures miss; none are set for other losses or playout delays.

    With `fixed:1000`: at least 99 % of the coverable losses of 20 % in bursts from DRED and no late period at 500 and
    above, at least 95 % below; gaps of 1 s back to back: no underrun, at least 95 %.
    """
    if row["playout"] != "fixed:1000" or row["loss"] not in (BURSTS, GAPS):
        return []
    where = f"{row['mips']:g} M instructions/s, {row['model']}, {row['loss']}"
    least = 99.0 if row["loss"] == BURSTS and row["mips"] >= FAST_ENOUGH else 95.0
    said = []
    if row["share"] < least:
        said.append(f"{where}: {row['share']:.1f} % of the coverable losses from DRED, expected at least {least:g} %")
    if row["loss"] == BURSTS and row["mips"] >= FAST_ENOUGH and row["late_periods"]:
        said.append(f"{where}: {row['late_periods']} late periods, expected none")
    if row["loss"] == GAPS and row["underruns"]:
        said.append(f"{where}: {row['underruns']} underruns, expected none")
    return said
