# SPDX-License-Identifier: BSD-2-Clause
"""One line of `dredge doctor`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

OK, WARN, FAIL, INFO = "ok", "warn", "fail", "info"


@dataclass(frozen=True)
class Finding:
    """One line. state: ok, info, warn (it works with a limitation) or fail; advice says what to do; data: the figures
    of a measurement, for JSON."""

    name: str
    state: str
    value: str
    advice: str = ""
    data: Mapping[str, object] | None = None
