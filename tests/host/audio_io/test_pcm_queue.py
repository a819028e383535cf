# SPDX-License-Identifier: BSD-2-Clause
"""A board's packets leave in order, at the board's clock, whatever the network does; times are virtual."""

import random

import numpy as np
import pytest

from dredge_device.pi.transport.pcm import Writer, parse
from dredge_device.rtp import build
from dredge_host.audio_io.pcm_queue import PcmQueue


def tone(number):
    return (8000 * np.sin(2 * np.pi * 300 * (320 * number + np.arange(320)) / 16000)).astype(np.int16)


def play(arrivals, until_us):
    """Insert (time, datagram) pairs, take whatever is due; [(time, pcm)] and the queue."""
    queue, taken, arrivals = PcmQueue(), [], sorted(arrivals, key=lambda pair: pair[0])
    now = 0
    while now < until_us:
        while arrivals and arrivals[0][0] <= now:
            at, datagram = arrivals.pop(0)
            queue.insert(datagram, at)
        due = queue.due_us()
        if due is not None and due <= now:
            taken.append((due, queue.take()))
            continue
        now = min([until_us, *([arrivals[0][0]] if arrivals else []), *([due] if due is not None else [])])
        if due is None and not arrivals:
            break
    return taken, queue


def sent(count, ppm=0.0, jitter_us=0, lost=(), seed=1):
    dice, writer = random.Random(seed), Writer()
    out = []
    for n in range(count):
        datagram = writer.packet(tone(n))
        if n not in lost:
            out.append((round(n * 20000 * (1 - ppm / 1e6)) + dice.randrange(jitter_us + 1), datagram))
    return out


@pytest.mark.parametrize("ppm", [-300, -50, 0, 50, 300])
def test_the_boards_clock_is_followed_and_no_sample_changed(ppm):
    taken, queue = play(sent(6000, ppm, jitter_us=8000), 119_000_000)
    pcm = np.concatenate([piece for _, piece in taken])
    wanted = np.concatenate([tone(n) for n in range(len(taken))])
    assert np.array_equal(pcm[64:], wanted[64:])  # the first 4 ms rise from silence
    assert (queue.missing, queue.late, queue.skipped) == (0, 0, 0)
    assert queue.clock_ppm() == pytest.approx(ppm, abs=25)
    times = np.diff([at for at, _ in taken])
    assert np.all(np.abs(times - 20000) <= 200)
    assert 20_000 <= queue.delay_us <= 45_000
    # A minute at 300 ppm is 18 ms: without following, the packets would wait so much longer, or come too late.
    assert taken[-1][0] == pytest.approx(taken[0][0] + 20000 * (1 - ppm / 1e6) * (len(taken) - 1), abs=12_000)


def test_lost_packets_are_counted_and_filled_without_a_step():
    taken, queue = play(sent(1000, jitter_us=3000, lost=(100, 200, 201, 202)), 19_500_000)
    assert queue.missing == 4 and queue.late == 0
    pcm = np.concatenate([piece for _, piece in taken]).astype(int)
    assert np.max(np.abs(np.diff(pcm))) < 1.5 * 8000 * 2 * np.pi * 300 / 16000
    assert not pcm[201 * 320 + 1 : 203 * 320].any()  # the second and third packet of the gap are silence
    assert pcm[100 * 320 : 100 * 320 + 100].any()  # the first hole still fades


def test_late_packets_make_the_wait_longer():
    arrivals = [(at + (60_000 if index % 20 == 7 else 0), datagram) for index, (at, datagram) in enumerate(sent(1500))]
    taken, queue = play(arrivals, 29_000_000)
    assert queue.late > 0 and queue.delay_us > 60_000
    late = queue.late
    assert late < 25  # of 75 packets that came 60 ms late
    assert len(taken) > 1400


def test_a_pause_of_the_network_is_survived():
    """Everything that was sent within a second comes at its end."""
    arrivals = [(max(at, 6_000_000) if 5_000_000 <= at < 6_000_000 else at, datagram) for at, datagram in sent(1000)]
    _, queue = play(arrivals, 19_500_000)
    assert queue.delay_us < 100_000
    assert queue.received > 950 and queue.missing + queue.late < 60


def test_a_board_that_goes_and_comes_back_starts_anew():
    first, second = sent(100), [(at + 5_000_000, datagram) for at, datagram in sent(100)]
    taken, queue = play(first + second, 7_900_000)
    assert queue.restarts == 1 and queue.missing == 0
    assert 195 <= len([1 for _, piece in taken if piece.any()]) <= 201


def test_noise_is_counted():
    queue = PcmQueue()
    queue.insert(b"noise", 0)
    queue.insert(build(1, 320, 5, bytes(100)), 0)
    assert queue.garbage == 2 and queue.due_us() is None


def test_the_packet_is_rtp_in_network_order():
    ssrc, sequence, pcm = parse(build(7, 0, 9, b"\x01\x02" + bytes(638), 96))
    assert (ssrc, sequence, pcm[0], len(pcm)) == (9, 7, 0x0102, 320)
    with pytest.raises(ValueError, match="expected 640"):
        parse(build(7, 0, 9, bytes(10), 96))


def test_nobody_asked_for_a_while():
    queue = PcmQueue()
    for at, datagram in sent(100):
        queue.insert(datagram, at)
    queue.skip_to(1_500_000)
    assert queue.skipped > 70 and 1_480_000 <= queue.due_us() + 20_000 <= 1_540_000
