# SPDX-License-Identifier: BSD-2-Clause
# Frames on a serial line, byte for byte those of dredge_device.framing, made and read in buffers that
# exist from the start: nothing is allocated per datagram. The loops over bytes are viper code, whose integers are
# machine words: a CRC-32 of 32 bits would otherwise be a heap object on a 32-bit board.
from array import array

try:
    from micropython import const
except ImportError:
    from dredge_board.viper import const, micropython, ptr8, ptr32

_MAX = const(2048)  # longest datagram, as in dredge_device.framing
_RAW = const(2054)  # with sequence number and CRC
_FRAME = const(2070)  # with COBS codes and delimiters

# Indices into the state of a reader: 0 bytes in the buffer, 1 bytes of the present run still to come, 2 the present run
# is followed by a zero if anything follows, 3 the frame is too long; and of the frame that ended last, if one did:
_ENDED = const(4)
_SIZE = const(5)  # bytes in the buffer
_LEFT = const(6)  # bytes missing from its last run
_LONG = const(7)


# Table of the CRC-32 of IEEE 802.3 (polynomial 0xEDB88320, reflected). The constant is put together at run time:
# viper has no literals of 32 bits on a 32-bit board.
@micropython.viper
def _fill_table(table: ptr32):
    polynomial = 0xEDB8
    polynomial = polynomial << 16 | 0x8320
    mask = 0x7FFF
    mask = mask << 16 | 0xFFFF
    for index in range(256):
        value = index
        for _ in range(8):
            odd = value & 1
            value = value >> 1 & mask
            if odd:
                value ^= polynomial
        table[index] = value


_TABLE = array("I", bytes(1024))
_fill_table(_TABLE)


# Writes the frame of data[:size] to out and returns its length. edge: sequence number (2 bytes), room for the CRC (4).
# The first three arguments of these functions are the ones that change for every byte, because viper keeps those in
# registers; callers pass 2, -1, 0.
@micropython.viper
def _frame(at: int, crc: int, index: int, out: ptr8, data: ptr8, edge: ptr8, size: int, table: ptr32) -> int:
    out[0] = 0
    code = 1  # where the length of the present run goes
    source = edge
    stop = 2
    part = 0
    while True:
        while index < stop:
            byte = int(source[index])
            index += 1
            crc = crc >> 8 & 0xFFFFFF ^ int(table[(crc ^ byte) & 255])
            if at - code == 255:  # a full run that is followed by data
                out[code] = 255
                code = at
                at += 1
            if byte:
                out[at] = byte
            else:
                out[code] = at - code
                code = at
            at += 1
        part += 1
        if part == 1:
            source = data
            index = 0
            stop = size
        elif part == 2:
            edge[2] = (crc >> 24 & 255) ^ 255
            edge[3] = (crc >> 16 & 255) ^ 255
            edge[4] = (crc >> 8 & 255) ^ 255
            edge[5] = (crc & 255) ^ 255
            source = edge
            index = 2
            stop = 6
        else:
            break
    out[code] = at - code
    out[at] = 0
    return at + 1


# Read piece[index:stop] up to the end of the first frame, valid or not; return where to continue. at: any value.
@micropython.viper
def _unstuff(index: int, at: int, end: int, piece: ptr8, raw: ptr8, state: ptr32, stop: int) -> int:
    at = int(state[0])
    left = int(state[1])
    while index < stop:
        if left:
            end = index + left
            if end > stop:
                end = stop
            if at + left > 2054:  # too long for a frame: the bytes are skipped
                state[3] = 1
                at = 0
            left += index
            while index < end:
                byte = int(piece[index])
                if byte == 0:
                    break
                raw[at] = byte
                at += 1
                index += 1
            left -= index
            if index == end:
                continue
        byte = int(piece[index])
        index += 1
        if byte:
            if int(state[2]):
                if at > 2053:
                    state[3] = 1
                    at = 0
                raw[at] = 0
                at += 1
            state[2] = 0 if byte == 255 else 1
            left = byte - 1
            continue
        if at == 0 and left == 0 and int(state[2]) == 0 and int(state[3]) == 0:
            continue  # a delimiter after another
        state[4] = 1
        state[5] = at
        state[6] = left
        state[7] = int(state[3])
        at = 0
        left = 0
        state[2] = 0
        state[3] = 0
        break
    state[0] = at
    state[1] = left
    return index


# Return 1 when the CRC over the first count bytes is the four bytes behind them, else 0. Called with crc -1, index 0.
@micropython.viper
def _is_whole(crc: int, index: int, raw: ptr8, count: int, table: ptr32) -> int:
    while index < count:
        crc = crc >> 8 & 0xFFFFFF ^ int(table[(crc ^ int(raw[index])) & 255])
        index += 1
    differ = int(raw[count]) ^ (crc >> 24 & 255) ^ 255
    differ |= int(raw[count + 1]) ^ (crc >> 16 & 255) ^ 255
    differ |= int(raw[count + 2]) ^ (crc >> 8 & 255) ^ 255
    differ |= int(raw[count + 3]) ^ (crc & 255) ^ 255
    return 0 if differ else 1


# A writer of datagrams as frames. out begins with the last frame.
class LineWriter:
    def __init__(self):
        self.out = bytearray(_FRAME)
        self._edge = bytearray(6)
        self._sequence = 0

    # Write the frame of data[:size] (bytes-like; by default all of it) to out; return its length, 0 if data is too
    # long.
    def frame(self, data, size=-1):
        if size < 0:
            size = len(data)
        if size > _MAX:
            return 0
        sequence = self._sequence
        self._sequence = (sequence + 1) & 0xFFFF
        edge = self._edge
        edge[0] = sequence >> 8
        edge[1] = sequence & 255
        return _frame(2, -1, 0, self.out, data, edge, size, _TABLE)


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
        self._state = array("I", bytes(32))

    # Read piece[start:stop] up to the end of the first whole frame; return where to continue.
    def take(self, piece, start, stop):
        self.size = -1
        state = self._state
        while start < stop:
            start = _unstuff(start, 0, 0, piece, self._raw, state, stop)
            if state[_ENDED]:
                state[_ENDED] = 0
                self._finish(state)
                if self.size >= 0:
                    break
        return start

    def _finish(self, state):
        size = state[_SIZE] - 6
        if state[_LONG]:
            self.overlong += 1
        elif state[_LEFT] or size < 0 or not _is_whole(-1, 0, self._raw, size + 2, _TABLE):
            self.damaged += 1
        else:
            self.frames += 1
            if self._follow(self._raw[0] << 8 | self._raw[1]):
                self.size = size

    # Return False for a repeated number; a far jump means that the other end has restarted.
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
