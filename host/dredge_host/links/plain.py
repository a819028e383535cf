# SPDX-License-Identifier: BSD-2-Clause
"""RTP to a receiver without our control protocol: media to one port, RTCP to the next, SRTP with a key."""

from __future__ import annotations

from typing import Any

from dredge_device import rtp
from dredge_host.errors import CapabilityError, UnreachableError
from dredge_host.links.udp import UdpLink


class RtpLink:
    """Sends RTP to ``port`` and RTCP to the next one (RFC 3550 section 11), or both to one (``mux``, RFC 5761).

    key: 30 bytes of SRTP (AES-128 counter mode, HMAC-SHA1-80) for both; payload_type: the receiver's type for Opus.
    `recv` returns the receiver's reports;
    a closed RTCP port is no failure. Raises UnreachableError, and CapabilityError without pylibsrtp.
    """

    def __init__(
        self, host: str, port: int, mux: bool = False, key: bytes | None = None, payload_type: int = rtp.PAYLOAD_TYPE
    ) -> None:
        self._media = UdpLink(host, port)
        self._control = self._media if mux else UdpLink(host, port + 1)
        self.url = self._media.url.replace("udp:", "rtp:", 1)
        self.key, self.mux, self.payload_type = key, mux, payload_type
        self._srtp: Any = None
        if key is not None:
            from dredge_device.pi.security import session_keys

            try:
                self._srtp = session_keys.srtp(key, outbound=True)
                self._heard = session_keys.srtp(key, outbound=False)
            except ImportError as error:
                raise CapabilityError(str(error)) from None

    def send(self, datagram: bytes) -> None:
        if rtp.is_rtcp(datagram):
            try:
                self._control.send(self._srtp.protect_rtcp(datagram) if self._srtp else datagram)
            except UnreachableError:
                return
            return
        typed = datagram[1] & 0x80 | self.payload_type
        if typed != datagram[1]:
            datagram = datagram[:1] + bytes([typed]) + datagram[2:]
        self._media.send(self._srtp.protect(datagram) if self._srtp else datagram)

    def recv(self, timeout: float = 0.0) -> bytes | None:
        try:
            datagram = self._control.recv(timeout)
        except UnreachableError:
            return None
        if datagram is None or self._srtp is None:
            return datagram
        try:
            clear: bytes = self._heard.unprotect_rtcp(datagram)
        except Exception:  # pylibsrtp's own class cannot be named without importing it
            return None
        return clear

    def close(self) -> None:
        self._media.close()
        if self._control is not self._media:
            self._control.close()
