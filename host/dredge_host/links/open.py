# SPDX-License-Identifier: BSD-2-Clause
"""Links by URL."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from dredge_device import rtp
from dredge_device.pi.transport.schemes import LOOP, RTP, SERIAL, TUNNEL, UDP, Scheme, scheme_of
from dredge_host.errors import UsageError
from dredge_host.links.link import DEFAULT_PORT, Link
from dredge_host.links.plain import RtpLink
from dredge_host.links.serial import SerialLink
from dredge_host.links.udp import UdpLink


def parse_udp(url: str) -> tuple[str, int]:
    """Return (host, port) of `udp://host:port` or `udp://[v6]:port`. Raises UsageError."""
    try:
        parts = urlsplit(url)
        port = DEFAULT_PORT if parts.port is None else parts.port
    except ValueError:
        raise UsageError(f"'{url}': the port must be a number from 0 to 65535") from None
    if parts.scheme not in ("udp", "rtp") or not parts.hostname or parts.path not in ("", "/"):
        raise UsageError(f"'{url}': expected udp://host:port, for example udp://127.0.0.1:5004")
    return parts.hostname, port


def _far(url: str) -> tuple[str, int]:
    host, port = parse_udp(url)
    if port == 0:
        raise UsageError(f"'{url}': port 0 cannot be sent to")
    return host, port


def _udp(url: str) -> Link:
    return UdpLink(*_far(url))


def open_rtp(
    url: str, key_file: str | None = None, mux: bool = False, payload_type: int = rtp.PAYLOAD_TYPE
) -> RtpLink:
    """Return the link to a plain RTP receiver; key_file: its first 30 bytes are the static key of SRTP; payload_type:
    of Opus.

    Raises UsageError, UnreachableError, CapabilityError.
    """
    if key_file is None:
        return RtpLink(*_far(url), mux, None, payload_type)
    from dredge_device.pi.input.sdp import KEY_BYTES
    from dredge_device.pi.security.session_keys import KeyFileError, read_key

    try:
        key = read_key(key_file)
    except KeyFileError as error:
        raise UsageError(str(error)) from None
    if len(key) < KEY_BYTES:
        raise UsageError(f"key file {key_file}: {len(key)} bytes of key, expected {KEY_BYTES} for SRTP")
    return RtpLink(*_far(url), mux, key[:KEY_BYTES], payload_type)


def _loop(url: str) -> Link:
    del url
    from dredge_host.links.loop_device import open_loop

    return open_loop()


# The sending end of every kind of link.
LINKS: dict[Scheme, Callable[[str], Link]] = {
    UDP: _udp, RTP: open_rtp, SERIAL: SerialLink, TUNNEL: SerialLink, LOOP: _loop,
}  # fmt: skip
HELP = (
    "udp://host:port, rtp://host:port (a plain RTP receiver), serial://DEV?baud=N, socket://…, rfc2217://…, "
    "loop:// (a device in this process)"
)


def open_link(url: str) -> Link:
    """Open the sending end of a link by URL.

    Raises UsageError (malformed), UnreachableError (no such host, no such port).
    """
    make = LINKS.get(scheme_of(url))
    if make is None:
        raise UsageError(f"'{url}': unknown link; use {' or '.join(scheme.usage for scheme in LINKS)}")
    return make(url)


def open_secured(url: str, key_file: str | None) -> Link:
    """Return `open_link(url)`, secured with the key of a file if one is given and the link can be keyed. Raises
    UsageError for a bad one.
    """
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
