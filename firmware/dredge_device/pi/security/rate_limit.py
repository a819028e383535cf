# SPDX-License-Identifier: BSD-2-Clause
"""The rate limit on datagrams of unknown peers."""

from collections import OrderedDict
from typing import Any

from dredge_device.pi.transport.addresses import network_of

# (Datagrams per second, burst) of one socket, of one address (several hosts may share it), of all together.
_SOCKET = (5, 10)
_ADDRESS = (10, 20)
_ALL = (50, 100)
_REMEMBERED = 64  # sockets and addresses; the least recently active one is forgotten


class _Bucket:
    """A token bucket that fills with time up to ``burst``; each examined datagram costs one token."""

    def __init__(self, rate: int, burst: int, now_us: int) -> None:
        self._rate, self._burst = rate, float(burst)
        self._tokens = self._burst
        self._filled_us = now_us

    def holds(self, now_us: int) -> bool:
        elapsed_us = max(0, now_us - self._filled_us)
        self._tokens = min(self._burst, self._tokens + elapsed_us * self._rate / 1e6)
        self._filled_us = now_us
        return self._tokens >= 1

    def take(self) -> None:
        self._tokens -= 1


class RateLimit:
    """The limits per second of every socket, of every address (network_of) and of all unknown peers together.

    A flood is stopped by its own bucket first, so that it blocks neither other addresses nor other hosts behind the
    same address.
    """

    def __init__(self) -> None:
        self._sockets: OrderedDict[Any, _Bucket] = OrderedDict()
        self._addresses: OrderedDict[Any, _Bucket] = OrderedDict()
        self._all: _Bucket | None = None

    def __len__(self) -> int:
        """Return the number of remembered peers."""
        return max(len(self._sockets), len(self._addresses))

    def allow(self, peer: Any, now_us: int) -> bool:
        """Return whether another datagram of this peer may be examined."""
        if self._all is None:
            self._all = _Bucket(*_ALL, now_us)
        buckets = (
            _remembered(self._sockets, peer, _SOCKET, now_us),
            _remembered(self._addresses, network_of(peer), _ADDRESS, now_us),
            self._all,
        )
        if not all(bucket.holds(now_us) for bucket in buckets):
            return False
        for bucket in buckets:
            bucket.take()
        return True


def _remembered(known: OrderedDict[Any, _Bucket], key: Any, limit: tuple[int, int], now_us: int) -> _Bucket:
    bucket = known.setdefault(key, _Bucket(*limit, now_us))
    known.move_to_end(key)
    if len(known) > _REMEMBERED:
        known.popitem(last=False)
    return bucket
