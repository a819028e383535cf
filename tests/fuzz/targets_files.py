# SPDX-License-Identifier: BSD-2-Clause
"""Files of other programs: captures, loss traces, audio, earlier benchmark results."""

from __future__ import annotations

import io
import json
import struct
import tempfile
import warnings

import numpy as np
import soundfile
from capture_cases import ETHERNET, RAW, datagrams, frame, pcap, pcapng, rtpdump, udp4, udp6
from ogg_opus import ogg_opus
from speech_packets import encode
from target import Plan, Target, check, in_file, piece
from targets_opus import dred_packet

from dredge_device import rtp
from dredge_host.bench import compare
from dredge_host.capture import ogg, reader
from dredge_host.capture.opus_demo import write as bit_file
from dredge_host.capture.packets import ANY
from dredge_host.errors import InputError
from dredge_host.inspection.document import inspect
from dredge_host.sending import loss
from dredge_host.sending.audio import read_audio

LINKS = (0, 1, 12, 101, 108, 113, 228, 276)
FEW = 4          # packets in a seed


def run_capture(data: bytes) -> bool:
    """A file of any format as it is, or made of the plan's pieces so that lengths and sums are right."""
    plan = Plan(data)
    kind = plan.below(6)
    content = plan.rest() if kind == 0 else MAKERS[kind - 1](plan)
    try:
        found = reader._reader(content)(content, ANY)
    except ValueError as error:
        check(len(str(error)) < 400, "a sentence as long as the file")
        return False
    check(sum(len(p.data) for p in found.packets) <= len(content), "more bytes than the file has")
    check(0 <= found.lost < 1 << 17 or len(found.packets) > 2, f"{found.lost} packets lost in a short file")
    json.dumps(inspect(found, symbols=True), allow_nan=False)
    return bool(found.packets)


def _pieces(plan: Plan) -> list[bytes]:
    return [plan.piece() for _ in range(plan.below(12))]


def _pcap(plan: Plan) -> bytes:
    link, ng = LINKS[plan.below(len(LINKS))], plan.below(2)
    frames = [_frame(plan, link) for _ in range(plan.below(8))]
    return pcapng(frames, link) if ng else pcap(frames, link, order="<>"[plan.below(2)])


def _frame(plan: Plan, link: int) -> bytes:
    """Raw bytes, or UDP around raw bytes, or UDP around RTP around raw bytes."""
    depth, body = plan.below(3), plan.piece()
    if depth == 0:
        return body
    if depth == 2:
        body = rtp.build(plan.below(256), 960 * plan.below(256), plan.below(2), body)
    return frame(link, udp6(body) if plan.below(2) else udp4(body))


def _rtpdump(plan: Plan) -> bytes:
    sent = [body if n % 3 else rtp.build(n, 960 * n, 1, body) for n, body in enumerate(_pieces(plan))]
    return rtpdump(sent, plan.below(3))


def _ogg(plan: Plan) -> bytes:
    """Pages with sound checksums around any lacing, flags and bodies."""
    out = b""
    while plan:
        serial, flags, lacing, body = plan.below(2), plan.number(), plan.piece()[:255], plan.piece()
        body = body.ljust(sum(lacing), b"\0")[: sum(lacing)]
        page = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 0, serial, 0, 0, len(lacing)) + lacing + body
        out += page[:22] + struct.pack("<I", ogg.crc(page)) + page[26:]
    return out


def _bit(plan: Plan) -> bytes:
    return bit_file([(body, plan.number(4)) for body in _pieces(plan)])


def _extended(plan: Plan) -> bytes:
    """An opus_demo file of a real packet with DRED, a few of its bytes changed."""
    packet = bytearray(dred_packet(plan.below(8)))
    while plan:
        packet[plan.number(2) % len(packet)] = plan.number()
    return bit_file([(bytes(packet), 0)])


MAKERS = (_pcap, _rtpdump, _ogg, _bit, _extended)


