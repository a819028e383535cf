# SPDX-License-Identifier: BSD-2-Clause
"""Links carry datagrams: anything with send, recv and close."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from dredge_device.pi.transport.schemes import LOOP, SERIAL, TUNNEL, UDP, Scheme, scheme_of
from dredge_host.errors import UsageError
from dredge_host.links.link import DEFAULT_PORT, Link
from dredge_host.links.serial import SerialLink
from dredge_host.links.udp import UdpLink


def parse_udp(url: str) -> tuple[str, int]:
    """`udp://host:port` or `udp://[v6]:port` to (host, port). Raises UsageError."""
    try:
        parts = urlsplit(url)
        port = DEFAULT_PORT if parts.port is None else parts.port
    except ValueError:
        raise UsageError(f"'{url}': the port must be a number from 0 to 65535") from None
    if parts.scheme != "udp" or not parts.hostname or parts.path not in ("", "/"):
        raise UsageError(f"'{url}': expected udp://host:port, for example udp://127.0.0.1:5004")
    return parts.hostname, port


def _udp(url: str) -> Link:
    host, port = parse_udp(url)
    if port == 0:
        raise UsageError(f"'{url}': port 0 cannot be sent to")
    return UdpLink(host, port)


def _loop(url: str) -> Link:
    del url
    from dredge_host.links.loop_device import open_loop

    return open_loop()


# The sending end of every kind of link.
LINKS: dict[Scheme, Callable[[str], Link]] = {UDP: _udp, SERIAL: SerialLink, TUNNEL: SerialLink, LOOP: _loop}
HELP = "udp://host:port, serial://DEV?baud=N, socket://…, rfc2217://…, loop:// (a device in this process)"


def open_link(url: str) -> Link:
    """Open the sending end of a link by URL.

    Raises UsageError (malformed), UnreachableError (no such host, no such port).
    """
    make = LINKS.get(scheme_of(url))
    if make is None:
        raise UsageError(f"'{url}': unknown link; use {' or '.join(scheme.usage for scheme in LINKS)}")
    return make(url)


def open_secured(url: str, key_file: str | None) -> Link:
    """`open_link`, with the key of a file if there is one and the link takes keys. Raises UsageError for a bad one."""
    link = open_link(url)
    if key_file is None or not scheme_of(url).keyed:
        return link
    from dredge_device.pi.security.session_keys import KeyFileError, read_key
    from dredge_host.links.secure import SecureLink

    try:
        return SecureLink(link, read_key(key_file))
    except KeyFileError as error:
        link.close()
        raise UsageError(str(error)) from None
    except BaseException:
        link.close()
        raise
