# SPDX-License-Identifier: BSD-2-Clause
"""Who may talk to the device. Without a key: anybody the address lets in, but never more is answered
to a remote peer than it has sent. With a key: only its holders; everybody else is counted and dropped.
"""

import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from dredge_device import rtp
from dredge_device.pi.security import session_keys
from dredge_device.pi.security.session_keys import COOKIE, MAGIC, NONCE, OPEN, OPEN_BYTES, TO_DEVICE, TO_HOST, Keys
from dredge_device.telemetry import Counters

_EPOCH_US = 16_000_000  # a cookie is good in its own epoch and the next
_IDLE_US = 30_000_000
_RATE, _BURST = 10, 20  # openings looked at per second, of one stranger
_RATE_ALL, _BURST_ALL = 50, 100  # … and of all together: what the cookies may cost
_HEAD = len(MAGIC) + 1 + NONCE + 4  # magic, kind, nonce, epoch
_KNOWN_PEERS = 64


class Access(Protocol):
    """``receive``: what a datagram holds for the agent (None: nothing) and answers to send at once;
    ``wrap``: what to send for the agent's datagram (None: nothing)."""

    counters: Counters

    def receive(self, datagram: bytes, peer: Any, now_us: int) -> tuple[bytes | None, list[bytes]]: ...
    def wrap(self, datagram: bytes, peer: Any) -> bytes | None: ...


class OpenAccess:
    """No key. ``limited``: the peers are remote and unproven, so answers never outgrow questions."""

    def __init__(self, limited: bool = False) -> None:
        self._limited = limited
        self._credit: OrderedDict[Any, int] = OrderedDict()  # bytes a peer may still be sent
        self.counters = Counters(("withheld",))

    def receive(self, datagram: bytes, peer: Any, now_us: int) -> tuple[bytes | None, list[bytes]]:
        """Everything passes; it is counted in the peer's favour."""
        del now_us
        if self._limited:
            self._credit[peer] = self._credit.get(peer, 0) + len(datagram)
            self._credit.move_to_end(peer)
            if len(self._credit) > _KNOWN_PEERS:
                self._credit.popitem(last=False)
        return datagram, []

    def wrap(self, datagram: bytes, peer: Any) -> bytes | None:
        """None when the peer has not sent as much as it would get."""
        if self._limited:
            credit = self._credit.get(peer, 0) - len(datagram)
            if credit < 0:
                self.counters.add("withheld")
                return None
            self._credit[peer] = credit
        return datagram


class Peer:
    """A peer that has proven to hold the key."""

    def __init__(self, nonce: bytes, keys: Keys) -> None:
        self.nonce = nonce
        self.keys = keys
        self.media = session_keys.srtp(keys.media_key, outbound=False)
        self.heard_us = 0


