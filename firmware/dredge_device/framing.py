# SPDX-License-Identifier: BSD-2-Clause
# Datagrams on a byte stream: COBS frames (Cheshire and Baker 1999) with a sequence number and the
# CRC-32 of IEEE 802.3, so that a damaged frame is never taken for a datagram; reading resumes at the next zero
# byte.
#
#   00 | COBS of: sequence (2, big-endian), datagram, CRC-32 of both (4, big-endian) | 00
import binascii
import struct

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


MAX_DATAGRAM = const(2048)
OVERHEAD = const(8)  # bytes that a frame adds to a datagram of up to 247 bytes
_MAX_FRAME = const(MAX_DATAGRAM + 6 + 16)
_RUN = const(254)  # the longest run of bytes without zero that one COBS code covers


# Return the COBS code of the data, without delimiters; it holds no zero byte.
def stuff(data):
    out = bytearray()
    runs = bytes(data).split(b"\0")
    for index in range(len(runs)):
        run = runs[index]
        start = 0
        while len(run) - start >= _RUN:
            out.append(_RUN + 1)
            out.extend(run[start : start + _RUN])
            start += _RUN
        if start and start == len(run) and index == len(runs) - 1:
            break  # a full run ends the data: no code follows it
        out.append(len(run) - start + 1)
        out.extend(run[start:])
    return bytes(out)


# Return the data of a COBS code; ValueError when a code points behind the end or a zero byte is inside.
def unstuff(frame):
    out = bytearray()
    size = len(frame)
    start = 0
    while start < size:
        code = frame[start]
        end = start + code
        if code == 0 or end > size:
            raise ValueError("COBS code %d does not fit the %d bytes left" % (code, size - start))
        out.extend(frame[start + 1 : end])
        start = end
        if code <= _RUN and start < size:
            out.append(0)
    return bytes(out)


# The sending end, which numbers frames.
class Framer:
    def __init__(self):
        self._sequence = 0

    # Return the bytes for the line; ValueError for a datagram longer than MAX_DATAGRAM.
    def frame(self, datagram):
        if len(datagram) > MAX_DATAGRAM:
            raise ValueError(
                "datagram of %d bytes is longer than %d" % (len(datagram), MAX_DATAGRAM)
            )
        body = struct.pack(">H", self._sequence) + bytes(datagram)
        self._sequence = (self._sequence + 1) & 0xFFFF
        check = struct.pack(">I", binascii.crc32(body) & 0xFFFFFFFF)
        return b"\0" + stuff(body + check) + b"\0"


# The receiving end: it returns the whole datagrams in any stream of bytes and counts everything else.
#
# frames: whole ones; damaged: wrong CRC or COBS; overlong: no delimiter for too long;
# missed: numbers that never came, once a later frame shows it; repeated: numbers seen before.
class Deframer:
    def __init__(self):
        self.frames = 0
        self.damaged = 0
        self.overlong = 0
        self.missed = 0
        self.repeated = 0
        self._part = bytearray()
        self._skipping = False  # inside a frame that is too long
        self._next = None

    # Return the datagrams that these bytes complete.
    def feed(self, data):
        out = []
        pieces = bytes(data).split(b"\0")
        for index in range(len(pieces)):
            self._collect(pieces[index])
            if index < len(pieces) - 1:
                datagram = self._finish()
                if datagram is not None:
                    out.append(datagram)
        return out

    def counters(self):
        return {
            "frames": self.frames,
            "damaged": self.damaged,
            "overlong": self.overlong,
            "missed": self.missed,
            "repeated": self.repeated,
        }

    def _collect(self, piece):
        if self._skipping:
            return
        if len(self._part) + len(piece) > _MAX_FRAME:
            self._skipping = True
            self._part = bytearray()
            return
        self._part.extend(piece)

    def _finish(self):
        part, self._part = self._part, bytearray()
        if self._skipping:
            self._skipping = False
            self.overlong += 1
            return None
        if not part:
            return None
        try:
            body = unstuff(part)
        except ValueError:
            self.damaged += 1
            return None
        if len(body) < 6 or self._check(body) != binascii.crc32(body[:-4]) & 0xFFFFFFFF:
            self.damaged += 1
            return None
        self.frames += 1
        self._follow(struct.unpack_from(">H", body, 0)[0])
        return body[2:-4]

    def _check(self, body):
        return struct.unpack_from(">I", body, len(body) - 4)[0]

    # A step back of more than half the numbers' range means that the other end has restarted.
    def _follow(self, sequence):
        if self._next is not None:
            ahead = (sequence - self._next) & 0xFFFF
            if ahead < 0x8000:
                self.missed += ahead
            elif ahead >= 0xFF00:
                self.repeated += 1
                return
        self._next = (sequence + 1) & 0xFFFF
