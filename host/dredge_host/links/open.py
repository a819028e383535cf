# SPDX-License-Identifier: BSD-2-Clause
"""Links carry datagrams: anything with send, recv and close."""

from __future__ import annotations

from urllib.parse import urlsplit

from dredge_device.pi.transport.serial_url import is_serial
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


def open_link(url: str) -> Link:
    """Open the sending end of a link by URL.

    Raises UsageError (malformed), UnreachableError (no such host, no such port).
    """
    scheme = url.split("://", 1)[0] if "://" in url else ""
    if scheme == "udp":
        host, port = parse_udp(url)
        if port == 0:
            raise UsageError(f"'{url}': port 0 cannot be sent to")
        return UdpLink(host, port)
    if scheme == "loop":
        raise UsageError("'loop://' has no far end on its own; use links.loop_pair()")
    if is_serial(url):
        return SerialLink(url)
    raise UsageError(f"'{url}': unknown link; use udp://host:port, serial://DEVICE?baud=N or loop://")


def open_secured(url: str, key_file: str | None) -> Link:
    """`open_link`, with the key of a file if there is one. Raises UsageError for a bad key file."""
    link = open_link(url)
    if key_file is None:
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