class KeyedAccess:
    """Control is authenticated with a replay counter, media is SRTP, memory is bounded.

    Until a peer has proven that it holds the key, nothing about it is stored: the cookie it must
    bring back is a function of its address, its nonce and the time. ``rekeyed`` is told every peer that
    has new keys, before anything under them is let through. Raises ImportError without pylibsrtp.
    """

    def __init__(self, key: bytes, most: int = 8, rekeyed: Callable[[Any], None] | None = None) -> None:
        self._key = key
        self._most = most
        self._rekeyed = rekeyed
        self._secret = os.urandom(32)
        self._members: OrderedDict[Any, Peer] = OrderedDict()
        self._over: OrderedDict[bytes, int] = OrderedDict()  # nonces of ended sessions, until when
        self._strangers: OrderedDict[Any, tuple[float, int]] = OrderedDict()  # allowance left, when last heard
        self._tokens = float(_BURST_ALL)
        self._refilled_us: int | None = None
        self.counters = Counters(
            ("opened", "cookies", "forged", "replayed", "unauthenticated", "limited", "withheld", "full")
        )
        session_keys.srtp(bytes(30), outbound=False)

    def receive(self, datagram: bytes, peer: Any, now_us: int) -> tuple[bytes | None, list[bytes]]:
        """The agent's datagram when it is genuine and new."""
        member = self._members.get(peer)
        if not datagram.startswith(MAGIC):  # a stranger's costs nothing: it is dropped unread
            return self._media(datagram, member, now_us), []
        if member is None and not self._allowed(peer, now_us):
            self.counters.add("limited")
            return None, []
        kind = datagram[len(MAGIC) : len(MAGIC) + 1]
        if kind == bytes([OPEN]) and len(datagram) >= OPEN_BYTES:
            return None, [self._cookie(datagram, peer, now_us)]
        if kind == bytes([TO_DEVICE]) and len(datagram) >= _HEAD:
            return self._control(datagram, peer, now_us), []
        self.counters.add("unauthenticated")
        return None, []

    def wrap(self, datagram: bytes, peer: Any) -> bytes | None:
        """Sealed for a member; nobody else is ever told anything."""
        member = self._members.get(peer)
        if member is None:
            self.counters.add("withheld")
            return None
        return member.keys.to_host.seal(MAGIC + bytes([TO_HOST]), datagram)

    def _media(self, datagram: bytes, member: Peer | None, now_us: int) -> bytes | None:
        if member is None or rtp.is_rtcp(datagram) or len(datagram) < 12:
            self.counters.add("unauthenticated")
            return None
        try:
            clear: bytes = member.media.unprotect(datagram)
        except Exception as error:  # pylibsrtp's own class cannot be named without importing it
            self.counters.add("replayed" if "replay" in str(error) else "forged")
            return None
        member.heard_us = now_us
        return clear

    def _cookie(self, datagram: bytes, peer: Any, now_us: int) -> bytes:
        nonce = datagram[len(MAGIC) + 1 : len(MAGIC) + 1 + NONCE]
        epoch = now_us // _EPOCH_US & 0xFFFFFFFF
        self.counters.add("cookies")
        return MAGIC + bytes([COOKIE]) + nonce + epoch.to_bytes(4, "big") + self._make_cookie(peer, nonce, epoch)

    def _make_cookie(self, peer: Any, nonce: bytes, epoch: int) -> bytes:
        text = repr(peer).encode() + nonce + epoch.to_bytes(4, "big")
        return hmac.new(self._secret, text, hashlib.sha256).digest()[:16]

    def _control(self, datagram: bytes, peer: Any, now_us: int) -> bytes | None:
        nonce, epoch = datagram[5 : 5 + NONCE], int.from_bytes(datagram[5 + NONCE : _HEAD], "big")
        member = self._members.get(peer)
        if member is None or member.nonce != nonce:
            member = self._candidate(peer, nonce, epoch, now_us)
            if member is None:
                return None
        try:
            clear = member.keys.to_device.open(datagram, _HEAD)
        except session_keys.SealError as error:
            self.counters.add(str(error))
            return None
        return clear if self._admit(peer, member, now_us) else None

    def _candidate(self, peer: Any, nonce: bytes, epoch: int, now_us: int) -> Peer | None:
        """Keys for a peer that brings back our cookie; used nonces and old cookies are refused."""
        age = (now_us // _EPOCH_US & 0xFFFFFFFF) - epoch
        if age not in (0, 1):
            self.counters.add("forged")
            return None
        if nonce in self._over:
            self.counters.add("replayed")
            return None
        return Peer(nonce, Keys(self._key, nonce, self._make_cookie(peer, nonce, epoch)))

    def _admit(self, peer: Any, member: Peer, now_us: int) -> bool:
        if self._members.get(peer) is not member:
            self._expire(now_us)
            if peer in self._members:
                self._retire(peer, now_us)
            if len(self._members) >= self._most:
                self.counters.add("full")
                return False
            self._members[peer] = member
            self.counters.add("opened")
            if self._rekeyed is not None:
                self._rekeyed(peer)
        member.heard_us = now_us
        return True

    def _expire(self, now_us: int) -> None:
        for peer in [p for p, m in self._members.items() if now_us - m.heard_us > _IDLE_US]:
            self._retire(peer, now_us)
        while self._over and next(iter(self._over.values())) < now_us:
            self._over.popitem(last=False)

    def _retire(self, peer: Any, now_us: int) -> None:
        """The nonce stays refused for as long as its cookie could be good."""
        self._over[self._members.pop(peer).nonce] = now_us + 3 * _EPOCH_US

    def _allowed(self, peer: Any, now_us: int) -> bool:
        """Every stranger has an allowance of its own, so that a flood does not shut out others; the least
        recently heard is forgotten, and all of them together have one as well."""
        tokens, seen_us = self._strangers.pop(peer, (float(_BURST), now_us))
        tokens = _refilled(tokens, now_us - seen_us, _RATE, _BURST)
        allowed = tokens >= 1
        self._strangers[peer] = (tokens - allowed, now_us)
        if len(self._strangers) > _KNOWN_PEERS:
            self._strangers.popitem(last=False)
        since = 0 if self._refilled_us is None else now_us - self._refilled_us
        self._refilled_us = now_us
        self._tokens = _refilled(self._tokens, since, _RATE_ALL, _BURST_ALL)
        if not allowed or self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _refilled(tokens: float, elapsed_us: int, rate: int, burst: int) -> float:
    return min(float(burst), tokens + max(0, elapsed_us) * rate / 1e6)
