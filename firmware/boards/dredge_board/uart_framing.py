# SPDX-License-Identifier: BSD-2-Clause
# Frames on a serial line, byte for byte those of dredge_device.framing, made and read in buffers that
# exist from the start: nothing is allocated per datagram. A CRC-32 is kept as two halves of 16 bits, because an
# integer of 32 bits is a heap object on a 32-bit board.
from array import array

try:
    from micropython import const
except ImportError:

    def const(value):
        return value

    # On a board the compiler itself knows this decorator.
    class micropython:
        @staticmethod
        def native(function):
            return function


_MAX = const(2048)  # longest datagram, as in dredge_device.framing
_RAW = const(2054)  # with sequence number and CRC
_FRAME = const(2070)  # with COBS codes and delimiters
_RUN = const(255)  # COBS code of the longest run

_HIGH = array("H", bytes(512))
_LOW = array("H", bytes(512))


# Tables of the CRC-32 of IEEE 802.3 (polynomial 0xEDB88320, reflected), upper and lower halves.
def _fill_tables():
    for index in range(256):
        high = 0
        low = index
        for _ in range(8):
            odd = low & 1
            low = low >> 1 | (high & 1) << 15
            high >>= 1
            if odd:
                high ^= 0xEDB8
                low ^= 0x8320
        _HIGH[index] = high
        _LOW[index] = low


_fill_tables()


# Puts datagrams into frames. out holds the last frame, from its beginning.
class LineWriter:
    def __init__(self):
        self.out = bytearray(_FRAME)
        self._tail = bytearray(4)
        self._sequence = 0

    # Frame of a datagram (bytes-like) in out; returns its length, 0 when the datagram is too long.
    @micropython.native
    def frame(self, data):
        size = len(data)
        if size > _MAX:
            return 0
        out = self.out
        sequence = self._sequence
        self._sequence = (sequence + 1) & 0xFFFF
        table_high = _HIGH
        table_low = _LOW
        high = 0xFFFF
        low = 0xFFFF
        out[0] = 0
        at = 2  # the next byte
        code = 1  # where the length of the present run goes
        run = 1
        tail = self._tail
        for index in range(-2, size + 4):
            if index == -2:
                byte = sequence >> 8
            elif index == -1:
                byte = sequence & 255
            elif index < size:
                byte = data[index]
            else:
                if index == size:
                    high ^= 0xFFFF
                    low ^= 0xFFFF
                    tail[0] = high >> 8
                    tail[1] = high & 255
                    tail[2] = low >> 8
                    tail[3] = low & 255
                byte = tail[index - size]
            if index < size:
                entry = (low ^ byte) & 255
                low = (low >> 8 | (high & 255) << 8) ^ table_low[entry]
                high = high >> 8 ^ table_high[entry]
            if run == _RUN:  # a full run, and something follows it
                out[code] = _RUN
                code = at
                at += 1
                run = 1
            if byte:
                out[at] = byte
                at += 1
                run += 1
            else:
                out[code] = run
                code = at
                at += 1
                run = 1
        out[code] = run
        out[at] = 0
        return at + 1


# Takes bytes from the line, in pieces of any size. After take() has returned, size is the length of the
# datagram in body, or -1; the counters mean what they mean in dredge_device.framing.Deframer.
class LineReader:
    def __init__(self):
        self._raw = bytearray(_RAW)
        self.body = memoryview(self._raw)[2:]
        self.size = -1
        self.frames = 0
        self.damaged = 0
        self.overlong = 0
        self.missed = 0
        self.repeated = 0
        self._next = -1
        self._restart()

    def _restart(self):
        self._at = 0
        self._left = 0  # bytes of the present run still to come
        self._zero = False  # the present run is followed by a zero, if anything follows
        self._begun = False
        self._bad = False
        self._long = False

    # Reads piece[start:stop] up to the end of the first whole frame; returns where to go on.
    @micropython.native
    def take(self, piece, start, stop):
        self.size = -1
        raw = self._raw
        at = self._at
        left = self._left
        index = start
        while index < stop:
            byte = piece[index]
            index += 1
            if byte == 0:
                self._at = at
                self._left = left
                self._finish()
                at = 0
                left = 0
                if self.size >= 0:
                    return index
            elif left:
                if at < _RAW:
                    raw[at] = byte
                    at += 1
                else:
                    self._long = True
                left -= 1
            else:
                if self._zero:
                    if at < _RAW:
                        raw[at] = 0
                        at += 1
                    else:
                        self._long = True
                self._begun = True
                left = byte - 1
                self._zero = byte != _RUN
        self._at = at
        self._left = left
        return stop

    def _finish(self):
        size = self._at - 6
        if self._begun:
            if self._long:
                self.overlong += 1
            elif self._left or size < 0 or not self._is_whole(size + 2):
                self.damaged += 1
            else:
                self.frames += 1
                if self._follow(self._raw[0] << 8 | self._raw[1]):
                    self.size = size
        self._restart()

    # The CRC over the first count bytes is the four bytes behind them.
    @micropython.native
    def _is_whole(self, count):
        raw = self._raw
        table_high = _HIGH
        table_low = _LOW
        high = 0xFFFF
        low = 0xFFFF
        for index in range(count):
            entry = (low ^ raw[index]) & 255
            low = (low >> 8 | (high & 255) << 8) ^ table_low[entry]
            high = high >> 8 ^ table_high[entry]
        high ^= 0xFFFF
        low ^= 0xFFFF
        return (
            raw[count] == high >> 8
            and raw[count + 1] == high & 255
            and raw[count + 2] == low >> 8
            and raw[count + 3] == low & 255
        )

    # False for a number that was here before; a far jump is the other end's new start.
    def _follow(self, sequence):
        if self._next >= 0:
            ahead = (sequence - self._next) & 0xFFFF
            if ahead < 0x8000:
                self.missed += ahead
            elif ahead >= 0xFF00:
                self.repeated += 1
                return False
        self._next = (sequence + 1) & 0xFFFF
        return True

    def counters(self):
        return {
            "frames": self.frames,
            "damaged": self.damaged,
            "overlong": self.overlong,
            "missed": self.missed,
            "repeated": self.repeated,
        }
