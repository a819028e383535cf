# SPDX-License-Identifier: BSD-2-Clause
"""The admission of unknown peers: bounded queues for their datagrams, and the test for new RTP streams."""

import threading
from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from dredge_device import rtp
from dredge_device.pi.transport.addresses import network_of
from dredge_device.units import RTP_CLOCK_HZ

Arrival = tuple[bytes, Any, int]  # datagram, peer, µs

MEDIA_CAPACITY = 4096  # datagrams of running streams that wait for the decoder; 80 s of one stream
MEDIA_TURN = 512  # most of them taken in one period
OTHER_TURN = 24  # most control and other datagrams taken in one period
ADDRESS_CAPACITY = 128  # of one unknown address prefix, or control of one running session; senders may burst
ADDRESS_SHARE = 16  # of these, the guaranteed part
OTHER_CAPACITY = 1024  # of all others together; beyond it, each gets only its guaranteed part
PREFIXES = 64  # address prefixes with waiting datagrams
_CANDIDATES, _CANDIDATES_EACH = 256, 64  # of all, of one address prefix
_CONFIRM_US = 1_000_000  # the second packet of a new stream must arrive within this time
_MOST_AHEAD = 50  # most packets lost between the two
_MOST_TICKS = RTP_CLOCK_HZ * 2  # largest difference of their timestamps


