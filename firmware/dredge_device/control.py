# SPDX-License-Identifier: BSD-2-Clause
# The messages between host and device, in RTCP APP packets named DRDG.
# The tables are in docs/reference/protocol.md.
import json
import struct

from dredge_device import rtcp

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


PROTOCOL_VERSION = const(1)
NAME = b"DRDG"

HELLO = const(0)
CONFIGURE = const(1)
REPORT = const(2)
BYE = const(3)
ACK = const(4)
PROBE = const(5)
KINDS = ("hello", "configure", "report", "bye", "ack", "probe")

REPLY = const(1)  # flag: this message answers the one with the same number
FINAL = const(2)  # flag of a report: the last one of the session, wants acknowledgement

_HEAD = ">BBHHH"  # version, flags, number, body bytes, zero
_HEAD_BYTES = const(8)
_CHUNK = ">HHH"  # report, chunk, chunks
_CHUNK_BYTES = const(6)


_ASKS = (HELLO, CONFIGURE, BYE, PROBE)
MAX_MESSAGES = const(4)  # of one datagram; a host sends one


# Return True for a request that wants an answer and is no answer itself. A device that answers nothing else cannot be
# drawn into an endless exchange with another device, with itself or with its own echo.
def asks(kind, flags):
    return kind in _ASKS and not flags & REPLY


# The other end speaks another version of the protocol; version: which one; asks: whether it wants an answer.
class VersionError(ValueError):
    def __init__(self, version, wants_answer=False):
        super().__init__("protocol version is %d, expected %d" % (version, PROTOCOL_VERSION))
        self.version = version
        self.asks = wants_answer


# One message. body is bytes; use document() or chunk() to read it.
class Message:
    def __init__(self, kind, number=0, body=b"", flags=0, ssrc=0):
        self.kind = kind
        self.number = number
        self.body = body
        self.flags = flags
        self.ssrc = ssrc

    def __bytes__(self):
        return build(self)

    @property
    def asks(self):
        return asks(self.kind, self.flags)

    # Return the JSON object in the body (hello, configure, bye, and their replies).
    def document(self):
        if not self.body:
            return {}
        try:
            value = json.loads(bytes(self.body).decode())
        except (ValueError, RuntimeError):  # RuntimeError: nested too deeply
            value = None
        if not isinstance(value, dict):
            raise ValueError("%s message holds no JSON object" % KINDS[self.kind])
        return value

    # Return (report, chunk, chunks, bytes) of a report or of the acknowledgement of one of its chunks.
    def chunk(self):
        if len(self.body) < _CHUNK_BYTES:
            raise ValueError("%s message ends inside its chunk header" % KINDS[self.kind])
        report, index, count = struct.unpack_from(_CHUNK, self.body, 0)
        if index >= count:
            raise ValueError("chunk %d of %d does not exist" % (index, count))
        return report, index, count, self.body[_CHUNK_BYTES:]


# Return the datagram of a message.
def build(message):
    if len(message.body) > 0xFFFF:
        raise ValueError("message body of %d bytes is too long" % len(message.body))
    head = struct.pack(
        _HEAD,
        PROTOCOL_VERSION,
        message.flags,
        message.number & 0xFFFF,
        len(message.body),
        0,
    )
    return rtcp.build_app(message.kind, message.ssrc, NAME, head + message.body)


# Return a message whose body is a JSON object.
def with_document(kind, number, document, flags=0, ssrc=0):
    return Message(kind, number, json.dumps(document).encode(), flags, ssrc)


# Return the datagram that answers a message with a JSON object.
def answer(message, document, ssrc=0):
    return build(with_document(message.kind, message.number, document, REPLY, ssrc))


# Return the answer to a probe: the same bytes for every sender, without state.
def echo(message, ssrc=0):
    return build(Message(PROBE, message.number, message.body, REPLY, ssrc))


# Return a message whose body is one chunk of a report (REPORT) or its acknowledgement (ACK, data empty).
def with_chunk(kind, number, report, index, count, data=b"", flags=0, ssrc=0):
    head = struct.pack(_CHUNK, report & 0xFFFF, index, count)
    return Message(kind, number, head + data, flags, ssrc)


# Return the Message in one RTCP APP packet; None when the packet is not a DRDG message.
def from_app(packet):
    ssrc, name, data = rtcp.parse_app(packet)
    if name != NAME:
        return None
    if len(data) < _HEAD_BYTES:
        raise ValueError("DRDG message is shorter than its header: %d of 8 bytes" % len(data))
    version, flags, number, size, _ = struct.unpack_from(_HEAD, data, 0)
    if version != PROTOCOL_VERSION:
        raise VersionError(version, asks(packet.count, flags))
    if packet.count >= len(KINDS):
        raise ValueError("DRDG message kind %d is unknown" % packet.count)
    if size > len(data) - _HEAD_BYTES:
        raise ValueError("DRDG message body of %d bytes does not fit the packet" % size)
    return Message(packet.count, number, data[_HEAD_BYTES : _HEAD_BYTES + size], flags, ssrc)


# Return the DRDG messages of a datagram, at most MAX_MESSAGES. ValueError: not RTCP, damaged, or more messages;
# VersionError: see its class.
def parse(datagram):
    return messages_of(rtcp.split(datagram))


# Return the same for a datagram that was split already.
def messages_of(packets):
    messages = []
    for packet in packets:
        if packet.kind == rtcp.APP:
            message = from_app(packet)
            if message is not None:
                messages.append(message)
    if len(messages) > MAX_MESSAGES:
        raise ValueError("datagram holds %d messages, expected 4 at most" % len(messages))
    return messages


# Return the answers to a datagram of a host that cannot be served; sentence: the reason.
def refusals(datagram, sentence, ssrc=0):
    try:
        messages = parse(datagram)
    except ValueError:
        return []
    no = {"ok": False, "error": sentence}
    says = {HELLO: no, CONFIGURE: no, BYE: {"ok": True}}  # a goodbye can always be answered
    return [
        answer(ask, says[ask.kind], ssrc)
        for ask in messages
        if ask.asks and ask.kind in says
    ]
