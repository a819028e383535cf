# SPDX-License-Identifier: BSD-2-Clause
"""Addresses of peers."""

import ipaddress
import socket
from functools import lru_cache
from typing import Any


def network_of(peer: Any) -> Any:
    """Return the key by which an unknown peer is counted: its IPv4 address, its IPv6 network of 64 bits, or the peer
    itself.
    """
    return _network(str(peer[0])) if isinstance(peer, tuple) else peer


@lru_cache(maxsize=4096)
def _network(host: str) -> Any:
    try:
        packed = _packed(host)
    except ValueError:
        return host
    return packed[:8]


def _packed(host: str) -> bytes:
    address = ipaddress.ip_address(host.split("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).packed


class Host:
    """All addresses of a name, IPv4 and IPv6. Raises OSError for an unknown name."""

    def __init__(self, name: str) -> None:
        self._addresses = {_packed(str(found[4][0])) for found in socket.getaddrinfo(name, None)}

    def __contains__(self, peer: tuple[str, int]) -> bool:
        """Return whether a socket address is one of this host, whatever its port."""
        return _packed(peer[0]) in self._addresses


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def name_of(peer: Any) -> str:
    """Return a peer as it is written in a line."""
    if not isinstance(peer, tuple):
        return str(peer)
    host, port = str(peer[0]), peer[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