def seeds_capture() -> list[bytes]:
    packets = [*encode(seconds=0.06), dred_packet(1)][:FEW]
    sent = datagrams(packets)
    raw = [bit_file([(p, 0) for p in packets]), ogg_opus(packets), rtpdump(sent, 2),
           pcap([frame(ETHERNET, udp4(d), vlan=True) for d in sent], nano=True, order=">"),
           pcapng([frame(RAW, udp6(d)) for d in sent], RAW)]  # fmt: skip
    head = piece(bytes([19])) + piece(b"OpusHead" + bytes(11))
    made = [bytes([1, 1, 0, 2, 2]) + piece(b"abc") + bytes([1, 1, 0, 0]) + piece(b"\x80") + bytes([0]),
            bytes([2, 2]) + piece(packets[0]) + piece(b"noise"),
            bytes([3, 0, 2]) + head + bytes([0, 0]) + piece(b"\xff\x05") + piece(packets[0]),
            bytes([4, 1]) + piece(packets[0]) + bytes(4), bytes([5, 3, 0, 90, 7])]  # fmt: skip
    return [bytes([0]) + content for content in raw] + made


def run_trace(data: bytes) -> bool:
    """A loss trace of any content."""
    with in_file(data, "trace.txt") as path:
        try:
            trace = loss.read_trace(path)
        except InputError:
            return False
        check(0 < len(trace) <= len(data), "more decisions than letters")
        again = path.with_name("again.txt")
        loss.save_trace(again, trace)
        check(loss.read_trace(again) == trace, "a trace written again reads differently")
    return True


def run_audio(data: bytes) -> bool:
    """Audio files by their content; headers may promise anything."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        file.write(data)
        file.flush()
        try:
            audio = read_audio(file.name)
        except InputError:
            return False
    check(audio.pcm.dtype == np.int16 and audio.pcm.ndim == 1 and len(audio.pcm) > 0, "no mono int16")
    check(len(audio.pcm) < 3 * 10**7, "a small file became half an hour of speech")
    return True


def seeds_audio() -> list[bytes]:
    tone = (8000 * np.sin(np.arange(400) / 9)).astype(np.int16)
    out = []
    for rate, form, kind, channels in ((16000, "WAV", "PCM_16", 1), (44100, "WAV", "FLOAT", 2),
                                       (16000, "FLAC", "PCM_16", 1), (8000, "WAV", "ULAW", 1),
                                       (16000, "OGG", "VORBIS", 1), (48000, "AIFF", "PCM_24", 1)):  # fmt: skip
        buffer = io.BytesIO()
        samples = np.repeat(tone[:, None], channels, 1) if channels > 1 else tone
        soundfile.write(buffer, samples, rate, kind, format=form)
        out.append(buffer.getvalue())
    return out


def run_bench(data: bytes) -> bool:
    """An earlier benchmark result of any content: refused, or compared and shown."""
    with in_file(data, "before.json") as path:
        try:
            old = compare.read_result(path)
        except InputError:
            return False
    comparison = compare.compare(old, RESULT)
    check(len(compare.compare_lines(comparison)) > 0, "nothing to show")
    compare.slower(comparison, 10.0)
    compare.compare(RESULT, old)
    return True


_TIMES = {"min": 10.0, "p50": 11.0, "p99": 15.0}
RESULT = {
    "schema": compare.SCHEMA, "machine": {"board": "b", "cpu": "c"}, "simd_level": "scalar",
    "stages": [{"stage": "opus", "throughput_us": _TIMES, "paced_us": _TIMES}], "live": {"cpu_us": _TIMES},
    "burst": {"dred": {"first_20_ms": {"cpu_us": _TIMES}, "whole_gap": {"cpu_us": _TIMES}}},
    "streams": [{"streams": 2, "cpu_us": _TIMES}],
}  # fmt: skip


TARGETS = (
    Target("capture", "pcap, pcapng, rtpdump, Ogg and .bit, then inspect", run_capture, seeds_capture,
           words=(b"OggS", b"OpusHead", b"#!rtpplay1.0 ", b"\x0a\x0d\x0d\x0a", b"\xd4\xc3\xb2\xa1"), limit=4096,
           repeat=400),
    Target("trace", "loss traces", run_trace, lambda: [b"0101\n# note\n1 0 0\n", b"1"], limit=1024, repeat=100),
    Target("audio", "WAV, FLAC, OGG and AIFF files", run_audio, seeds_audio,
           words=(b"RIFF", b"fmt ", b"data", b"fLaC", b"\xff\xff\xff\x7f"), limit=8192, repeat=150),
    Target("bench", "benchmark results to compare with", run_bench, lambda: [json.dumps(RESULT).encode()],
           words=(b'"stages"', b'"cpu_us"', b"null", b"1e999", b"NaN", b"[[[["), limit=4096, repeat=200),
)  # fmt: skip
