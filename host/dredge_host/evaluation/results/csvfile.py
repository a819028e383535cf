# SPDX-License-Identifier: BSD-2-Clause
"""The cells of an evaluation as a CSV file, one line each, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dredge_device.pi.output.files import write_text
from dredge_host.evaluation.judging.registry import Measurement


def write_csv(path: str | Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records as UTF-8 CSV (RFC 4180) with a head line, all of it or nothing.

    Values inside values get names with a dot (bitrate_bps.dred). A cell without a metric has an empty field.
    """
    lines = [flat(record) for record in records]
    names = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, names, restval="")
    writer.writeheader()
    writer.writerows(lines)
    write_text(path, text.getvalue())


def flat(record: Mapping[str, Any], before: str = "") -> Measurement:
    """Return the nested keys as one level: {"a": {"b": 1}} becomes {"a.b": 1}."""
    line: Measurement = {}
    for name, value in record.items():
        if isinstance(value, Mapping):
            line |= flat(value, f"{before}{name}.")
        else:
            line[f"{before}{name}"] = value
    return line
