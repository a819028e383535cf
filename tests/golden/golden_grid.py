# SPDX-License-Identifier: BSD-2-Clause
"""The golden grid: cases of `simulate` and of a Receiver driven by hand, and SHA-256 hashes of all they give.

`CASES` maps names to cases; `run(name)` returns the hashes of one. The grid is a covering array: every value of a
factor occurs with every value of every other factor in at least one case, and so does every triple of `TRIPLES`.
Speech is the bundled clip with a pause in it, every random choice is seeded, the clock is virtual.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import itertools
import json
import platform
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dredge_device import rtp
from dredge_device.pi.quality import CLASSIC, FULL, LATE, SMALL
from dredge_device.pi.receiver import Receiver
from dredge_host.offline.simulate import simulate
from dredge_host.sending.audio import bundled_clip, read_audio
from dredge_host.sending.loss import parse_loss
from dredge_host.sending.sender import Sender
from dredge_host.settings import Settings, parse_playout
from dredge_kernels.extensions import add_extension
from dredge_kernels.framing import build_packet, parse_packet
from dredge_kernels.opus import OpusEncoder, opus_version
from dredge_models.dred import DRED_EXTENSION_ID, DredEncoder

HASHES = Path(__file__).parent / "hashes.json"

# What a document says of the machine or of the time it took. Nothing else is left out of the hashes.
LEFT_OUT = ("cpu", "cpu_us", "simd_level")

RATE, PACKET, FRAME = 16000, 320, 160
SIMULATED_SECONDS, RECEIVED_SECONDS = 5, 4
PAUSE = slice(2 * RATE, 16 * RATE // 5)  # 1.2 s in which nobody speaks, for DTX
SSRC, OTHER_SSRC = 0x474F4C44, 0x4E455731

Pcm = npt.NDArray[np.int16]
Case = dict[str, str]
Target = frozenset[tuple[str, str]]  # (factor, value) of each

LOSSES = {
    "no loss": "none",
    "random": "15%",
    "gilbert": "gilbert:rate=20%,burst=4",
    "long gap": "burst:ms=1400,every=2500ms",
}
SHARED = {
    "conceal": ("dred", "plc", "opus"),
    "lbrr": ("no LBRR", "LBRR"),
    "playout": ("fixed:1000", "fixed:200", "adaptive"),
    "loss": tuple(LOSSES),
    "dtx": ("no DTX", "DTX"),
    "vocoder": ("standard", "small"),
}
SIMULATED = {**SHARED, "redundancy": ("1 s", "0.4 s", "0 s")}
RECEIVED = {
    "packets": (
        "ours", "no DRED", "stereo", "narrowband", "mediumband", "hybrid", "CELT", "two frames",
        "unknown DRED", "damaged",
    ),
    **SHARED,
    "network": ("steady", "jitter", "stall"),
    "event": ("nothing", "new sender", "wrap and end", "load"),
}  # fmt: skip

FOREIGN_GAPS = ("packets", "conceal", "loss")  # only with DRED allowed and losses
TRIPLES = (FOREIGN_GAPS, ("conceal", "playout", "loss"))


def targets(factors: dict[str, tuple[str, ...]]) -> list[Target]:
    """What must occur together in some case: every TRIPLE of values, and every pair of values of two factors."""
    groups = [three for three in TRIPLES if set(three) <= set(factors)] + list(itertools.combinations(factors, 2))
    return [
        frozenset(zip(names, values, strict=True))
        for names in groups
        for values in itertools.product(*(factors[name] for name in names))
        if names != FOREIGN_GAPS or (values[1] == "dred" and values[2] != "no loss")
    ]


def covering(factors: dict[str, tuple[str, ...]]) -> Iterator[Case]:
    """Cases in which all targets occur, few of them (greedy); the same ones every time."""
    uncovered = dict.fromkeys(targets(factors))
    used = {(name, value): 0 for name, values in factors.items() for value in values}
    while uncovered:
        case = dict(sorted(next(iter(uncovered))))
        for name in factors:
            if name not in case:
                gains = {}
                for value in factors[name]:
                    item, items = (name, value), {*case.items(), (name, value)}
                    gains[value] = (sum(item in target and target <= items for target in uncovered), -used[item])
                case[name] = max(gains, key=gains.__getitem__)
        uncovered = {target: None for target in uncovered if not target <= case.items()}
        for item in case.items():
            used[item] += 1
        yield {name: case[name] for name in factors}


def _named(kind: str, factors: dict[str, tuple[str, ...]]) -> dict[str, Case]:
    return {", ".join([kind, *case.values()]): case for case in covering(factors)}


CASES = {**_named("simulate", SIMULATED), **_named("receiver", RECEIVED)}


def environment() -> str:
    """What the hashes depend on beside this repository: libopus (its encoder changes) and the instruction set."""
    return f"{opus_version()}, {platform.machine()}"


def run(name: str) -> dict[str, str]:
    """SHA-256 of the wire, the samples, the decisions and the report of one case."""
    return {part: digest(value) for part, value in outcome(name).items()}


def outcome(name: str) -> dict[str, Any]:
    """The same before hashing: bytes and JSON values."""
    return (_simulated if name.startswith("simulate") else _received)(CASES[name])


def digest(value: Any) -> str:
    """SHA-256 of bytes, or of the canonical JSON of anything else without the fields LEFT_OUT."""
    data = value if isinstance(value, bytes) else canonical(value).encode()
    return hashlib.sha256(data).hexdigest()


def canonical(value: Any, indent: int | None = None) -> str:
    """JSON with sorted keys, without the fields LEFT_OUT."""
    return json.dumps(_kept(value), sort_keys=True, ensure_ascii=False, indent=indent)


def _kept(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _kept(item) for key, item in value.items() if key not in LEFT_OUT}
    return [_kept(item) for item in value] if isinstance(value, list | tuple) else value


def _joined(blocks: Iterable[bytes]) -> bytes:
    """Blocks, each after its length, so that the borders count."""
    return b"".join(len(block).to_bytes(4, "big") + block for block in blocks)


@functools.cache
def speech(second: int, seconds: int) -> Pcm:
    """int16[16000 * seconds] of the bundled clip from this second on, silent in PAUSE."""
    with bundled_clip() as path:
        piece = read_audio(path).pcm[RATE * second : RATE * (second + seconds)].copy()
    assert len(piece) == RATE * seconds
    piece[PAUSE] = 0
    piece.flags.writeable = False
    return piece


def settings(case: Case) -> Settings:
    """The settings of a case; a Receiver by hand uses the sender's part of them."""
    adaptive, playout_ms = parse_playout(case["playout"])
    return Settings(
        redundancy_s=float(case.get("redundancy", "1 s").removesuffix(" s")),
        lbrr=case["lbrr"] == "LBRR",
        loss=LOSSES[case["loss"]],
        seed=7,
        conceal=case["conceal"],
        playout_ms=playout_ms,
        adaptive=adaptive,
        dtx=case["dtx"] == "DTX",
        vocoder=case["vocoder"],
    )


