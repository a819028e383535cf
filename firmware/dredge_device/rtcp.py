# SPDX-License-Identifier: BSD-2-Clause
# RTCP packets (RFC 3550 section 6), as far as a device needs them: compound datagrams, receiver
# reports and application-defined packets. Reduced-size datagrams (RFC 5506) are accepted.
import struct

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


SENDER_REPORT = const(200)
RECEIVER_REPORT = const(201)
SOURCE_DESCRIPTION = const(202)
BYE = const(203)
APP = const(204)

MAX_PACKETS = const(16)  # of one datagram, so that a forged one costs little time

_REPORT_BLOCK = ">IIIIII"


# One packet of a compound datagram. count is the five-bit field (report count or APP subtype).
class RtcpPacket:
    def __init__(self, kind, count, body):
        self.kind = kind
        self.count = count
        self.body = body  # everything after the four header bytes, padding removed


# Return the packets of a datagram, at most MAX_PACKETS; ValueError for a malformed one.
def split(datagram):
    packets = []  # type: list
    start = 0
    size = len(datagram)
    if size == 0:
        raise ValueError("RTCP datagram is empty")
    while start < size:
        left = size - start
        if left < 8:
            raise ValueError("RTCP packet is shorter than its header: %d of 8 bytes" % left)
        first, kind, words = struct.unpack_from(">BBH", datagram, start)
        if first >> 6 != 2:
            raise ValueError("RTCP version is %d, expected 2" % (first >> 6))
        end = start + 4 + 4 * words
        if end > size or words == 0:
            raise ValueError("RTCP length of %d words does not fit the datagram" % words)
        stop = end
        if first & 0x20:
            padding = datagram[end - 1]
            if padding == 0 or padding > end - start - 8:
                raise ValueError("RTCP padding of %d bytes does not fit the packet" % padding)
            stop -= padding
        if len(packets) == MAX_PACKETS:
            raise ValueError("RTCP datagram holds more than %d packets" % MAX_PACKETS)
        packets.append(RtcpPacket(kind, first & 0x1F, bytes(datagram[start + 4 : stop])))
        start = end
    return packets


# Return an APP packet (section 6.7): four-character name, data filled up to whole words with zeros.
def build_app(subtype, ssrc, name, data):
    if not 0 <= subtype <= 31:
        raise ValueError("RTCP APP subtype %d is not in 0..31" % subtype)
    data = data + bytes(-len(data) % 4)
    words = 2 + len(data) // 4
    if words > 0xFFFF:
        raise ValueError("RTCP APP data of %d bytes is too long" % len(data))
    head = struct.pack(">BBHI", 0x80 | subtype, APP, words, ssrc & 0xFFFFFFFF)
    return head + name + data


# Return (ssrc, name, data) of an APP packet.
def parse_app(packet):
    if packet.kind != APP:
        raise ValueError("RTCP packet type is %d, expected APP (204)" % packet.kind)
    if len(packet.body) < 8:
        raise ValueError("RTCP APP packet has no name")
    return struct.unpack_from(">I", packet.body, 0)[0], packet.body[4:8], packet.body[8:]


# Return a receiver report with one block (section 6.4.2). fraction is in 1/256, lost is cumulative, highest the running
# sequence number, jitter in RTP clock units, sent the middle 32 bits of the last sender report's time, since the
# 1/65536 seconds since its arrival (0, 0 without one).
def build_receiver_report(ssrc, source, fraction, lost, highest, jitter, sent=0, since=0):
    lost = max(-0x800000, min(0x7FFFFF, lost)) & 0xFFFFFF
    block = struct.pack(
        _REPORT_BLOCK,
        source & 0xFFFFFFFF,
        (max(0, min(255, fraction)) << 24) | lost,
        highest & 0xFFFFFFFF,
        jitter & 0xFFFFFFFF,
        sent & 0xFFFFFFFF,
        since & 0xFFFFFFFF,
    )
    return struct.pack(">BBHI", 0x81, RECEIVER_REPORT, 7, ssrc & 0xFFFFFFFF) + block


# Return a dict of the first report block: source, fraction_256, lost, highest, jitter.
def parse_receiver_report(packet):
    if packet.kind != RECEIVER_REPORT:
        raise ValueError("RTCP packet type is %d, expected a receiver report (201)" % packet.kind)
    if packet.count < 1 or len(packet.body) < 28:
        raise ValueError("RTCP receiver report has no report block")
    source, loss, highest, jitter, _, _ = struct.unpack_from(_REPORT_BLOCK, packet.body, 4)
    lost = loss & 0xFFFFFF
    return {
        "source": source,
        "fraction_256": loss >> 24,
        "lost": lost - 0x1000000 if lost & 0x800000 else lost,
        "highest": highest,
        "jitter": jitter,
    }


# Return a sender report without blocks (section 6.4.1). ntp is the wall clock as 64 bits (seconds since 1900 and their
# fraction), timestamp the RTP time of the same moment; packets and octets of payload were sent so far.
def build_sender_report(ssrc, ntp, timestamp, packets, octets):
    return struct.pack(
        ">BBHIQIII",
        0x80,
        SENDER_REPORT,
        6,
        ssrc & 0xFFFFFFFF,
        ntp,
        timestamp & 0xFFFFFFFF,
        packets & 0xFFFFFFFF,
        octets & 0xFFFFFFFF,
    )


# Return (ssrc, middle 32 bits of the time) of a sender report.
def parse_sender_report(packet):
    if packet.kind != SENDER_REPORT or len(packet.body) < 12:
        raise ValueError("RTCP packet is no sender report")
    ssrc, _, middle = struct.unpack_from(">IHI", packet.body, 0)
    return ssrc, middle


# Return a source description with one chunk, the canonical name (section 6.5.1); cname is bytes.
def build_sdes(ssrc, cname):
    item = b"\x01" + bytes([len(cname)]) + cname
    item += bytes(4 - len(item) % 4)  # at least one zero ends the list
    words = 1 + len(item) // 4
    return struct.pack(">BBHI", 0x81, SOURCE_DESCRIPTION, words, ssrc & 0xFFFFFFFF) + item


# Return a goodbye (section 6.6).
def build_bye(ssrc):
    return struct.pack(">BBHI", 0x81, BYE, 1, ssrc & 0xFFFFFFFF)


# Return the sources that a goodbye names.
def parse_bye(packet):
    count = min(packet.count, len(packet.body) // 4)
    return struct.unpack_from(">%dI" % count, packet.body, 0)
