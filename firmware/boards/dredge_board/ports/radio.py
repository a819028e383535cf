# SPDX-License-Identifier: BSD-2-Clause
# ESP-NOW as a radio that loses datagrams: frames of at most 250 bytes, so a longer datagram goes in several of them.
#
#   number (1 byte, of the datagram) | index of this part, high 4 bits; how many parts, low 4 bits | bytes
#
# The loss of one part loses the whole datagram. Nothing is allocated per frame: ESP-NOW sends whole buffers only, so
# there is a view of every length.
from dredge_device.telemetry import Counters

try:
    from micropython import const
except ImportError:
    from dredge_board.viper import const, micropython, ptr8

FRAME = const(250)  # ESP-NOW's limit (version 1)
_HEAD = const(2)
_PART_BYTES = const(248)
_PARTS = const(9)  # enough for the longest datagram of a line, 2048 bytes
BROADCAST = b"\xff\xff\xff\xff\xff\xff"
_COUNTERS = (
    "frames_out", "frames_in", "busy", "unsent", "too_long", "foreign", "datagrams_out", "datagrams_in",
    "datagrams_cut", "datagrams_missed",
)  # fmt: skip


@micropython.viper
def _copy(at: int, to: int, count: int, source: ptr8, target: ptr8):
    count += at
    while at < count:
        target[to] = int(source[at])
        at += 1
        to += 1


# Return the six bytes of "aa:bb:cc:dd:ee:ff"; ValueError for anything else.
def address(text):
    parts = text.split(":")
    if len(parts) != 6:
        raise ValueError("peer is '%s', expected a MAC address like 24:6f:28:aa:bb:cc" % text)
    return bytes([int(part, 16) for part in parts])


# The radio of this board as one end of a bridge. espnow: an active espnow.ESPNow with this peer added. The radio
# repeats unacknowledged frames to a peer, but not to everybody (BROADCAST), so that losses stay losses there.
class RadioPort:
    def __init__(self, espnow, peer):
        self.socket = espnow  # for poll()
        self.known = True
        self.counters = Counters(_COUNTERS)
        self.body = bytearray(_PARTS * _PART_BYTES)  # the last datagram received
        self._peer = peer
        self._heard = peer != BROADCAST  # accept frames of this peer only
        self._out = bytearray(FRAME)
        self._views = [memoryview(self._out)[:size] for size in range(FRAME + 1)]
        self._number = 0
        self._came = [bytearray(6), bytearray(FRAME)]
        self._current = -1  # number of the datagram being received
        self._parts = 0  # its parts received so far, one bit each
        self._size = 0
        self._whole = memoryview(self.body)

    # Send buffer[:size] in as many frames as needed; return the bytes sent, None when the radio did not take all.
    def write(self, buffer, size):
        count = (size + _PART_BYTES - 1) // _PART_BYTES
        if count > _PARTS or size == 0:
            self.counters.add("too_long")
            return None
        self._number = (self._number + 1) & 255
        self.counters.add("datagrams_out")
        out = self._out
        at = 0
        for index in range(count):
            part = min(_PART_BYTES, size - at)
            out[0] = self._number
            out[1] = index << 4 | count
            _copy(at, _HEAD, part, buffer, out)
            if not self._send(self._views[_HEAD + part]):
                self.counters.add("unsent")
                return None
            at += part
        return size

    def _send(self, frame):
        try:
            taken = self.socket.send(self._peer, frame, False)
        except OSError:  # ESP_ERR_ESPNOW_NO_MEM: the radio is behind, and a delayed datagram would be useless
            self.counters.add("busy")
            return False
        if taken:
            self.counters.add("frames_out")
        return taken

    # Return the size of a datagram now complete in body, 0 when it is incomplete, None when no frame has arrived.
    def readinto(self):
        size = self.socket.recvinto(self._came, 0)
        if not size:
            return None
        frame = self._came[1]
        count = frame[1] & 15
        index = frame[1] >> 4
        foreign = self._heard and self._came[0] != self._peer
        if foreign or size <= _HEAD or index >= count or count > _PARTS or (index + 1 < count and size != FRAME):
            self.counters.add("foreign")
            return 0
        self.counters.add("frames_in")
        if frame[0] != self._current:
            self._begin(frame[0])
        if self._parts < 0:
            return 0
        _copy(_HEAD, _PART_BYTES * index, size - _HEAD, frame, self.body)
        self._parts |= 1 << index
        if index + 1 == count:
            self._size = _PART_BYTES * index + size - _HEAD
        if self._parts != (1 << count) - 1:
            return 0
        self._parts = -1  # complete: further frames of it are repetitions
        self.counters.add("datagrams_in")
        return self._size

    # Begin another datagram; the one before is dropped if it is incomplete.
    def _begin(self, number):
        if self._current >= 0:
            if self._parts > 0:
                self.counters.add("datagrams_cut")
            ahead = (number - self._current) & 255
            if 1 < ahead < 128:
                self.counters.add("datagrams_missed", ahead - 1)
        self._current = number
        self._parts = 0

    # Return the next complete datagram, None when there is none. It is valid until the next call.
    def read(self, _strange=None):
        size = self.readinto()
        while size == 0:
            size = self.readinto()
        return None if size is None else self._whole[:size]

    # Do nothing, because the peer never changes.
    def forget(self):
        return

    def report(self):
        counters = self.counters.snapshot()
        sent, answered, failed, received, dropped = self.socket.stats()
        counters.update(unanswered=failed, dropped=dropped)
        del sent, answered, received
        return counters
