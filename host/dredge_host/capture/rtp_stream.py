# SPDX-License-Identifier: BSD-2-Clause
"""The packets of one RTP stream out of captured datagrams: by flow, SSRC and payload type, split at restarts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from dredge_device import rtp
from dredge_device.units import RTP_CLOCK_HZ, RTP_TICKS_PER_PACKET
from dredge_host.capture import red
from dredge_host.capture.datagrams import Flow
from dredge_host.capture.packets import ANY, Capture, Captured, Choice
from dredge_kernels.framing import parse_packet

MAX_STREAMS = 10000          # limits the memory for a capture of random data
_LATE_S = 1.0                # an older packet that arrives later than this begins a new stream
_APART_S = 10.0              # clocks of sender and capture that differ by more belong to a new stream
_LOOKED_AT = 500             # packets examined to judge whether a stream is Opus
_NOTES = 10
NOWHERE = Flow("", "")
_KINDS = ((range(4), "STUN datagrams"), (range(16, 20), "ZRTP datagrams"), (range(20, 64), "DTLS datagrams (keys)"))


class _Packet(NamedTuple):
    running: int             # sequence number, unwrapped
    stamp: int               # timestamp, unwrapped
    time_s: float
    payload: bytes


@dataclass
class _Run:
    """The packets of one sender up to its next restart; those of every payload type share its numbers."""

    flow: Flow
    ssrc: int
    first: tuple[float, int]                     # capture time and timestamp of its first packet
    highest: tuple[int, int, float]              # sequence, timestamp, time of the newest packet
    types: dict[int, list[_Packet]] = field(default_factory=dict)
    numbers: set[int] = field(default_factory=set)
    probes: int = 0                              # packets that are padding only


@dataclass
class Stream:
    """The packets of one payload type of one run; like: how many of the examined packets have the duration that their
    timestamps show.
    """

    run: _Run
    payload_type: int
    packets: list[_Packet]
    like: int = 0
    looked: int = 0
    redundant: int = 0                           # blocks of RFC 2198 beside the primary ones

    @property
    def is_opus(self) -> bool:
        return 2 * self.like >= self.looked

    def title(self) -> str:
        """Return a description: the number and kind of packets."""
        flow = f", {self.run.flow.source} > {self.run.flow.target}" if self.run.flow.source else ""
        kind = "" if self.is_opus else ", no Opus"
        return f"{len(self.packets)} packets of SSRC 0x{self.run.ssrc:08x}, type {self.payload_type}{kind}{flow}"


class RtpStreams:
    """The streams found in datagrams; other datagrams than RTP of a dynamic payload type are counted in `left_out`."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._current: dict[tuple[Flow, int], _Run] = {}
        self.left_out: Counter[str] = Counter()

    def add(self, datagram: bytes, time_s: float, flow: Flow = NOWHERE) -> None:
        """Take in one UDP payload as it was captured."""
        if rtp.is_rtcp(datagram) and datagram[0] >> 6 == 2:
            self.left_out["datagrams of RTCP"] += 1
            return
        try:
            packet = rtp.parse(datagram)
        except ValueError:
            self.left_out[_kind(datagram)] += 1
            return
        if packet.payload_type < 35 or 64 <= packet.payload_type < 96:
            self.left_out["datagrams of other payload types"] += 1
            return
        run = self._run_of(packet, time_s, flow)
        if run is None:
            self.left_out["datagrams of too many streams"] += 1
            return
        newest, stamp, when = run.highest
        running = newest + rtp.distance(packet.sequence, newest & 0xFFFF)
        ticks = stamp + _signed(packet.timestamp - stamp)
        if running >= newest:
            run.highest = (running, ticks, max(when, time_s))
        run.numbers.add(running)
        if packet.payload:
            run.types.setdefault(packet.payload_type, []).append(_Packet(running, ticks, time_s, packet.payload))
        else:
            run.probes += 1

    def _run_of(self, packet: rtp.RtpPacket, time_s: float, flow: Flow) -> _Run | None:
        key = (flow, packet.ssrc)
        run = self._current.get(key)
        if run is None or _starts_again(run, packet, time_s):
            if len(self._runs) >= MAX_STREAMS:
                return None
            start = (packet.sequence, packet.timestamp, time_s)
            run = self._current[key] = _Run(flow, packet.ssrc, (time_s, packet.timestamp), start)
            self._runs.append(run)
        return run

    def streams(self) -> list[Stream]:
        """Return every stream that was found, in the order of their first packets."""
        found = [_judged(Stream(run, kind, packets)) for run in self._runs for kind, packets in run.types.items()]
        return [stream for stream in found if stream.packets]

    def choose(self, name: str, choice: Choice = ANY) -> Capture:
        """Return the chosen stream, by default the one with most Opus packets. Raises ValueError if there
        is none.
        """
        found = self.streams()
        capture = Capture(name, left_out=self.left_out)
        chosen = _chosen(found, choice)
        if chosen is not None:
            capture.ssrc = chosen.run.ssrc
            _in_order(capture, chosen)
            if not chosen.is_opus:
                capture.doubt = (
                    "the payload does not read as Opus (packets do not last as long as the timestamps say): "
                    "it is encrypted (SRTP) or another codec"
                )
                capture.notes.insert(0, f"{chosen.title()}: {capture.doubt}")
        for number, stream in enumerate(found, 1):
            if stream is not chosen:
                capture.notes.append(f"left out: stream {number}: {stream.title()}; see --stream")
        if len(capture.notes) > _NOTES:
            capture.notes[_NOTES - 1 :] = [f"left out: {len(found) - _NOTES} more streams"]
        capture.notes += [f"left out: {count} {what}" for what, count in self.left_out.items()]
        return capture


