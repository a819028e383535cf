# SPDX-License-Identifier: BSD-2-Clause
"""The receive path does not grow: what a frame needs is free again when it has been played."""

import gc
import tracemalloc

import pytest

from dredge_device import rtp
from dredge_device.pi.receiver import Receiver
from dredge_host.sending.audio import bundled_clip, packets, read_audio
from dredge_host.sending.sender import Sender

WARM_UP = 560  # the buffer keeps 512 packets
PERIODS = 200
KEPT_BYTES = 20_000  # counters that grow a digit, histograms that meet a new value


@pytest.fixture(scope="module")
def stream():
    with bundled_clip() as path:
        pcm = read_audio(path).pcm
    sender = Sender()
    payloads = [sender.push(piece).data[12:] for piece in packets(pcm[: 320 * 100])]
    return [rtp.build(i, 960 * i, 7, payloads[i % len(payloads)]) for i in range(WARM_UP + PERIODS)]


class Clock:
    now_us = 0

    def __call__(self):
        return self.now_us


def play(receiver, clock, stream, numbers, lost):
    for number in numbers:
        clock.now_us = 20_000 * number
        if not lost(number):
            receiver.push(stream[number], clock.now_us)
        receiver.pull()


def a_fifth(number):
    return number % 10 in (3, 4)


def test_memory_after_many_frames_is_what_it_was(stream):
    clock = Clock()
    receiver = Receiver(200, clock_us=clock)
    tracemalloc.start()
    try:
        play(receiver, clock, stream, range(WARM_UP), a_fifth)
        gc.collect()
        before = tracemalloc.take_snapshot()
        play(receiver, clock, stream, range(WARM_UP, WARM_UP + PERIODS), a_fifth)
        gc.collect()
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    difference = after.compare_to(before, "lineno")
    grown = sum(line.size_diff for line in difference)
    worst = "\n".join(str(line) for line in difference[:5])
    assert grown < KEPT_BYTES, f"{grown} bytes after {PERIODS} frames more:\n{worst}"
