# SPDX-License-Identifier: BSD-2-Clause
"""RTP, RTCP and DRDG messages: what anybody can send to the device's port."""

from __future__ import annotations

import json

from target import Plan, Target, check, piece

from dredge_device import control, fragments, rtcp, rtp

SSRCS = (0x11111111, 0x22222222, 0xFFFFFFFF)


def run_rtp(data: bytes) -> bool:
    """Whatever parses can be built and parsed again."""
    rtp.is_rtcp(data)
    try:
        packet = rtp.parse(data)
    except ValueError:
        return False
    check(len(packet.payload) <= len(data) - 12, "the payload is longer than the datagram allows")
    again = rtp.parse(
        rtp.build(packet.sequence, packet.timestamp, packet.ssrc, packet.payload, packet.payload_type, packet.marker)
    )
    check(vars(again) == vars(packet), "a packet built from what was parsed reads differently")
    return True


def seeds_rtp() -> list[bytes]:
    plain = rtp.build(7, 960, 1, b"payload")
    padded = bytes([plain[0] | 0x20]) + plain[1:] + b"\0\0\3"
    extended = bytes([0x90]) + plain[1:12] + b"\xbe\xde\0\1abcd" + plain[12:]
    listed = bytes([0x82]) + plain[1:12] + bytes(8) + plain[12:]
    return [plain, padded, extended, listed, b"\x80\xc9\0\1\0\0\0\0"]


def run_tracker(data: bytes) -> bool:
    """A sender's numbers in any order: running numbers keep their low 16 bits and never fall behind a new start."""
    plan, tracker, admitted = Plan(data), rtp.StreamTracker(), False
    while plan:
        ssrc, sequence = SSRCS[plan.below(len(SSRCS))], plan.number(2)
        before = tracker.generation, tracker.highest
        running = tracker.admit(ssrc, sequence)
        if running is None:
            check(before == (tracker.generation, tracker.highest), "a packet on trial changed the stream")
            continue
        admitted = True
        check(running & 0xFFFF == sequence, "a running number is not its sequence number")
        check(tracker.highest >= running and tracker.ssrc == ssrc, "the newest packet is not the highest")
        check(tracker.generation in (before[0], before[0] + 1), "one packet began several streams")
    return admitted


def seeds_tracker() -> list[bytes]:
    steps = [(0, 65534), (0, 65535), (0, 0), (0, 65530), (1, 5), (1, 6), (0, 9000), (0, 9001)]
    return [b"".join(bytes([who]) + number.to_bytes(2, "big") for who, number in steps)]


def run_rtcp(data: bytes) -> bool:
    """Compound datagrams and what is in them."""
    try:
        packets = rtcp.split(data)
    except ValueError:
        return False
    check(sum(4 + len(p.body) for p in packets) <= len(data), "more bytes than there are")
    for packet in packets:
        for reader in (rtcp.parse_app, rtcp.parse_receiver_report):
            try:
                reader(packet)
            except ValueError:
                continue
    return True


def seeds_rtcp() -> list[bytes]:
    report = rtcp.build_receiver_report(1, 2, 3, -4, 5, 6)
    app = rtcp.build_app(3, 9, b"DRDG", b"12345678")
    return [report, app, report + app, bytes([app[0] | 0x20]) + app[1:3] + b"\5" + app[4:] + b"\0\0\0\4"]


def run_control(data: bytes) -> bool:
    """Raw datagrams, or messages in sound packets, and reports put together from their chunks."""
    plan, incoming, sound = Plan(data), fragments.Incoming(), False
    while plan:
        datagram = _datagram(plan)
        try:
            messages = control.parse(datagram)
        except ValueError:
            continue
        sound = True
        for message in messages:
            again = control.parse(control.build(message))
            check([vars(m) for m in again] == [vars(message)], "a message built again reads differently")
            _read(message, incoming)
    return sound


def _datagram(plan: Plan) -> bytes:
    if plan.below(2):
        return plan.piece()
    kind, number, flags = plan.below(len(control.KINDS)), plan.number(2), plan.number()
    return control.build(control.Message(kind, number, plan.piece(), flags))


def _read(message: control.Message, incoming: fragments.Incoming) -> None:
    for reader in (message.document, message.chunk, lambda: fragments.acknowledgement(message)):
        try:
            reader()
        except ValueError:
            continue
    try:
        document = incoming.add(message)
    except ValueError:
        return
    check(document is None or isinstance(document, dict), "a report that is no object")


def message_plan(kind: int, body: bytes, number: int = 1, flags: int = 0) -> bytes:
    """The plan of one sound message."""
    return bytes([0, kind]) + number.to_bytes(2, "big") + bytes([flags]) + piece(body)


def seeds_control() -> list[bytes]:
    parts = b"".join(
        message_plan(control.REPORT, control.with_chunk(0, 0, 5, i, 2, text).body)
        for i, text in enumerate((b'{"schema"', b': "x"}'))
    )
    raw = bytes([1]) + piece(control.build(control.Message(control.PROBE, 3, b"echo")))
    hello = message_plan(control.HELLO, json.dumps({"role": "host"}).encode())
    return [hello, parts, raw, message_plan(control.ACK, control.with_chunk(4, 1, 1, 0, 1).body)]


TARGETS = (
    Target("rtp", "RTP packets", run_rtp, seeds_rtp, limit=2048, repeat=2000),
    Target("tracker", "RTP sequence numbers", run_tracker, seeds_tracker, limit=512, repeat=1000),
    Target("rtcp", "RTCP packets", run_rtcp, seeds_rtcp, words=(b"DRDG", b"\x80\xcc"), limit=2048, repeat=2000),
    Target("control", "DRDG messages and chunked reports", run_control, seeds_control,
           words=(b"DRDG", b"\x80\xcc", b"{}", b"[[[[", b'"a":1'), limit=4096, repeat=1000),
)  # fmt: skip