class Recorded:
    """A sender whose datagrams are kept."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self.sent: list[bytes] = []
        self.ssrc, self.first_sequence, self.lookahead = sender.ssrc, sender.first_sequence, sender.lookahead

    def push(self, pcm: Pcm) -> Any:
        packet = self._sender.push(pcm)
        self.sent.append(packet.data)
        return packet


def _simulated(case: Case) -> dict[str, Any]:
    chosen = settings(case)
    with Sender.from_settings(chosen) as real:
        sender = Recorded(real)
        result = simulate(speech(0, SIMULATED_SECONDS), chosen, sender=sender)
    return {
        "wire": _joined(sender.sent),
        "pcm": result.pcm.tobytes(),
        "decisions": [[packet, source, delay_us / 1000] for packet, source, delay_us, _ in result.timeline],
        "report": {**result.result, "trace": result.trace},
    }


APPLICATIONS = {"voip": 2048, "lowdelay": 2051}  # of opus_defines.h, as are the requests
SET_BITRATE, SET_COMPLEXITY, SET_LBRR, SET_LOSS, SET_DTX = 4002, 4010, 4012, 4014, 4016


class ForeignEncoder:
    """libopus' encoder with what other senders choose: 20 ms packets of any rate and number of channels."""

    def __init__(self, rate: int, channels: int, application: str, bitrate: int, lbrr: bool, dtx: bool) -> None:
        self._library = library = ctypes.CDLL("libopus.so.0")
        library.opus_encoder_create.restype = ctypes.c_void_p
        error = ctypes.c_int()
        self._handle = ctypes.c_void_p(
            library.opus_encoder_create(rate, channels, APPLICATIONS[application], ctypes.byref(error))
        )
        assert error.value == 0
        asked = {SET_BITRATE: bitrate, SET_COMPLEXITY: 9, SET_LBRR: lbrr, SET_LOSS: 10, SET_DTX: dtx}
        for request, value in asked.items():
            assert library.opus_encoder_ctl(self._handle, request, ctypes.c_int(value)) == 0
        self._samples = rate // 50

    def encode(self, pcm: Pcm) -> bytes:
        """The packet of int16[rate / 50, channels]."""
        packet = ctypes.create_string_buffer(1500)
        size = self._library.opus_encode(
            self._handle, np.ascontiguousarray(pcm).ctypes.data_as(ctypes.c_void_p), self._samples, packet, 1500
        )
        assert size > 0
        return packet.raw[:size]

    def close(self) -> None:
        """Free the encoder."""
        self._library.opus_encoder_destroy(self._handle)