def _chosen(found: list[Stream], choice: Choice) -> Stream | None:
    if choice.stream is not None:
        if not 1 <= choice.stream <= len(found):
            raise ValueError(f"there is no stream {choice.stream} (there are {len(found)})")
        return found[choice.stream - 1]
    fitting = [stream for stream in found if choice.ssrc in (None, stream.run.ssrc)]
    if choice.ssrc is not None and not fitting:
        there = ", ".join(dict.fromkeys(f"0x{stream.run.ssrc:08x}" for stream in found[:10])) or "none"
        raise ValueError(f"no RTP stream with SSRC 0x{choice.ssrc:08x} (there are: {there})")
    return max(fitting, key=lambda stream: (stream.is_opus, len(stream.packets)), default=None)


def _starts_again(run: _Run, packet: rtp.RtpPacket, time_s: float) -> bool:
    """Return whether a packet cannot belong to the present stream of its address and SSRC."""
    newest, stamp, when = run.highest
    step = rtp.distance(packet.sequence, newest & 0xFFFF)
    ticks = _signed(packet.timestamp - stamp)
    if not -rtp.MAX_DROPOUT <= step <= rtp.MAX_DROPOUT:
        return True
    if step <= 0:  # repeated or overtaken, unless it comes far too late for that
        return time_s - when + abs(ticks) / RTP_CLOCK_HZ > _LATE_S and time_s - when > _LATE_S
    if ticks < -RTP_TICKS_PER_PACKET * rtp.MAX_DROPOUT or (ticks < 0 and step > 1):
        return True
    return abs(ticks / RTP_CLOCK_HZ - (time_s - when)) > _APART_S and ticks / RTP_CLOCK_HZ > _APART_S


def _judged(stream: Stream) -> Stream:
    """Return the stream with its likeness to Opus; with the primary blocks of RFC 2198 in its place if these are Opus.
    """
    stream.like, stream.looked = _likeness(stream.packets)
    if stream.is_opus and stream.like:
        return stream
    unwrapped = red.unwrapped([(p.stamp, p.payload) for p in stream.packets[:_LOOKED_AT]])
    if unwrapped is None:
        return stream
    primary = [p._replace(payload=data) for p, (data, _) in zip(stream.packets, unwrapped, strict=False)]
    like, looked = _likeness(primary)
    if 2 * like < looked or like <= stream.like:
        return stream
    whole = red.unwrapped([(p.stamp, p.payload) for p in stream.packets]) or []
    packets = []
    for packet, (data, older) in zip(stream.packets, whole, strict=False):
        for place, (stamp, copy) in enumerate(reversed(older), 1):
            if packet.running - place not in stream.run.numbers:
                stream.run.numbers.add(packet.running - place)
                packets.append(_Packet(packet.running - place, stamp, packet.time_s, copy))
                stream.redundant += 1
        if data:
            packets.append(packet._replace(payload=data))
    return Stream(stream.run, stream.payload_type, packets, like, looked, stream.redundant)


def _likeness(packets: list[_Packet]) -> tuple[int, int]:
    """Return the number of packets whose duration fits the timestamps, and the number examined."""
    looked = sorted(packets[:_LOOKED_AT])
    like = pairs = 0
    for packet, after in pairwise(looked):
        if after.running != packet.running + 1:
            continue
        pairs += 1
        ticks, lasts = after.stamp - packet.stamp, duration(packet.payload)
        paused = after.payload[0] >> 3 == packet.payload[0] >> 3 and lasts and ticks > lasts and not ticks % lasts
        like += bool(lasts and (ticks == lasts or paused))
    if pairs:
        return like, pairs
    return sum(duration(packet.payload) > 0 for packet in looked), len(looked)


def duration(packet: bytes) -> int:
    """Return the duration of an Opus packet in ticks of 48 kHz; 0 for a malformed one."""
    try:
        return int(parse_packet(packet).samples_48k)
    except ValueError:
        return 0


def _in_order(capture: Capture, stream: Stream) -> None:
    """Append each packet once; the numbers of probes and other payload types are removed from the numbering, so that a
    gap means loss.
    """
    own: dict[int, _Packet] = {}
    for packet in stream.packets:
        own.setdefault(packet.running, packet)
    foreign = sorted(stream.run.numbers - own.keys())
    first = min(p.stamp for p in own.values())
    passed = 0
    for running in sorted(own):
        while passed < len(foreign) and foreign[passed] < running:
            passed += 1
        packet = own[running]
        capture.packets.append(Captured(packet.payload, packet.time_s, running - passed, packet.stamp - first))
    numbers = [p.sequence or 0 for p in capture.packets]
    capture.lost = numbers[-1] - numbers[0] + 1 - len(numbers)
    if len(stream.packets) > len(own):
        capture.notes.append(f"left out: {len(stream.packets) - len(own)} duplicates")
    if stream.run.probes:
        capture.notes.append(f"left out: {stream.run.probes} packets that are padding only")
    if stream.redundant:
        capture.notes.append(f"{stream.redundant} lost packets were taken from copies in later ones (RFC 2198)")


def _kind(datagram: bytes) -> str:
    """Return the kind of a datagram that is not RTP (RFC 7983)."""
    for firsts, name in _KINDS:
        if datagram[:1] and datagram[0] in firsts:
            return name
    return "datagrams that are no RTP"


def _signed(ticks: int) -> int:
    return (ticks + 0x80000000 & 0xFFFFFFFF) - 0x80000000