class _Waiting:
    """The waiting datagrams of one address (at least one between two calls), taken from its sockets in turn.

    When there is no room, the socket with the most waiting datagrams loses one, so that a flood does not displace
    others behind the same address.
    """

    def __init__(self) -> None:
        self._sockets: OrderedDict[Any, deque[Arrival]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def put(self, arrival: Arrival, room: int) -> bool:
        """Queue a datagram; return False when one was dropped: this one, or another in its place."""
        own = self._sockets.get(arrival[1])
        waiting = 0 if own is None else len(own)
        full = self._size >= room
        if full:
            if 2 * waiting >= room:  # this socket has the most waiting; dropping at once keeps a flood cheap
                return False
            most = max(self._sockets.values(), key=len)
            if len(most) < waiting + 2:
                return False
            most.pop()
            self._size -= 1
        if own is None:
            own = self._sockets[arrival[1]] = deque()
        own.append(arrival)
        self._size += 1
        return not full

    def take(self) -> Arrival:
        """Remove and return the oldest datagram of the socket whose turn it is."""
        peer, waiting = self._sockets.popitem(last=False)
        if len(waiting) > 1:
            self._sockets[peer] = waiting
        self._size -= 1
        return waiting.popleft()

    def media_of(self, peer: Any) -> list[Arrival]:
        """Return all media of this socket and remove it from the queue."""
        waiting = self._sockets.pop(peer, deque())
        media = [arrival for arrival in waiting if not is_control(arrival[0])]
        if len(media) < len(waiting):
            self._sockets[peer] = deque(arrival for arrival in waiting if is_control(arrival[0]))
        self._size -= len(media)
        return media


class Inbox:
    """The queue of datagrams between the receiving thread and the decoding thread.

    Media of running sessions has its own queue, so that other datagrams cannot displace it. All others wait by
    sender and are taken in turn, a bounded number per period, so that a flood delays only its sender.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._media: deque[Arrival] = deque()
        self._others: OrderedDict[Any, _Waiting] = OrderedDict()
        self._waiting = 0  # waiting datagrams that are not media
        self._running: Collection[Any] = frozenset()
        self.overflow = 0  # dropped media
        self.dropped = 0  # other dropped datagrams

    def put(self, datagram: bytes, peer: Any, now_us: int) -> None:
        """Take in one datagram."""
        known = peer in self._running
        if known and not is_control(datagram):
            self._put_media((datagram, peer, now_us))
            return
        key = ("running", peer) if known else network_of(peer)
        with self._lock:
            waiting = self._others.get(key)
            if waiting is None:
                if not known and len(self._others) >= PREFIXES:
                    self.dropped += 1
                    return
                waiting = self._others[key] = _Waiting()
            before = len(waiting)
            room = ADDRESS_CAPACITY if self._waiting < OTHER_CAPACITY else ADDRESS_SHARE
            self.dropped += not waiting.put((datagram, peer, now_us), room)
            self._waiting += len(waiting) - before

    @property
    def running(self) -> Collection[Any]:
        """The peers of running sessions."""
        return self._running

    @running.setter
    def running(self, peers: Collection[Any]) -> None:
        if peers == self._running:
            return
        begun = [peer for peer in peers if peer not in self._running]
        self._running = peers
        for peer in begun:  # datagrams that arrived together with its first packets are media as well
            with self._lock:
                key = network_of(peer)
                waiting = self._others.get(key)
                media = waiting.media_of(peer) if waiting is not None else []
                self._waiting -= len(media)
                if waiting is not None and not len(waiting):
                    del self._others[key]
            for arrival in media:
                self._put_media(arrival)

    def _put_media(self, arrival: Arrival) -> None:
        if len(self._media) < MEDIA_CAPACITY:
            self._media.append(arrival)
        else:
            self.overflow += 1

    def take(self) -> list[Arrival]:
        """Return the datagrams of this period, in the order of arrival."""
        if not self._media and not self._others:
            return []
        out = [self._media.popleft() for _ in range(min(len(self._media), MEDIA_TURN))]
        if self._others:
            out += self._turn()
        out.sort(key=_when)
        return out

    def _turn(self) -> list[Arrival]:
        out: list[Arrival] = []
        with self._lock:
            first = [key for key in self._others if isinstance(key, tuple) and key[0] == "running"]
            for key in first:
                self._others.move_to_end(key, last=False)
            while self._others and len(out) < OTHER_TURN:
                key, waiting = self._others.popitem(last=False)
                out.append(waiting.take())
                self._waiting -= 1
                if len(waiting):
                    self._others[key] = waiting
        return out


def _when(arrival: Arrival) -> int:
    return arrival[2]


def is_control(datagram: bytes) -> bool:
    """Return whether a datagram is not media: RTCP, or sealed control (whose first byte differs from RTP's)."""
    return rtp.is_rtcp(datagram) or not datagram or datagram[0] >> 6 != 2


@dataclass
class _Candidate:
    packet: rtp.RtpPacket
    datagram: bytes
    now_us: int
    place: Any


class Candidates:
    """RTP of peers without a session. A stream is accepted when two packets of one peer follow each other.

    payload_types: those that may begin a stream, by default the dynamic ones.
    """

    def __init__(self, payload_types: Collection[int] = ()) -> None:
        self._types = payload_types or range(96, 128)
        self._waiting: OrderedDict[Any, _Candidate] = OrderedDict()

    def confirm(self, datagram: bytes, peer: Any, now_us: int) -> list[tuple[bytes, int]]:
        """Return the packets of a stream that has just become credible, with their arrival times; else an empty list.
        """
        try:
            packet = rtp.parse(datagram)
        except ValueError:
            return []
        if packet.payload_type not in self._types or not packet.payload:
            return []
        before = self._waiting.pop(peer, None)
        if before is not None and _goes_on(before, packet, now_us):
            return [(before.datagram, before.now_us), (datagram, now_us)]
        self._keep(peer, _Candidate(packet, datagram, now_us, network_of(peer)))
        return []

    def _keep(self, peer: Any, candidate: _Candidate) -> None:
        same = [p for p, c in self._waiting.items() if c.place == candidate.place]
        for old in same[: max(0, len(same) - _CANDIDATES_EACH + 1)]:
            del self._waiting[old]
        while len(self._waiting) >= _CANDIDATES:
            self._waiting.popitem(last=False)
        self._waiting[peer] = candidate


def _goes_on(before: _Candidate, packet: rtp.RtpPacket, now_us: int) -> bool:
    first = before.packet
    if now_us - before.now_us > _CONFIRM_US or packet.ssrc != first.ssrc:
        return False
    ticks = packet.timestamp - first.timestamp & 0xFFFFFFFF
    return 0 < rtp.distance(packet.sequence, first.sequence) <= _MOST_AHEAD and 0 < ticks <= _MOST_TICKS