@dataclass(frozen=True)
class Foreign:
    """How a sender of another make encodes; shape turns int16[320] into what it encodes."""

    rate: int
    channels: int
    application: str
    bitrate: int
    shape: Callable[[Pcm], Pcm]


FOREIGN = {
    "stereo": Foreign(16000, 2, "voip", 40000, lambda p: np.stack([p, np.roll(p, 5) // 2], axis=1)),
    "narrowband": Foreign(8000, 1, "voip", 12000, lambda p: p[::2]),
    "mediumband": Foreign(12000, 1, "voip", 16000, lambda p: np.delete(p, np.s_[3::4])),
    "hybrid": Foreign(48000, 1, "voip", 32000, lambda p: np.repeat(p, 3)),
    "CELT": Foreign(48000, 1, "lowdelay", 48000, lambda p: np.repeat(p, 3)),
}


def plain_packets(kind: str, lbrr: bool, dtx: bool, pieces: list[Pcm]) -> list[bytes]:
    """One Opus packet without DRED for every piece int16[320]."""
    if kind in FOREIGN:
        how = FOREIGN[kind]
        foreign = ForeignEncoder(how.rate, how.channels, how.application, how.bitrate, lbrr, dtx)
        packets = [foreign.encode(how.shape(piece)) for piece in pieces]
        foreign.close()
        return packets
    if kind == "two frames":
        with OpusEncoder(lbrr=lbrr, loss_pct=10, dtx=dtx, frame_ms=10) as encoder:
            return [_pair(encoder.encode(piece[:FRAME]), encoder.encode(piece[FRAME:])) for piece in pieces]
    with OpusEncoder(lbrr=lbrr, loss_pct=10, dtx=dtx) as encoder:
        return [encoder.encode(piece) for piece in pieces]


def _pair(first: bytes, second: bytes) -> bytes:
    """Two packets of 10 ms as one, or the second alone where they differ in kind (an empty first frame then)."""
    one, two = parse_packet(first), parse_packet(second)
    frames = [*one.frames, *two.frames] if one.toc >> 2 == two.toc >> 2 else [b"", *two.frames]
    return build_packet(two.toc, frames)


@functools.cache
def histories() -> tuple[bytes, ...]:
    """DRED of 1 s for every packet of the speech that receivers get."""
    encoder, out = DredEncoder(), []
    for piece in speech(6, RECEIVED_SECONDS).reshape(-1, PACKET):
        encoder.push(piece)
        out.append(encoder.payload(1.0))
    return tuple(out)


def payloads(kind: str, chosen: Settings) -> list[bytes]:
    """One Opus packet per 20 ms, b"" where nothing is sent because nobody speaks."""
    pieces = list(speech(6, RECEIVED_SECONDS).reshape(-1, PACKET))
    if kind == "ours":
        with Sender.from_settings(chosen) as sender:
            sent = [sender.push(piece).data for piece in pieces]
        return [rtp.parse(data).payload if data else b"" for data in sent]
    out: list[bytes] = []
    resting = False
    for index, packet in enumerate(plain_packets(kind, chosen.lbrr, chosen.dtx, pieces)):
        rests = chosen.dtx and len(packet) <= 2
        out.append(b"" if rests and resting else _with_history(kind, packet, histories()[index], index))
        resting = rests
    return out


def _with_history(kind: str, packet: bytes, history: bytes, index: int) -> bytes:
    if kind == "no DRED" or not history:
        return packet
    if kind == "unknown DRED":
        history = history[:1] + b"\x63" + history[2:]
    if kind == "damaged":
        if index % 11 == 5:
            return packet[:1] + bytes(reversed(packet[1:]))
        history = history[: len(history) // 3] if index % 2 else history[:2] + bytes(len(history) - 2)
    return add_extension(packet, DRED_EXTENSION_ID, history)


def datagrams(packets: list[bytes], event: str) -> list[bytes]:
    """RTP datagrams of the packets, b"" where nothing is sent."""
    sequence = first_sequence(event)
    out = []
    for index, packet in enumerate(packets):
        ssrc = SSRC
        if event == "new sender" and index >= len(packets) // 2:
            ssrc = OTHER_SSRC
        out.append(rtp.build(sequence, 960 * index, ssrc, packet) if packet else b"")
        sequence += bool(packet)
    return out


def first_sequence(event: str) -> int:
    """Sequence number of the first packet; 100 packets before it wraps around in one event."""
    return 0xFFFF - 99 if event == "wrap and end" else 0


def arrivals(wire: list[bytes], case: Case) -> list[tuple[int, bytes]]:
    """(microseconds, datagram) of what arrives, in that order."""
    loss = parse_loss(LOSSES[case["loss"]], 11)
    chance = random.Random(13)
    out = []
    for index, data in enumerate(wire):
        if not data:
            loss.skip()
        elif not loss.lost():
            out += [(20000 * index + late, data) for late in _delays(case["network"], index, chance)]
        if case["packets"] == "damaged" and index % 17 == 3:
            out.append((20000 * index, (b"", b"\x80\xc9" + bytes(30), data[:20], b"\x80\x6f" + bytes(9))[index % 4]))
    return sorted(out, key=lambda arrival: arrival[0])


def _delays(network: str, index: int, chance: random.Random) -> list[int]:
    """Microseconds after which a datagram arrives; two for one that is doubled."""
    if network == "jitter":
        return [1000 * chance.randrange(70) for _ in range(2 if index % 9 == 4 else 1)]
    if network == "stall" and 70 <= index < 85:  # 300 ms of speech come at once
        return [20000 * (85 - index)]
    return [0]


def _received(case: Case) -> dict[str, Any]:
    chosen, event = settings(case), case["event"]
    packets = payloads(case["packets"], chosen)
    wire = datagrams(packets, event)
    coming = arrivals(wire, case)
    now_us = 0
    receiver = Receiver(chosen.playout_ms, chosen.conceal, chosen.lbrr, clock_us=lambda: now_us,
                        adaptive=chosen.adaptive, vocoder=chosen.vocoder)  # fmt: skip
    receiver.announce(SSRC, first_sequence(event))
    heard, decisions = [], []
    for step in range(len(packets) + chosen.playout_ms // 20 + 15):
        while coming and coming[0][0] <= 20000 * step:
            microseconds, data = coming.pop(0)
            receiver.push(data, microseconds)
        if event == "wrap and end" and step == len(packets):
            receiver.finish(first_sequence(event) + sum(map(bool, wire)) - 1 & 0xFFFF, 960 * (len(packets) - 1))
        now_us = step * 20_000
        quality = (FULL, SMALL, CLASSIC, LATE)[step // 17 % 4] if event == "load" else FULL
        played = receiver.pull(quality)
        heard.append(played.pcm.tobytes())
        frames = [[f.packet, f.source, f.reason, f.delay_us / 1000] for f in played.frames]
        delay_ms = played.delay_us / 1000
        decisions.append([played.source, played.packet, played.reason, delay_ms, played.of_stream, frames])
    return {
        "wire": _joined(wire),
        "pcm": b"".join(heard),
        "decisions": decisions,
        "report": {**receiver.report(), "ended": receiver.ended},
    }
