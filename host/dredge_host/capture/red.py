# SPDX-License-Identifier: BSD-2-Clause
"""Redundant audio data (RFC 2198), as Chromium sends it: a packet with copies of earlier ones."""

from __future__ import annotations

from collections.abc import Sequence

Block = tuple[int, bytes]  # timestamp, payload

_MORE = 0x80
_HEAD = 4


def split(stamp: int, payload: bytes) -> tuple[int, bytes, list[Block]]:
    """Return payload type and data of the primary block, and the copies, oldest first. Raises ValueError."""
    at, heads = 0, list[tuple[int, int]]()
    while at < len(payload) and payload[at] & _MORE:
        if at + _HEAD > len(payload):
            raise ValueError("a RED payload that ends inside its heads")
        word = int.from_bytes(payload[at : at + _HEAD], "big")
        heads.append((word >> 10 & 0x3FFF, word & 0x3FF))
        at += _HEAD
    if at >= len(payload):
        raise ValueError("a RED payload without a primary block")
    kind, at = payload[at], at + 1
    copies = []
    for offset, size in heads:
        copies.append((stamp - offset, payload[at : at + size]))
        at += size
    if at > len(payload):
        raise ValueError("a RED payload that is shorter than its blocks")
    return kind, payload[at:], [copy for copy in copies if copy[1]]


def unwrapped(packets: Sequence[Block]) -> list[tuple[bytes, list[Block]]] | None:
    """Return the primary data and copies of every packet; None where blocks do not fit or types change, so this is no
    RED.
    """
    out, kinds = [], set()
    for stamp, payload in packets:
        try:
            kind, data, copies = split(stamp, payload)
        except ValueError:
            return None
        kinds.add(kind)
        out.append((data, copies))
    return out if len(kinds) == 1 else None
