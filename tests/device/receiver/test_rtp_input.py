# SPDX-License-Identifier: BSD-2-Clause
"""RTP as others send it: packets of any length, other payload types, redundant blocks, pauses, wraps, losses."""

import random

import numpy as np
import pytest

from dredge_device import rtp
from dredge_device.pi.input.payloads import PayloadTypes
from dredge_device.pi.input.periods import Pieces, cut
from dredge_device.pi.receiver import Receiver
from dredge_kernels import opus

SSRC = 0x55AA1234


def tone(samples):
    """Several harmonics that breathe, int16[samples]: every 20 ms of it sounds."""
    t = np.arange(samples) / 16000
    wave = sum(np.sin(2 * np.pi * 150 * k * t + k) / k for k in range(1, 9))
    return np.rint(3000 * (0.7 + 0.3 * np.sin(2 * np.pi * 1.5 * t)) * wave).astype(np.int16)


def coded(ms, seconds=2.0):
    """Opus packets of so many ms of the tone."""
    size = 16 * ms
    encoder = opus.OpusEncoder(bitrate=24000, frame_ms=ms)
    pcm = tone(int(seconds * 16000) // size * size)
    return [encoder.encode(pcm[i : i + size]) for i in range(0, len(pcm), size)]


class Ear:
    """A receiver that gets packets at times and is pulled every 20 ms."""

    def __init__(self, playout_ms=200, types=None, mode="opus"):
        self.now_us = 0
        named = {"payload_types": types} if types else {}
        self.receiver = Receiver(playout_ms, mode, clock_us=lambda: self.now_us, **named)

    def play(self, arrivals, seconds):
        """arrivals: (time, datagram); the samples that were played, and the source of every period."""
        waiting, out, sources = sorted(arrivals, key=lambda a: a[0]), [], []
        while self.now_us < 1e6 * seconds:
            while waiting and round(1e6 * waiting[0][0]) <= self.now_us:
                when, datagram = waiting.pop(0)
                self.receiver.push(datagram, round(1e6 * when))
            played = self.receiver.pull()
            if played.of_stream:
                out.append(played.pcm)
                sources += [frame.source for frame in played.frames]
            self.now_us += 20_000
        return np.concatenate(out) if out else np.zeros(0, np.int16), sources

    @property
    def packets(self):
        return self.receiver.report()["packets"]


def sent(packets, ms, first=65530, stamp=0xFFFFF000, kind=111, start=0.0, ssrc=SSRC):
    """The packets at their times; sequence number and timestamp wrap on the way."""
    return [
        (start + n * ms / 1000, rtp.build(first + n, stamp + 48 * ms * n, ssrc, data, kind))
        for n, data in enumerate(packets)
    ]


@pytest.mark.parametrize("ms", [10, 20, 40, 60])
def test_packets_of_any_length_are_played_whole(ms):
    packets = coded(ms)
    ear = Ear()
    pcm, sources = ear.play(sent(packets, ms), 2.1)
    decoder = opus.OpusDecoder()
    expected = np.concatenate([decoder.decode(data) for data in packets])
    heard = min(len(expected), len(pcm))
    assert heard > 28000
    np.testing.assert_array_equal(pcm[:heard], expected[:heard])
    assert set(sources) == {"opus"}
    assert ear.packets["arrived"] == len(packets) and ear.packets["missing"] == 0
    assert ear.packets["not_opus"] == ear.packets["bad_timestamp"] == 0
    assert ear.receiver.packet_us == 1000 * ms


def test_several_frames_in_a_packet():
    frames = coded(20)
    packets = []
    for i in range(0, 99, 3):
        three = frames[i : i + 3]
        toc = bytes([three[0][0] & 0xFC | 3, 0x80 | 3])  # code 3, variable sizes
        assert all(len(frame) <= 252 for frame in three)
        sizes = bytes(len(frame) - 1 for frame in three[:2])
        packets.append(toc + sizes + b"".join(f[1:] for f in three))
    ear = Ear()
    pcm, sources = ear.play(sent(packets, 60), 2.0)
    decoder = opus.OpusDecoder()
    expected = np.concatenate([decoder.decode(data) for data in frames[:99]])
    heard = min(len(expected), len(pcm))
    np.testing.assert_array_equal(pcm[:heard], expected[:heard])
    assert set(sources) == {"opus"}


def test_the_length_may_change_in_the_stream():
    arrivals, stamp, at, number = [], 0, 0.0, 0
    total = 0.0
    for ms, count in ((20, 11), (60, 5), (10, 31), (20, 10), (40, 7), (10, 3), (60, 4), (10, 5), (20, 20)):
        for data in coded(ms, ms * count / 1000 + 0.001)[:count]:
            arrivals.append((at, rtp.build(number, stamp, SSRC, data)))
            number, stamp, at = number + 1, stamp + 48 * ms, at + ms / 1000
        total += ms * count / 1000
    ear = Ear()
    pcm, sources = ear.play(arrivals, total + 0.1)
    assert ear.packets["arrived"] == number and ear.packets["missing"] == ear.packets["bad_timestamp"] == 0
    assert sources.count("opus") >= len(sources) - 3  # nothing but what a change leaves open
    level = np.sqrt((pcm[: len(pcm) // 320 * 320].reshape(-1, 320).astype(float) ** 2).mean(axis=1))
    assert (level[3:] > 300).all()


def test_a_lost_half_period_is_concealed_and_its_neighbour_is_not():
    packets = coded(10)
    arrivals = [a for n, a in enumerate(sent(packets, 10, first=0, stamp=0)) if n not in (40, 61)]
    ear = Ear()
    _, sources = ear.play(arrivals, 1.8)
    assert set(sources) == {"opus"} and ear.packets["missing"] == 2


@pytest.mark.parametrize("odd", [
    (101, b"\x01\x0a\x00\xa0"),  # telephone event
    (13, b"\x20"),  # comfort noise
    (96, bytes(500)),  # another codec
    (111, b""),  # padding only
])  # fmt: skip
def test_what_is_no_speech_is_no_loss(odd):
    kind, payload = odd
    arrivals, number = [], 0
    for n, data in enumerate(coded(20)):
        arrivals.append((n * 0.02, rtp.build(number, 960 * n, SSRC, data)))
        number += 1
        if n % 10 == 5:
            for _ in range(2):
                datagram = rtp.build(number, 960 * n, SSRC, payload, kind)
                if not payload:
                    datagram = bytes([datagram[0] | 0x20]) + datagram[1:] + bytes(99) + b"\x64"
                arrivals.append((n * 0.02, datagram))
                number += 1
    ear = Ear()
    _, sources = ear.play(arrivals, 2.0)
    packets = ear.packets
    assert packets["sent"] == packets["arrived"] == number and packets["missing"] == packets["bad_timestamp"] == 0
    assert packets["not_opus"] == 20 and packets["received"] == 100
    assert packets["expected"] == len(sources) and set(sources) == {"opus"}


@pytest.mark.parametrize("types", [None, PayloadTypes(frozenset([111]), frozenset([63]))])
def test_redundant_blocks_replace_what_was_lost(types):
    packets = coded(20)
    arrivals = []
    for n, data in enumerate(packets):
        block = bytes([111]) + data
        if n:
            back = packets[n - 1]
            head = 0x80000000 | 111 << 24 | 960 << 10 | len(back)
            block = head.to_bytes(4, "big") + bytes([111]) + back + data
        if n not in (30, 50, 51, 70):
            arrivals.append((n * 0.02, rtp.build(n, 960 * n, SSRC, block, 63)))
    ear = Ear(types=types)
    _, sources = ear.play(arrivals, 2.0)
    assert ear.packets["missing"] == 4 and ear.packets["not_opus"] == 0
    assert sources.count("opus") == len(sources) - 1 and ear.packets["lost"] == 1  # 50: its only copy was lost as well
    assert ear.receiver.payload_type == 111


def test_the_agreed_payload_type_is_the_only_one():
    packets = coded(20, 1.0)
    ear = Ear(types=PayloadTypes(frozenset([96])))
    video = sent(packets, 20, first=0, stamp=0)
    ear.play(sent(packets, 20, first=50, stamp=48000, kind=96, start=1.0) + video, 2.0)
    assert ear.packets["received"] == 50 and ear.packets["not_opus"] == 50


def test_the_payload_type_may_change_when_nothing_was_agreed():
    packets = coded(20)
    ear = Ear()
    arrivals = sent(packets[:50], 20, 0, 0, 96) + sent(packets[50:], 20, 50, 48000, 120, 1.0)
    _, sources = ear.play(arrivals, 2.0)
    assert ear.receiver.payload_type == 120 and sources.count("opus") >= len(sources) - 2


def test_timestamps_that_stand_still_in_a_pause_lose_no_speech():
    packets = coded(20)
    arrivals = sent(packets[:40], 20, 0, 0)
    for n, data in enumerate(packets[40:]):
        arrivals.append((3.0 + n * 0.02, rtp.build(40 + n, 960 * (40 + n), SSRC, data, marker=n == 0)))
    ear = Ear()
    _, sources = ear.play(arrivals, 4.5)
    assert sources.count("opus") == 100 and ear.packets["late"] == ear.packets["missing"] == 0


def test_noise_looks_encrypted_and_opus_does_not():
    rng = random.Random(7)
    noise = [rng.randbytes(70) for _ in range(100)]
    mixed = [data for pair in zip(coded(20, 1.0), coded(10, 0.5), strict=True) for data in pair]
    for packets, encrypted in ((noise, True), (coded(20), False), (mixed, False), (coded(60), False)):
        ear = Ear()
        ear.play([(n * 0.02, rtp.build(n, 960 * n, SSRC, data)) for n, data in enumerate(packets)], 1.0)
        assert bool(ear.packets.get("encrypted")) == encrypted


@pytest.mark.parametrize("lost", [0, 2])
@pytest.mark.parametrize("marker", [False, True])
def test_a_pause_without_timestamps_and_marker_loses_no_speech(lost, marker):
    """marker: of every packet, so that it says nothing. lost: packets at the end of the pause."""
    packets = coded(20)
    arrivals = [(n * 0.02, rtp.build(n, 960 * n, SSRC, data, marker=marker)) for n, data in enumerate(packets[:40])]
    for n, data in enumerate(packets[40:]):
        if n >= lost:
            arrivals.append((3.0 + n * 0.021, rtp.build(40 + n, 960 * (40 + n), SSRC, data, marker=marker)))
    ear = Ear()
    _, sources = ear.play(arrivals, 4.8)
    assert sources.count("opus") == 100 - lost and ear.packets["late"] == 0 and ear.packets["missing"] == lost


def test_packets_that_a_network_held_back_are_late_and_the_next_ones_are_not():
    packets = coded(20)
    arrivals = []
    for n, data in enumerate(packets):
        arrivals.append((max(n * 0.02, 1.2 if n >= 40 else 0.0), rtp.build(n, 960 * n, SSRC, data)))
    ear = Ear()
    _, sources = ear.play(arrivals, 2.5)
    assert ear.packets["resyncs"] == 0 and ear.packets["missing"] == 0
    assert 5 <= ear.packets["late"] <= 12 and sources.count("opus") >= 100 - 12


def test_a_sender_that_marks_every_packet_and_stalls_is_not_pausing():
    packets = coded(20)
    arrivals = []
    for n, data in enumerate(packets):
        when = n * 0.02 if not 40 <= n < 60 else 1.2
        arrivals.append((when, rtp.build(n, 960 * n, SSRC, data, marker=True)))
    ear = Ear(playout_ms=500)
    _, sources = ear.play(arrivals, 2.5)
    assert sources.count("opus") == 100


def test_a_packet_far_ahead_is_believed_when_another_one_follows():
    packets = coded(20)
    arrivals = sent(packets, 20, 0, 0)
    forged = [(0.5 + n / 7, rtp.build(5000 * n + 900, 960 * (900 + 99 * n), SSRC, packets[3])) for n in range(8)]
    ear = Ear()
    _, sources = ear.play(arrivals + forged, 2.0)
    packets_ = ear.packets
    assert set(sources) == {"opus"} and packets_["sent"] == packets_["arrived"] == 100
    assert packets_["restarts"] == packets_["beyond"] == packets_["resyncs"] == 0


def test_a_blackout_of_thirty_seconds_is_bridged_and_the_books_are_complete():
    packets = coded(20, 1.0)
    arrivals = sent(packets, 20, 65000, 0) + sent(packets, 20, 65000 + 1500, 960 * 1500, start=30.0)
    ear = Ear()
    ear.play(arrivals, 31.3)
    assert ear.packets["arrived"] == 100 and ear.packets["sent"] == 1550
    assert ear.receiver.report()["sources"]["opus"] == 100


@pytest.mark.parametrize("ms", [10, 20, 60])
def test_seventy_percent_loss_reordering_and_duplicates_keep_the_books(ms):
    packets = coded(ms, 6.0)
    dice = random.Random(ms)
    arrivals, kept = [], {}  # number to time of arrival
    for n, (when, datagram) in enumerate(sent(packets, ms)):
        if n == 0 or n == len(packets) - 1 or dice.random() >= 0.7:
            copies = [when + dice.random() * 0.18]
            if dice.random() < 0.3:
                copies.append(when + dice.random() * 0.18)
            kept[n] = min(copies)
            arrivals += [(arrival, datagram) for arrival in copies]
    ear = Ear(playout_ms=300)
    _, sources = ear.play(arrivals, 6.6)
    packets_ = ear.packets
    assert packets_["arrived"] == len(kept) and packets_["late"] == 0
    first = min(kept, key=lambda n: kept[n])
    assert packets_["sent"] >= len(packets) - first and packets_["missing"] == packets_["sent"] - len(kept)
    assert packets_["expected"] >= sources.count("opus") > 0


def test_pieces_cover_a_packet_once():
    for ticks in range(120, 5761, 120):
        for offset in range(0, 960, 120):
            covered = []
            for after, period in cut(b"x", ticks, offset):
                if isinstance(period, Pieces):
                    for piece in period.pieces:
                        covered += range(320 * after + piece.at, 320 * after + piece.at + piece.stop - piece.start)
                else:
                    covered += range(320 * after, 320 * after + 320)
            assert covered == list(range(offset // 3, (offset + ticks) // 3))
