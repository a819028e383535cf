# SPDX-License-Identifier: BSD-2-Clause
"""Addresses of peers."""

import ipaddress
from functools import lru_cache
from typing import Any


def place_of(peer: Any) -> Any:
    """What a stranger is counted by: its IPv4 address, its IPv6 network of 64 bits, or the peer itself."""
    return _place(str(peer[0])) if isinstance(peer, tuple) else peer


@lru_cache(maxsize=4096)
def _place(host: str) -> Any:
    try:
        address = ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped.packed if address.ipv4_mapped else address.packed[:8]
    return address.packed


def is_loopback(host: str) -> bool:
    """True for addresses that only this machine can reach."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def name_of(peer: Any) -> str:
    """A peer as it is written in a line."""
    if not isinstance(peer, tuple):
        return str(peer)
    host, port = str(peer[0]), peer[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
