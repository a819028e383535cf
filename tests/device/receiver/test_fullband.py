# SPDX-License-Identifier: BSD-2-Clause
"""48 kHz and stereo output: real fullband and stereo packets of libopus, gaps, changes of bandwidth, time stretch."""

import numpy as np
import pytest
from fullband_streams import AUDIO, FULLBAND, RATE, VOIP, WIDEBAND, Coder, reference, sound, stream

from dredge_device import rtp
from dredge_device.pi.concealment.time_stretch import TimeStretch
from dredge_device.pi.fullband import companion
from dredge_device.pi.fullband.fullband import Fullband
from dredge_device.pi.fullband.side_queue import SideQueue
from dredge_device.pi.output.interface import SPEECH, Format
from dredge_device.pi.receiver import Receiver
from dredge_device.pi.stage_timer import StageTimer

DELAY = 63  # samples at 48 kHz: the filter that joins both
WIDE, STEREO = Format(48000, 1), Format(48000, 2)


def play(packets, form, lost=(), conceal="opus"):
    """What is heard of the packets, int16[n, channels], without the start of playout; and the sources."""
    now_us = [0]
    receiver = Receiver(100, conceal, clock_us=lambda: now_us[0], form=form)
    heard, sources = [], []
    for number in range(len(packets) + 6):
        now_us[0] = number * 20_000
        if number < len(packets) and number not in lost:
            receiver.push(rtp.build(number, number * 960, 7, packets[number]), now_us[0])
        played = receiver.pull()
        if played.of_stream and len(heard) < len(packets):
            heard.append(played.pcm.reshape(-1, form.channels))
            sources.append(played.source)
    return np.concatenate(heard), sources


def likeness_db(heard, wanted):
    """Signal over difference after the first 40 ms, in dB."""
    count = min(len(heard), len(wanted))
    skip = count // 20
    heard, wanted = heard[skip:count].astype(float), wanted[skip:count].astype(float)
    return 10 * np.log10(np.sum(wanted**2) / max(1.0, np.sum((heard - wanted) ** 2)))


def above(pcm, edge_hz=9000):
    """The part of one channel above this frequency."""
    spectrum = np.fft.rfft(pcm.astype(float))
    spectrum[: int(edge_hz * len(pcm) / RATE)] = 0
    return np.fft.irfft(spectrum, len(pcm))


