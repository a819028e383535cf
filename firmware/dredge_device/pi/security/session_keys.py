# SPDX-License-Identifier: BSD-2-Clause
"""The keys of a link: key file, key derivation, sealed control, SRTP media.

An attacker without the key can neither read media nor forge datagrams for either end. A session has its own keys,
made from the pre-shared key, a nonce of the host and a cookie of the device, so that datagrams recorded in one session
are invalid in another (docs/reference/protocol.md, "Keyed links").
"""

import binascii
import hashlib
import hmac
import os
import struct
from pathlib import Path
from typing import Any

from dredge_device.pi.text import read_text
from dredge_device.pi.transport.errors import refusal

MAGIC = b"DGK1"
OPEN, COOKIE, TO_DEVICE, TO_HOST = 1, 2, 3, 4
NONCE = 16
OPEN_BYTES = 64  # longer than the answer, so that a device cannot be used to amplify a flood
TAG = 16
_MIN_KEY = 16
_MAKE_ONE = "make one with: openssl rand -hex 32 > FILE"
_WINDOW = 1024
_COUNTER = ">Q"


class KeyFileError(ValueError):
    """The key file is unusable."""


class SealError(ValueError):
    """A datagram was not sealed by a holder of the key in this session, or was received before."""


def read_key(path: str | os.PathLike[str]) -> bytes:
    """Return the pre-shared key of a file: hexadecimal digits, at least 32 (``openssl rand -hex 32 > FILE``)."""
    try:
        key = binascii.unhexlify("".join(read_text(path).split()))
    except OSError as error:
        raise KeyFileError(f"{refusal(error, f'key file {path}')}; {_MAKE_ONE}") from None
    except ValueError:  # binascii's own is a ValueError; letters beyond ASCII raise a plain one
        raise KeyFileError(f"key file {path}: it must hold hexadecimal digits; {_MAKE_ONE}") from None
    if len(key) < _MIN_KEY:
        raise KeyFileError(f"key file {path}: {len(key)} bytes of key, expected at least {_MIN_KEY}")
    return key


def open_to_others(path: str | os.PathLike[str]) -> bool:
    """Return whether other users of this machine may read the key file."""
    return bool(Path(path).stat().st_mode & 0o077)


def derive(key: bytes, label: str, nonce: bytes, cookie: bytes) -> bytes:
    """Return 32 bytes for one purpose in one session."""
    return hmac.new(key, b"dredge 1 " + label.encode() + nonce + cookie, hashlib.sha256).digest()


def tag_of(key: bytes, *parts: bytes) -> bytes:
    """Return the HMAC-SHA-256, cut to 128 bits (RFC 2104 section 5)."""
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()[:TAG]


class Window:
    """The window of used counters: each is accepted once, and only near the newest."""

    def __init__(self) -> None:
        self._top = -1
        self._seen = 0  # bit i: counter top - i was used

    def accept(self, counter: int) -> bool:
        """Return whether this counter is new and near the newest, and mark it as used."""
        if counter > self._top:
            self._seen = (self._seen << min(counter - self._top, _WINDOW)) & ((1 << _WINDOW) - 1) | 1
            self._top = counter
            return True
        age = self._top - counter
        if age >= _WINDOW or self._seen >> age & 1:
            return False
        self._seen |= 1 << age
        return True


class Channel:
    """One direction of control: a counter and a tag behind every datagram."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._sent = 0
        self._window = Window()

    def seal(self, head: bytes, datagram: bytes) -> bytes:
        """Return head, counter, datagram and tag."""
        body = head + struct.pack(_COUNTER, self._sent) + datagram
        self._sent += 1
        return body + tag_of(self._key, body)

    def open(self, sealed: bytes, head: int) -> bytes:
        """Return the datagram behind ``head`` bytes. Raises SealError when it is forged or was received before."""
        if len(sealed) < head + 8 + TAG or not hmac.compare_digest(tag_of(self._key, sealed[:-TAG]), sealed[-TAG:]):
            raise SealError("forged")
        (counter,) = struct.unpack_from(_COUNTER, sealed, head)
        if not self._window.accept(counter):
            raise SealError("replayed")
        return sealed[head + 8 : -TAG]


class Keys:
    """The keys of one session: ``to_device`` and ``to_host`` channels, SRTP for the host's media."""

    def __init__(self, key: bytes, nonce: bytes, cookie: bytes) -> None:
        self.to_device = Channel(derive(key, "to device", nonce, cookie))
        self.to_host = Channel(derive(key, "to host", nonce, cookie))
        self.media_key = derive(key, "media", nonce, cookie)[:30]  # 16 of key, 14 of salt


def srtp(master: bytes, outbound: bool) -> Any:
    """Return a libsrtp session with AES-128 counter mode and HMAC-SHA1-80 (RFC 3711). Raises ImportError without
    pylibsrtp.
    """
    try:
        from pylibsrtp import Policy, Session
    except ImportError as error:
        raise ImportError("keyed links need the package pylibsrtp: pip install pylibsrtp") from error
    kind = Policy.SSRC_ANY_OUTBOUND if outbound else Policy.SSRC_ANY_INBOUND
    return Session(policy=Policy(key=master, ssrc_type=kind))
