# SPDX-License-Identifier: BSD-2-Clause
"""Waiting for another process or thread: until something is so, not for a time in which it ought to have become so."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")

LONGEST_S = 120.0  # for what hangs; nothing that works takes so long, not even beside nine others


def until(what: Callable[[], Found], longest_s: float = LONGEST_S) -> Found:
    """The first value of ``what`` that is true; fails when there is none in so long."""
    begin = time.monotonic()
    while not (found := what()):
        assert time.monotonic() - begin < longest_s, f"it never came true, it is {found!r}"
        time.sleep(0.01)
    return found


def udp_open(port: int) -> bool:
    """Whether any program has opened this UDP port: a sender that begins earlier loses its first packets."""
    tables = [Path(f"/proc/net/{name}") for name in ("udp", "udp6")]
    rows = [row.split() for table in tables if table.exists() for row in table.read_text().splitlines()[1:]]
    return any(int(row[1].rpartition(":")[2], 16) == port for row in rows)