def envelope(signal, milliseconds=2):
    size = RATE * milliseconds // 1000
    pieces = signal[: len(signal) // size * size].reshape(-1, size)
    return np.sqrt(np.mean(pieces**2, axis=1))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("form", [WIDE, STEREO, Format(16000, 2)], ids=str)
def test_received_packets_sound_as_libopus_decodes_them(channels, form):
    packets = stream(sound(1.5, channels), Coder(channels))
    assert packets[5][0] >> 3 == 31 and bool(packets[5][0] & 4) == (channels == 2)
    heard, _ = play(packets, form)
    later = DELAY if form.rate == RATE else 0
    assert likeness_db(heard[later:], reference(packets, form.rate, form.channels)) > 60


def test_hybrid_speech_keeps_its_upper_band():
    packets = stream(sound(1.5), Coder(application=VOIP, bitrate=32000).voice())
    assert 12 <= packets[20][0] >> 3 < 16
    heard, _ = play(packets, WIDE)
    wanted, found = above(reference(packets)[:, 0]), above(heard[DELAY:, 0])
    count = min(len(wanted), len(found))
    assert likeness_db(found[:count], wanted[:count]) > 25


def test_speech_that_holds_no_more_is_not_decoded_twice(monkeypatch):
    decoded = []
    monkeypatch.setattr(companion.Companion, "_shaped", lambda self, pcm: decoded.append(1) or pcm.reshape(-1, 1))
    packets = stream(sound(1), Coder(application=VOIP, bitrate=20000, bandwidth=WIDEBAND).voice())
    heard, _ = play(packets, WIDE)
    narrow, _ = play(packets, SPEECH)
    assert not decoded and len(heard) == 3 * len(narrow)
    assert np.max(envelope(above(heard[:, 0]))[20:]) < 20


@pytest.mark.parametrize("form", [WIDE, STEREO], ids=str)
def test_a_gap_is_played_at_16_khz_and_both_its_ends_are_smooth(form):
    channels = form.channels
    packets = stream(sound(2, channels), Coder(channels))
    lost = range(40, 52)
    heard, sources = play(packets, form, lost)
    narrow, _ = play(packets, SPEECH, lost)
    assert sources.count("conceal") == len(lost)
    # Below 8 kHz it is the 16 kHz output, in the gap and on both sides of it.
    mean = heard[DELAY:].astype(float).mean(axis=1)
    spectrum = np.fft.rfft(mean)
    spectrum[int(7000 * len(mean) / RATE) :] = 0
    low = np.fft.irfft(spectrum, len(mean))[::3]
    wanted = np.fft.rfft(narrow[: len(low), 0].astype(float))
    wanted[int(7000 * len(low) / 16000) :] = 0
    assert likeness_db(low, np.fft.irfft(wanted, len(low))) > 40
    # Above, nothing: it fades out, stays out, and fades in, without a click.
    edges = envelope(above(heard[DELAY:, 0]))
    steady = np.max(envelope(above(reference(packets, RATE, channels)[:, 0])))
    assert np.max(edges[422:518]) < 0.02 * steady
    assert np.max(edges[395:535]) < 1.3 * steady


def test_changes_of_bandwidth_and_channels_are_smooth():
    coder, pcm = Coder(2, AUDIO), sound(3, 2)
    packets = stream(pcm[:RATE], coder)
    coder.bandwidth(WIDEBAND)
    coder.channels(1)
    packets += stream(pcm[RATE : 2 * RATE], coder)
    coder.bandwidth(FULLBAND)
    coder.channels(2)
    packets += stream(pcm[2 * RATE :], coder)
    assert {packet[0] >> 3 for packet in packets} >= {31} and len({packet[0] for packet in packets}) >= 2
    heard, _ = play(packets, STEREO)
    wanted = reference(packets, RATE, 2)
    for channel in (0, 1):
        found, steady = envelope(above(heard[DELAY:, channel])), envelope(above(wanted[:, channel]))
        assert np.max(found[20:]) < 1.2 * np.max(steady[20:])
        assert np.max(found[560:960]) < 30  # the upper band is gone where the stream has none
        assert np.median(found[1100:1400]) > 0.8 * np.median(steady[1100:1400])


def test_what_goes_beside_the_speech_is_stretched_at_the_same_places():
    rng = np.random.default_rng(1)
    voice = np.rint(3000 * np.sin(np.arange(16000) * 2 * np.pi / 100)).astype(np.int16)
    beside = SideQueue(3, 1)
    stretch = TimeStretch(beside)
    changed = 0
    for number in range(40):
        piece = voice[number * 320 : (number + 1) * 320]
        stretch.push(piece)
        beside.push(np.repeat(piece, 3)[:, None])
        if number > 2:
            changed += bool(stretch.lengthen() if rng.random() < 0.6 else stretch.shorten())
            speech, other = stretch.pop(), beside.pop()
            assert np.max(np.abs(other[::3, 0].astype(int) - speech)) <= 1
    assert changed > 5


def test_a_new_sender_hears_nothing_of_the_old_one():
    loud, quiet = stream(sound(1), Coder()), stream(np.zeros(RATE, np.int16), Coder())
    now_us = [0]
    receiver = Receiver(60, "opus", clock_us=lambda: now_us[0], form=WIDE)
    heard = []
    for number in range(90):
        now_us[0] = number * 20_000
        ssrc, packet = (1, loud[number]) if number < 45 else (2, quiet[min(number - 45, 49)])
        receiver.push(rtp.build(number, number * 960, ssrc, packet), now_us[0])
        heard.append(receiver.pull().pcm)
    end = np.concatenate(heard[56:])
    assert np.max(np.abs(end.astype(int))) < 40


@pytest.mark.parametrize("form", [Format(44100, 1), Format(48000, 3)])
def test_other_formats_are_refused(form):
    with pytest.raises(ValueError, match="expected 16000 or 48000, 1 or 2"):
        Fullband(form, StageTimer(lambda: 0))
