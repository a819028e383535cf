# SPDX-License-Identifier: BSD-2-Clause
"""The receiver: any datagrams at any times, and 20 ms of speech every 20 ms whatever they hold."""

from __future__ import annotations

import functools

import numpy as np
from device_fakes import fake_parts, packet
from target import Plan, Target, check, piece
from targets_opus import dred_packet

from dredge_device import rtp
from dredge_device.pi.factory import Parts, real_parts
from dredge_device.pi.receiver import Receiver
from dredge_device.units import CONCEAL_MODES

PERIOD_US = 20_000
FLAGS = (b"D", b"L", b"DX", b"!", b"N", b"..", b"DL", b"Z")
# A delay is measured against the path's base delay: it may come out a period short, and after a stop of the clock,
# when old packets become the base, as short as the stop was long.
SLACK_US = 12_000_000            # what the buffer holds, and what may be conceded while nobody pulls


class Bench:
    """A receiver under the plan's clock; every period is checked."""

    def __init__(self, playout_ms: int, conceal: str, adaptive: bool, parts: Parts) -> None:
        self.now_us = self.leapt_us = 0
        self.pulled = self.spoken = 0
        self.receiver = Receiver(
            playout_ms, conceal, clock_us=lambda: self.now_us, parts=parts, adaptive=adaptive
        )  # fmt: skip

    def pull(self, count: int) -> None:
        """Periods in real time."""
        for _ in range(count):
            played = self.receiver.pull()
            self.now_us += PERIOD_US
            self.pulled += 1
            self.spoken += bool(played.frames)
            check(played.pcm.dtype == np.int16 and played.pcm.shape == (320,), "a period that is not 20 ms of int16")
            check(len(played.frames) <= 2 + 512, "more periods decided than the buffer holds")
            longest_us = 1000 * self.receiver.playout_ms + self.leapt_us + SLACK_US
            check(-PERIOD_US - self.leapt_us <= played.delay_us < longest_us, f"a delay of {played.delay_us} us")

    def push(self, datagram: bytes) -> None:
        """Something arrives."""
        self.receiver.push(datagram, self.now_us)

    def finish(self) -> None:
        """The books must agree."""
        report = self.receiver.report()
        counted = sum(report["sources"].values())
        check(counted >= 0 and min(report["sources"].values()) >= 0, "a negative count")
        packets = report["packets"]
        check(0 <= packets["lost"] <= packets["expected"], "more lost than expected")
        check(report["delay_ms"]["buffered"] <= 512 * 20 + 20, "more buffered than the buffer holds")


def _header(plan: Plan) -> tuple[int, int, int]:
    """Sequence number, timestamp and sender, mostly consistent with each other."""
    sequence, kind = plan.number(2), plan.below(8)
    stamp = plan.number(4) if kind == 0 else 960 * (sequence + 50 * (kind == 1))
    return sequence, stamp, 1 + (kind == 2)


def _play(bench: Bench, plan: Plan, payload, most: int) -> None:  # type: ignore[no-untyped-def]
    """Acts: a packet, noise, an announcement, an end, time without and with pulls, a clock step."""
    while plan and bench.pulled < most:
        act = plan.below(9)
        if act <= 2:
            sequence, stamp, ssrc = _header(plan)
            bench.push(rtp.build(sequence, stamp, ssrc, payload(plan, sequence), 111 if plan.below(9) else 5))
        elif act == 3:
            bench.push(plan.piece())
        elif act == 4:
            sequence, stamp, ssrc = _header(plan)
            bench.receiver.announce(ssrc, sequence, stamp if plan.below(2) else None)
        elif act == 5:
            sequence, stamp, _ = _header(plan)
            bench.receiver.finish(sequence, stamp if plan.below(2) else None)
        elif act == 6:
            leap_us = plan.number() * 10_000
            bench.now_us += leap_us
            bench.leapt_us += leap_us
        else:
            bench.pull(1 + plan.below(8 if act == 7 else 40))
    bench.finish()


