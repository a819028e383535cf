# SPDX-License-Identifier: BSD-2-Clause
# RTP packets (RFC 3550 section 5.1) and the running sequence number (appendix A.1).
import struct

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_HEADER = ">BBHII"
_HEADER_BYTES = const(12)
MAX_DROPOUT = const(3000)  # a forward jump of more packets than this (60 s) is a new start
_MAX_MISORDER = const(100)  # as is a packet older than this (2 s)

PAYLOAD_TYPE = const(111)  # dynamic type; RFC 7587 leaves the choice to signalling


# One parsed packet. payload is bytes without CSRCs, header extension and padding.
class RtpPacket:
    def __init__(self, payload_type, sequence, timestamp, ssrc, payload, marker=False):
        self.payload_type = payload_type
        self.sequence = sequence
        self.timestamp = timestamp
        self.ssrc = ssrc
        self.payload = payload
        self.marker = marker


# Return True when the datagram is RTCP although it shares the port with RTP (RFC 5761 section 4).
def is_rtcp(datagram):
    return len(datagram) >= 2 and 192 <= datagram[1] <= 223


# Return the datagram of one packet. Sequence number, timestamp and SSRC are taken modulo their range.
def build(sequence, timestamp, ssrc, payload, payload_type=PAYLOAD_TYPE, marker=False):
    if not 0 <= payload_type <= 127:
        raise ValueError("RTP payload type %d is not in 0..127" % payload_type)
    head = struct.pack(
        _HEADER,
        0x80,
        (0x80 if marker else 0) | payload_type,
        sequence & 0xFFFF,
        timestamp & 0xFFFFFFFF,
        ssrc & 0xFFFFFFFF,
    )
    return head + payload


# Return the RtpPacket of a datagram; ValueError names the part that is wrong.
def parse(datagram):
    size = len(datagram)
    if size < _HEADER_BYTES:
        raise ValueError("RTP packet is shorter than its header: %d of 12 bytes" % size)
    first, second, sequence, timestamp, ssrc = struct.unpack_from(_HEADER, datagram, 0)
    if first >> 6 != 2:
        raise ValueError("RTP version is %d, expected 2" % (first >> 6))
    start = _HEADER_BYTES + 4 * (first & 0x0F)
    if start > size:
        raise ValueError("RTP packet ends inside its CSRC list")
    if first & 0x10:
        start = _skip_extension(datagram, start)
    end = size
    if first & 0x20:
        end -= _padding_bytes(datagram, start)
    return RtpPacket(
        second & 0x7F, sequence, timestamp, ssrc, bytes(datagram[start:end]), bool(second & 0x80)
    )


def _skip_extension(datagram, start):
    if start + 4 > len(datagram):
        raise ValueError("RTP packet ends inside its header extension")
    words = struct.unpack_from(">H", datagram, start + 2)[0]
    start += 4 + 4 * words
    if start > len(datagram):
        raise ValueError("RTP packet ends inside its header extension")
    return start


def _padding_bytes(datagram, start):
    count = datagram[-1]
    if count == 0 or count > len(datagram) - start:
        raise ValueError("RTP padding of %d bytes does not fit the packet" % count)
    return count


# Return the distance from sequence number old to new, -32768..32767, with wrap-around.
def distance(new, old):
    delta = (new - old) & 0xFFFF
    return delta - 0x10000 if delta >= 0x8000 else delta


# Follows one sender: converts 16-bit sequence numbers to running ones and detects a restart.
#
# A different SSRC or an implausible jump is believed only when a second packet continues it, so
# a stray datagram cannot end a stream. generation counts the starts; the numbers of a new
# generation begin again with the sender's own sequence number.
class StreamTracker:
    def __init__(self):
        self.ssrc = None
        self.generation = 0
        self.highest = 0
        self._trial = None  # (ssrc, sequence that would confirm it)

    # Return the running number, None while the packet is on trial.
    def admit(self, ssrc, sequence):
        if self.ssrc is None:
            return self._start(ssrc, sequence)
        delta = distance(sequence, self.highest & 0xFFFF)
        if ssrc == self.ssrc and -_MAX_MISORDER <= delta <= MAX_DROPOUT:
            self._trial = None
            running = self.highest + delta
            self.highest = max(self.highest, running)
            return running
        if self._trial == (ssrc, sequence):
            return self._start(ssrc, sequence)
        self._trial = (ssrc, (sequence + 1) & 0xFFFF)
        return None

    def _start(self, ssrc, sequence):
        self.ssrc = ssrc
        self.highest = sequence
        self.generation += 1
        self._trial = None
        return sequence
