# SPDX-License-Identifier: BSD-2-Clause
"""The methods that an evaluation compares: a sender, a receiver and their settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from dredge_device.units import PACKET_SECONDS
from dredge_host.errors import UsageError
from dredge_host.evaluation.methods.mute import MuteReceiver
from dredge_host.evaluation.methods.redundant import RedReceiver, RedSender
from dredge_host.offline.player import PacketReceiver, PacketSender
from dredge_host.offline.simulate import make_receiver
from dredge_host.sending.sender import HEADER_BYTES, PARTS, Packet, Sender
from dredge_host.settings import Settings

UDP_IP_BYTES = HEADER_BYTES - 12  # bytes of UDP and IP headers per RTP packet


class Method(NamedTuple):
    """conceal, redundancy_s, lbrr: see Settings; lossless: no loss at all; transport: plain, red or mute (wraps the
    ordinary sender and receiver, or replaces the receiver), or peer (another program on both sides)."""

    text: str
    conceal: str
    redundancy_s: float = 0.0
    lbrr: bool = False
    lossless: bool = False
    transport: str = "plain"

    def settings(self, bitrate: int) -> Settings:
        """Return the settings of a simulation at this many b/s of speech."""
        return Settings(bitrate=bitrate, redundancy_s=self.redundancy_s, lbrr=self.lbrr, conceal=self.conceal)


METHODS = {
    "clean": Method("no loss", "opus", lossless=True),
    "silence": Method("silence for lost packets", "opus", transport="mute"),
    "opus": Method("classic Opus concealment", "opus"),
    "lbrr": Method("LBRR + classic concealment", "opus", lbrr=True),
    "red": Method("RFC 2198, two copies + classic concealment", "opus", transport="red"),
    "plc": Method("own PLC", "plc"),
    "dred_100": Method("DRED 100 ms", "dred", 0.1),
    "dred_200": Method("DRED 200 ms", "dred", 0.2),
    "dred_500": Method("DRED 500 ms", "dred", 0.5),
    "dred": Method("DRED 1 s", "dred", 1.0),
    "dred_lbrr": Method("DRED 1 s + LBRR", "dred", 1.0, lbrr=True),
    "peer_opus": Method("libopus: classic concealment", "opus", transport="peer"),
    "peer_plc": Method("libopus: deep PLC", "opus", transport="peer"),
    "peer_lbrr": Method("libopus: LBRR", "opus", lbrr=True, transport="peer"),
    "peer_dred": Method("libopus: DRED", "opus", transport="peer"),
    "peer_dred_lbrr": Method("libopus: DRED + LBRR", "opus", lbrr=True, transport="peer"),
}
PEERS = tuple(name for name, method in METHODS.items() if method.transport == "peer")
DEFAULT_METHODS = ("clean", "silence", "opus", "lbrr", "red", "plc", "dred", "dred_lbrr")


def known(methods: Sequence[str]) -> tuple[str, ...]:
    """Return the same keys, each once, in the order of METHODS. Raises UsageError for an unknown one."""
    for name in methods:
        if name not in METHODS:
            raise UsageError(f"method '{name}' is unknown; expected one of {', '.join(METHODS)}")
    return tuple(name for name in METHODS if name in methods)


class MeteredSender:
    """A sender whose CPU time and bytes on the wire are counted, part by part.

    cpu_clock: nanoseconds of this thread. The bytes of a datagram beyond its split are the copies of RFC 2198.
    """

    def __init__(self, sender: PacketSender, cpu_clock: Callable[[], int] = time.thread_time_ns) -> None:
        self._sender = sender
        self._cpu_clock = cpu_clock
        self._bytes = dict.fromkeys((*PARTS, "red"), 0)
        self._packets = 0
        self._cpu_ns = 0
        self.lookahead, self.ssrc, self.first_sequence = sender.lookahead, sender.ssrc, sender.first_sequence

    def push(self, pcm: Any) -> Packet:
        """Send int16[320] as one packet and return it."""
        started = self._cpu_clock()
        packet = self._sender.push(pcm)
        self._cpu_ns += self._cpu_clock() - started
        self._packets += 1
        for part in PARTS:
            self._bytes[part] += getattr(packet.split, part)
        if packet.data:
            self._bytes["red"] += len(packet.data) + UDP_IP_BYTES - packet.split.total
        return packet

    def rates(self) -> dict[str, float]:
        """Return the mean b/s of each part."""
        seconds = max(1, self._packets) * PACKET_SECONDS
        return {part: round(8 * count / seconds, 1) for part, count in self._bytes.items()}

    def cpu_us(self) -> float:
        """Return the mean CPU time per packet, µs."""
        return self._cpu_ns / 1000 / max(1, self._packets)


def open_sender(method: Method, settings: Settings) -> MeteredSender:
    """Return the sending side of a method."""
    sender = Sender.from_settings(settings)
    return MeteredSender(RedSender(sender) if method.transport == "red" else sender)


def open_receiver(method: Method, settings: Settings, clock: Callable[[], int]) -> PacketReceiver:
    """Return the receiving side of a method."""
    if method.transport == "mute":
        return MuteReceiver()
    receiver = make_receiver(settings, clock)
    return RedReceiver(receiver) if method.transport == "red" else receiver
