# SPDX-License-Identifier: BSD-2-Clause
"""Packets of every duration through the real receiver: what is heard is what an Opus decoder says they are."""

import numpy as np
import pytest

from dredge_device import rtp
from dredge_device.pi.receiver import Receiver
from dredge_kernels import framing, opus


def voice(seconds):
    t = np.arange(int(16000 * seconds)) / 16000
    return np.rint(6000 * np.sin(2 * np.pi * 300 * t) * (1 + 0.4 * np.sin(2 * np.pi * 3 * t))).astype(np.int16)


def coded(count=100):
    encoder = opus.OpusEncoder()
    return [encoder.encode(piece) for piece in voice(0.02 * count).reshape(-1, 320)]


def joined(packets, each):
    """Packets of `each` frames of 20 ms."""
    frames = [framing.parse_packet(packet) for packet in packets]
    return [framing.build_packet(group[0].toc, [f for p in group for f in p.frames])
            for group in (frames[i : i + each] for i in range(0, len(frames), each))]  # fmt: skip


class Clock:
    now_us = 0

    def __call__(self):
        return self.now_us


def played(datagrams, periods, lost=()):
    """int16[320 n] and sources by period; datagrams: (ticks, bytes), in the order in which they come."""
    clock = Clock()
    receiver = Receiver(200, "opus", clock_us=clock)
    pcm, sources, due = np.zeros(320 * periods, np.int16), ["none"] * periods, 0
    first = None
    for period in range(periods + 60):
        clock.now_us = 20_000 * period
        while due < len(datagrams) and datagrams[due][0] < 960 * (period + 1):
            if due not in lost:
                receiver.push(datagrams[due][1], clock.now_us)
            due += 1
        frame = receiver.pull()
        if frame.packet is not None:
            first = frame.packet if first is None else first
            if 0 <= frame.packet - first < periods:
                pcm[320 * (frame.packet - first) : 320 * (frame.packet - first + 1)] = frame.pcm
                sources[frame.packet - first] = frame.source
    return pcm, sources, receiver.report()


def stream(parts, first=65530, stamp=2**32 - 5000):
    """Datagrams of (ticks, packet) one after the other."""
    out, at = [], 0
    for number, (ticks, packet) in enumerate(parts):
        out.append((at, rtp.build(first + number, stamp + at, 7, packet)))
        at += ticks
    return out, at


def reference(packets):
    decoder = opus.OpusDecoder()
    return np.concatenate([decoder.decode(packet) for packet in packets])


@pytest.mark.parametrize("each", [1, 2, 3, 6])
def test_packets_of_several_frames_are_played_as_one_decoder_plays_them(each):
    packets = joined(coded(), each)[: 96 // each]
    datagrams, ticks = stream([(960 * each, packet) for packet in packets])
    pcm, sources, report = played(datagrams, ticks // 960)
    np.testing.assert_array_equal(pcm, reference(packets))
    assert set(sources) == {"opus"} and report["packets"]["wrong_duration"] == 0


def celt(packets_ms, seconds=1.0):
    """CELT packets of 10, 5 or 2.5 ms: silence with a frame each, which is enough to count samples."""
    config = {20: 31, 10: 30, 5: 29, 2.5: 28}[packets_ms]
    count = round(1000 * seconds / packets_ms)
    return [bytes([config << 3, n & 0x7F, 3 * n & 0xFF, 40]) for n in range(count)]


@pytest.mark.parametrize("ms", [10, 5, 2.5])
def test_shorter_packets_share_a_period(ms):
    packets = celt(ms)
    datagrams, ticks = stream([(int(48 * ms), packet) for packet in packets])
    pcm, sources, report = played(datagrams, ticks // 960)
    np.testing.assert_array_equal(pcm, reference(packets))
    assert set(sources) == {"opus"} and report["packets"]["wrong_duration"] == 0


def test_the_duration_changes_in_mid_stream_and_back():
    twenty = coded(40)
    parts = [(960, p) for p in twenty[:10]] + [(480, p) for p in celt(10, 0.2)]
    parts += [(2880, p) for p in joined(twenty[10:25], 3)] + [(1920, p) for p in joined(twenty[25:35], 2)]
    parts += [(120, p) for p in celt(2.5, 0.1)] + [(960, p) for p in twenty[35:]]
    datagrams, ticks = stream(parts)
    pcm, sources, _ = played(datagrams, ticks // 960)
    np.testing.assert_array_equal(pcm, reference([packet for _, packet in parts]))
    assert set(sources) == {"opus"}


@pytest.mark.parametrize("each", [2, 3])
def test_a_lost_long_packet_is_as_many_lost_periods(each):
    packets = joined(coded(60), each)
    datagrams, ticks = stream([(960 * each, packet) for packet in packets])
    _, sources, report = played(datagrams, ticks // 960, lost={4, 5})
    assert [i for i, source in enumerate(sources) if source != "opus"] == list(range(4 * each, 6 * each))
    assert report["packets"]["missing"] == 2


def test_half_a_period_that_is_lost_is_concealed_and_moves_nothing():
    packets = celt(10)
    datagrams, ticks = stream([(480, packet) for packet in packets])
    pcm, sources, _ = played(datagrams, ticks // 960, lost={21, 40, 41})
    assert [i for i, source in enumerate(sources) if source != "opus"] == [20]
    whole = reference(packets)
    np.testing.assert_array_equal(pcm[: 320 * 10], whole[: 320 * 10])


def test_a_pause_in_a_stream_of_long_packets_stays_a_pause():
    packets = joined(coded(30), 3)
    datagrams, _ = stream([(2880, p) for p in packets[:5]])
    later, _ = stream([(2880, p) for p in packets[5:]], 65535, 2**32 - 5000 + 5 * 2880 + 50 * 960)
    _, sources, _ = played(datagrams + [(at + 5 * 2880 + 50 * 960, d) for at, d in later], 80)
    assert sources[:15] == ["opus"] * 15 and sources[65:] == ["opus"] * 15
    assert set(sources[15:65]) <= {"dtx", "conceal", "none"}
