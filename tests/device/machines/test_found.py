# SPDX-License-Identifier: BSD-2-Clause
"""What the state machines have found, each as short as it gets."""

import json

import pytest
from device_fakes import Bench, packet

from dredge_device import control, rtp
from dredge_device.agent import Agent
from dredge_device.jitter import JitterBuffer
from dredge_device.pi.receiver import Receiver
from dredge_device.playout import Playout
from dredge_device.units import PACKET_US


def stopped(seconds, playout_ms=200):
    """A stream of which a second was played before we were stopped; everything sent meanwhile waits for us."""
    bench = Bench(playout_ms=playout_ms)
    for number in range(50):
        bench.send(number)
        bench.pull()
    bench.now_us += round(seconds * 1e6)
    missed = round(seconds * 50)
    for number in range(50, 50 + missed):
        bench.send(number)
    played = []
    for number in range(50 + missed, 250 + missed):
        bench.send(number)
        played.append(bench.pull())
    return bench, played


def test_after_a_stop_playout_leaps_to_where_it_should_be():
    bench, played = stopped(3.0)
    assert [f.source for f in played[0].frames].count("skipped") >= 140
    assert all(p.delay_us <= 260_000 for p in played[1:] if p.packet is not None)
    report = bench.receiver.report()
    assert report["packets"]["lost"] == 0  # they came; nobody heard them
    assert report["sources"]["skipped"] >= 140


def test_a_short_stop_is_caught_up_without_leaving_anything_out():
    bench, played = stopped(0.4)
    assert bench.receiver.report()["sources"]["skipped"] == 0
    assert played[0].delay_us > 500_000 and played[-1].delay_us < 700_000  # by a quarter a second


def test_what_is_skipped_right_before_the_end_is_told():
    bench = Bench(playout_ms=20)
    for number in range(3):
        bench.send(number)
        bench.pull()
    bench.receiver.finish(80)
    for number in range(3, 81):
        bench.send(number)
    bench.now_us += 3_000_000
    told = []
    for _ in range(200):
        told += [frame.packet for frame in bench.pull().frames]
    assert told == list(range(told[0], 81))
    sources = bench.receiver.report()["sources"]
    assert sum(count for name, count in sources.items() if name != "silence") == len(told) + told[0]


def test_after_a_resync_nothing_measured_before_it_counts():
    """The debt of seconds that a leap of the numbers leaves behind was corrected by lengthening speech for minutes."""
    buffer = JitterBuffer(60)
    playout = Playout(buffer, adaptive=True)
    now, number = 0, 0
    for _ in range(100):
        buffer.insert(number, b"x", now)
        playout.step(now)
        playout.observe(now, 0)
        now, number = now + PACKET_US, number + 1
    playout.lag.us = -16_000_000
    for _ in range(26):  # the sender's numbers went back: all late, and then the clock is set anew
        buffer.insert(number - 600, b"x", now)
        number += 1
    assert buffer.resyncs == 1
    playout.step(now)
    assert playout.lag.us == 0


def configured(document):
    agent = Agent(lambda o: Receiver(o["playout_ms"], "opus"), {"playout_ms": 100}, {})
    before = agent.receiver
    body = json.dumps(document).encode()
    request = control.build(control.Message(control.CONFIGURE, 1, body))
    (answer,) = agent.handle(request, "host", 0)
    return agent, before, control.parse(answer)[0].document()


@pytest.mark.parametrize("first", [1e999, "5", None, [5], 2.0])
def test_a_refused_request_changes_nothing(first):
    agent, before, answer = configured({"playout_ms": 300, "ssrc": 7, "first_sequence": first})
    assert answer == {"ok": False, "error": "ssrc, first_sequence and first_timestamp must be integers"}
    assert agent.receiver is before and agent.options == {"playout_ms": 100}


def test_a_device_without_memory_says_so():
    agent = Agent(lambda o: Receiver(100, "opus"), {"playout_ms": 100}, {})

    def exhausted(options):
        raise MemoryError

    agent.media._make = exhausted
    (answer,) = agent.handle(
        control.build(control.with_document(control.CONFIGURE, 1, {"playout_ms": 300})), "host", 0
    )
    document = control.parse(answer)[0].document()
    assert document["ok"] is False and "no memory" in document["error"]
    agent.handle(rtp.build(0, 0, 7, packet(0)), "host", 0)
    assert agent.receiver.pull().pcm.shape == (320,)
