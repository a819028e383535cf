# SPDX-License-Identifier: BSD-2-Clause
"""A keyed link: SRTP media and authenticated control; other datagrams are dropped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from dredge_device import rtp
from dredge_device.pi.security import session_keys
from dredge_device.pi.security.session_keys import (
    COOKIE,
    MAGIC,
    NONCE,
    OPEN,
    OPEN_BYTES,
    TO_DEVICE,
    TO_HOST,
    Keys,
    SealError,
)
from dredge_host.errors import CapabilityError, UnreachableError
from dredge_host.links.link import Link, damaged_of, trouble_of

OPEN_S = 3.0
RETRY_S = 0.25
_COOKIE_BYTES = len(MAGIC) + 1 + NONCE + 4 + 16


class SecureLink:
    """Wraps another link; the handshake runs on first use and again on `renew`.

    Keys are changed only when the device has lost the present ones: `renew` asks for a cookie, and
    a genuine datagram that arrives before it cancels the request. `key_changes` counts; packets after a change
    must not repeat speech from before it (docs/reference/threat-model.md).

    Raises UnreachableError when no device with the same key answers, CapabilityError without
    pylibsrtp.
    """

    def __init__(self, link: Link, key: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = link.url
        self._link = link
        self._key = key
        self._clock = clock
        self._keys: Keys | None = None
        self._nonce = self._epoch = b""  # nonce: of the opening that waits for a cookie
        self.key_changes = 0
        self.ignored = 0  # datagrams that failed authentication or were replayed
        try:
            session_keys.srtp(bytes(30), outbound=True)
        except ImportError as error:
            raise CapabilityError(str(error)) from None

    @property
    def trouble(self) -> str:
        """The fault of the wrapped link."""
        return trouble_of(self._link)

    @property
    def damaged(self) -> int:
        """The damaged frames of the wrapped link."""
        return damaged_of(self._link)

    def renew(self) -> None:
        """Ask for another cookie, in case the device has restarted, and use it when it arrives."""
        self._nonce = os.urandom(NONCE)
        self._link.send((MAGIC + bytes([OPEN]) + self._nonce).ljust(OPEN_BYTES, b"\0"))

    def send(self, datagram: bytes) -> None:
        """Send media as SRTP, control with counter and tag."""
        if self._keys is None:
            self._connect()
        assert self._keys is not None
        if rtp.is_rtcp(datagram):
            self._link.send(self._keys.to_device.seal(self._head, datagram))
        else:
            self._link.send(self._media.protect(datagram))

    def recv(self, timeout: float = 0.0) -> bytes | None:
        """Return the next genuine datagram; others are counted and dropped."""
        until = self._clock() + timeout
        while True:
            datagram = self._link.recv(max(0.0, until - self._clock()))
            if datagram is None:
                return None
            clear = self._open(datagram)
            if clear is not None:
                return clear

    def close(self) -> None:
        self._link.close()

    def _connect(self) -> None:
        self._nonce = b""
        until = self._clock() + OPEN_S
        while self._keys is None and self._clock() < until:
            self.renew()
            self.recv(RETRY_S)
        if self._keys is None:
            raise UnreachableError(
                f"{self.url}: no device with this key answered within {OPEN_S:g} s; is `dredge agent --key-file` "
                "running there, with the same key?"
            )

    def _open(self, datagram: bytes) -> bytes | None:
        if datagram.startswith(MAGIC + bytes([COOKIE])):
            self._take_cookie(datagram)
            return None
        if self._keys is not None and datagram.startswith(MAGIC + bytes([TO_HOST])):
            try:
                clear = self._keys.to_host.open(datagram, len(MAGIC) + 1)
                self._nonce = b""  # the device still has our keys
                return clear
            except SealError:
                pass
        self.ignored += 1
        return None

    def _take_cookie(self, datagram: bytes) -> None:
        nonce = datagram[5 : 5 + NONCE]
        if len(datagram) != _COOKIE_BYTES or not self._nonce or nonce != self._nonce:
            self.ignored += 1
            return
        self._epoch = datagram[5 + NONCE : 9 + NONCE]
        self.key_changes += self._keys is not None
        self._keys = Keys(self._key, nonce, datagram[9 + NONCE :])
        self._head = MAGIC + bytes([TO_DEVICE]) + nonce + self._epoch
        self._media = session_keys.srtp(self._keys.media_key, outbound=True)
        self._nonce = b""