def run_receiver(data: bytes) -> bool:
    """Made-up parts: the buffer, the decisions and the books."""
    plan = Plan(data)
    conceal = CONCEAL_MODES[plan.below(len(CONCEAL_MODES))]
    playout, adaptive = 20 * plan.below(251), bool(plan.below(2))
    bench = Bench(playout, conceal, adaptive, fake_parts(conceal, span=plan.below(108), offset=plan.below(120) - 100))
    _play(bench, plan, lambda p, number: packet(number, FLAGS[p.below(len(FLAGS))]), most=400)
    return bench.spoken > 0


def step(number: int, flags: int = 0, pulls: int = 0) -> bytes:
    """The plan of one packet and a pull."""
    return bytes([0]) + number.to_bytes(2, "big") + bytes([3, flags, 1]) + bytes([7, pulls])


def seeds_receiver() -> list[bytes]:
    head = bytes([0, 10, 0, 100, 108])
    steady = b"".join(step(n) for n in range(1, 30))
    gaps = b"".join(step(n, n % len(FLAGS), 4) for n in (1, 2, 3, 9, 10, 8, 30, 31, 33)) + bytes([8, 39])
    restart = b"".join(bytes([0]) + n.to_bytes(2, "big") + bytes([2, 0, 1, 7, 0]) for n in (500, 501, 502))
    end = bytes([5, 0, 33, 3, 1, 8, 39])
    announced = bytes([4, 0, 1, 3, 1])
    return [head + steady, head + announced + gaps + end, bytes([0, 50, 1, 100, 108]) + gaps + restart + gaps,
            bytes([1, 3, 1, 0, 0]) + gaps, bytes([2, 200, 0, 0, 0]) + gaps + bytes([6, 255]) + steady]  # fmt: skip


@functools.cache
def _kept(conceal: str) -> Parts:
    return real_parts(conceal, "small")


def run_decoder(data: bytes) -> bool:
    """The real parts on real, damaged and hostile Opus packets with DRED: never more than an int16, never an exception.

    The models are loaded once; decoder and vocoder keep what earlier inputs left in them, as they do in a call.
    """
    plan = Plan(data)
    conceal = CONCEAL_MODES[plan.below(len(CONCEAL_MODES))]
    parts = _kept(conceal)
    parts.decoder.reset()
    bench = Bench(20 * plan.below(30), conceal, bool(plan.below(2)), parts)
    _play(bench, plan, _real_payload, most=60)
    return bench.spoken > 0


def _real_payload(plan: Plan, number: int) -> bytes:
    """A sound packet, one with some bytes changed, or raw bytes behind a TOC of 20 ms."""
    kind = plan.below(4)
    if kind == 0:
        return bytes([0x48]) + plan.piece()
    found = bytearray(dred_packet(number))
    for _ in range(0 if kind == 1 else plan.below(6)):
        found[plan.number(2) % len(found)] = plan.number()
    return bytes(found)


def seeds_decoder() -> list[bytes]:
    def real(number: int, kind: int = 1, pulls: int = 0, change: bytes = b"") -> bytes:
        return bytes([0]) + number.to_bytes(2, "big") + bytes([3, kind]) + change + bytes([1, 7, pulls])

    head = bytes([0, 5, 0])
    clean = b"".join(real(n) for n in range(1, 8))
    gap = clean + real(14, pulls=5) + real(15, pulls=3)
    hurt = clean + b"".join(real(n, 2, 1, bytes([2, 0, 3, 255, 0, 90, 7])) for n in (8, 9, 12, 13))
    noise = bytes([0, 0, 20, 3, 0]) + piece(b"\x0b\xe4" * 20) + bytes([1, 7, 3])
    return [head + gap, head + hurt, bytes([1, 3, 1]) + clean + noise + gap, bytes([2, 2, 0]) + hurt + noise]


TARGETS = (
    Target("receiver", "receiver: any datagrams, then 20 ms each", run_receiver, seeds_receiver, limit=2048, repeat=60),
    Target("decoder", "the same with libopus, DRED and LPCNet", run_decoder, seeds_decoder, limit=400, repeat=5,
           native=True),
)  # fmt: skip
