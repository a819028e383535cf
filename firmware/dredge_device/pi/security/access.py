# SPDX-License-Identifier: BSD-2-Clause
"""Access control of the device. Without a key any peer that the address admits is served, but a remote peer is never
sent more than it has sent. With a key only its holders are served; other datagrams are counted and dropped.
"""

import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property
from typing import Any, Protocol

from dredge_device import rtp
from dredge_device.pi.security import session_keys
from dredge_device.pi.security.rate_limit import RateLimit
from dredge_device.pi.security.session_keys import COOKIE, MAGIC, NONCE, OPEN, OPEN_BYTES, TO_DEVICE, TO_HOST, Keys
from dredge_device.pi.transport.addresses import name_of, network_of
from dredge_device.telemetry import Counters

_EPOCH_US = 16_000_000  # a cookie is valid in its own epoch and the next
_IDLE_US = 30_000_000
_HEAD = len(MAGIC) + 1 + NONCE + 4  # magic, kind, nonce, epoch
_KNOWN_PEERS = 64


class Access(Protocol):
    """The access control of a device.

    ``receive``: returns the datagram for the agent (None: none) and answers to send at once; ``wrap``: returns what to
    send for the agent's datagram (None: nothing).
    """

    counters: Counters

    def receive(self, datagram: bytes, peer: Any, now_us: int) -> tuple[bytes | None, list[bytes]]: ...
    def wrap(self, datagram: bytes, peer: Any) -> bytes | None: ...


def _none_served(peer: Any) -> bool:
    return False


def _no_warning(kind: str, text: str) -> None:
    return None


class OpenAccess:
    """Access without a key.

    ``limited``: the peers are remote and unproven, so answers are never larger than requests, in bytes and in packets,
    and so also not with their headers. Unknown peers are counted by address; a served peer (``serving``) has a separate
    account, which others can neither use nor displace. ``warn`` takes a kind and a line for the user.
    """

    def __init__(
        self,
        limited: bool = False,
        serving: Callable[[Any], bool] = _none_served,
        warn: Callable[[str, str], None] = _no_warning,
    ) -> None:
        self._limited = limited
        self._serving = serving
        self._warn = warn
        self._credits: OrderedDict[Any, _Credit] = OrderedDict()  # of unknown peers, by address
        self._own: dict[Any, _Credit] = {}  # of served peers
        self.counters = Counters(("withheld",))

    def receive(self, datagram: bytes, peer: Any, now_us: int) -> tuple[bytes | None, list[bytes]]:
        """Admit every datagram and add its size to the peer's credit."""
        del now_us
        if datagram.startswith(MAGIC):
            self._warn("no key", f"{name_of(peer)} uses a key and this end has none: start it with --key-file")
        if self._limited:
            self._account(peer).earn(len(datagram))
        return datagram, []

    def wrap(self, datagram: bytes, peer: Any) -> bytes | None:
        """Return the datagram, None when the peer has not sent as much as the answer needs."""
        if self._limited:
            size = len(datagram)
            accounts = (self._own.get(peer), self._credits.get(network_of(peer)))
            if not any(account is not None and account.spend(size) for account in accounts):
                self.counters.add("withheld")
                return None
        return datagram

    def _account(self, peer: Any) -> "_Credit":
        if self._serving(peer):
            if len(self._own) > _KNOWN_PEERS:
                self._own = {known: credit for known, credit in self._own.items() if self._serving(known)}
            return self._own.setdefault(peer, _Credit())
        place = network_of(peer)
        credit = self._credits.setdefault(place, _Credit())
        self._credits.move_to_end(place)
        if len(self._credits) > _KNOWN_PEERS:
            self._credits.popitem(last=False)
        return credit


class _Credit:
    """The bytes and packets that a peer may still be sent."""

    def __init__(self) -> None:
        self._bytes = self._packets = 0

    def earn(self, size: int) -> None:
        self._bytes += size
        self._packets += 1

    def spend(self, size: int) -> bool:
        if self._bytes < size or not self._packets:
            return False
        self._bytes -= size
        self._packets -= 1
        return True


class Peer:
    """A peer that has proven that it holds the key."""

    def __init__(self, nonce: bytes, keys: Keys) -> None:
        self.nonce = nonce
        self.keys = keys
        self.heard_us = 0

    @cached_property
    def media(self) -> Any:
        """SRTP, made when the first media arrives, so that a mere claim to hold the key costs no SRTP context."""
        return session_keys.srtp(self.keys.media_key, outbound=False)


class KeyedAccess:
    """Access with a key: control is authenticated with a replay counter, media is SRTP, memory is bounded.

    Until a peer has proven that it holds the key, nothing about it is stored: the cookie it must bring back is a
    function of its address, its nonce and the time. ``rekeyed`` is called with every peer that has new keys, before
    anything under them is let through. Raises ImportError without pylibsrtp.
    """

    def __init__(
        self,
        key: bytes,
        most: int = 8,
        rekeyed: Callable[[Any], None] | None = None,
        serving: Callable[[Any], bool] = _none_served,
        warn: Callable[[str, str], None] = _no_warning,
    ) -> None:
        self._serving = serving
        self._warn = warn
        self._key = key
        self._most = most
        self._rekeyed = rekeyed
        self._secret = os.urandom(32)
        self._holders: OrderedDict[Any, Peer] = OrderedDict()
        self._over: OrderedDict[bytes, int] = OrderedDict()  # nonces of ended sessions, and until when they are refused
        self._strangers = RateLimit()
        self.counters = Counters(
            ("opened", "cookies", "forged", "replayed", "unauthenticated", "limited", "withheld", "full")
        )
        session_keys.srtp(bytes(30), outbound=False)

    def receive(self, datagram: bytes, peer: Any, now_us: int) -> tuple[bytes | None, list[bytes]]:
        """Return the datagram for the agent when it is genuine and new, and the answers to send."""
        holder = self._holders.get(peer)
        if not datagram.startswith(MAGIC):  # media of an unknown peer is dropped without decryption
            return self._media(datagram, holder, peer, now_us), []
        if holder is None and not self._strangers.allow(peer, now_us):
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
        """Return the datagram sealed for a peer with keys, None for anybody else."""
        holder = self._holders.get(peer)
        if holder is None:
            self.counters.add("withheld")
            return None
        return holder.keys.to_host.seal(MAGIC + bytes([TO_HOST]), datagram)

    def _media(self, datagram: bytes, holder: Peer | None, peer: Any, now_us: int) -> bytes | None:
        if holder is None or rtp.is_rtcp(datagram) or len(datagram) < 12:
            self.counters.add("unauthenticated")
            if holder is None:
                self._warn("unkeyed", f"{name_of(peer)} sends without a key: give it the --key-file of this end")
            return None
        try:
            clear: bytes = holder.media.unprotect(datagram)
        except Exception as error:  # pylibsrtp's own class cannot be named without importing it
            self.counters.add("replayed" if "replay" in str(error) else "forged")
            return None
        holder.heard_us = now_us
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
        holder = self._holders.get(peer)
        if holder is None or holder.nonce != nonce:
            # This peer has keys already, so the claim to be it with new keys is rate-limited.
            if holder is not None and not self._strangers.allow(peer, now_us):
                self.counters.add("limited")
                return None
            holder = self._candidate(peer, nonce, epoch, now_us)
            if holder is None:
                return None
        try:
            clear = holder.keys.to_device.open(datagram, _HEAD)
        except session_keys.SealError as error:
            self.counters.add(str(error))
            if str(error) == "forged":
                self._warn("wrong key", f"{name_of(peer)} has another key than this end")
            return None
        return clear if self._admit(peer, holder, now_us) else None

    def _candidate(self, peer: Any, nonce: bytes, epoch: int, now_us: int) -> Peer | None:
        """Return the keys for a peer that returns our cookie; used nonces and old cookies are refused."""
        age = (now_us // _EPOCH_US & 0xFFFFFFFF) - epoch
        if age not in (0, 1):
            self.counters.add("forged")
            return None
        if nonce in self._over:
            self.counters.add("replayed")
            return None
        return Peer(nonce, Keys(self._key, nonce, self._make_cookie(peer, nonce, epoch)))

    def _admit(self, peer: Any, holder: Peer, now_us: int) -> bool:
        if self._holders.get(peer) is not holder:
            self._expire(now_us)
            if peer in self._holders:
                self._retire(peer, now_us)
            if len(self._holders) >= self._most and not self._make_room(now_us):
                self.counters.add("full")
                return False
            self._holders[peer] = holder
            self.counters.add("opened")
            if self._rekeyed is not None:
                self._rekeyed(peer)
        holder.heard_us = now_us
        return True

    def _expire(self, now_us: int) -> None:
        idle = [p for p, m in self._holders.items() if now_us - m.heard_us > _IDLE_US and not self._serving(p)]
        for peer in idle:
            self._retire(peer, now_us)
        while self._over and next(iter(self._over.values())) < now_us:
            self._over.popitem(last=False)

    def _make_room(self, now_us: int) -> bool:
        """Remove peers without a running stream, the least recently active first; return whether there is room."""
        removable = [(m.heard_us, p) for p, m in self._holders.items() if not self._serving(p)]
        if removable:
            self._retire(min(removable, key=lambda item: item[0])[1], now_us)
        return bool(removable)

    def _retire(self, peer: Any, now_us: int) -> None:
        """Refuse the nonce for as long as its cookie could be valid."""
        self._over[self._holders.pop(peer).nonce] = now_us + 3 * _EPOCH_US
