# SPDX-License-Identifier: BSD-2-Clause
"""Every method on real speech through the real pipeline: what it plays, what it costs."""

import numpy as np
import pytest
from evaluate_fakes import SPEECH

from dredge_device import rtp
from dredge_host.evaluation.material.traces import AFTER_THE_END, recorded_trace
from dredge_host.evaluation.methods.methods import DEFAULT_METHODS, METHODS, MeteredSender, known
from dredge_host.evaluation.methods.mute import MuteReceiver
from dredge_host.evaluation.running.cell import send
from dredge_host.sending.sender import PARTS, Packet, Split

PCM = SPEECH[:16000]
COUNT = 51 + AFTER_THE_END
SINGLE = recorded_trace("single", [k in (10, 20, 30) for k in range(51)])
BURST = recorded_trace("burst", [20 <= k < 26 for k in range(51)])
LOST_IN_BURST = slice(20 * 320 - 104, 26 * 320 - 104)


@pytest.fixture(scope="module")
def runs():
    return {method: send(PCM, method, BURST, 24000) for method in METHODS}


def test_the_losses_are_the_same_for_all_but_the_lossless(runs):
    for method, (played, cell) in runs.items():
        lost = 0 if METHODS[method].lossless else 6
        assert sum(played.trace) == lost and len(played.pcm) == len(PCM)
        assert cell["longest_burst_ms"] == 20 * lost and sum(cell["frames"].values()) == COUNT


def test_what_the_receiver_made_of_the_burst(runs):
    frames = {method: {k: v for k, v in cell["frames"].items() if v} for method, (_, cell) in runs.items()}
    assert frames["clean"] == {"opus": 54}
    assert frames["silence"] == {"opus": 48, "silence": 6}
    assert frames["opus"] == {"opus": 48, "conceal": 6}
    assert frames["lbrr"] == {"opus": 48, "conceal": 5, "lbrr": 1}
    assert frames["red"] == {"opus": 50, "conceal": 4}  # the two before the end of the burst came as copies
    assert frames["plc"] == {"opus": 48, "plc": 6}
    assert frames["dred"] == {"opus": 48, "dred": 6}
    assert frames["dred_lbrr"] == {"opus": 48, "dred": 5, "lbrr": 1}
    assert frames["dred_100"]["dred"] < frames["dred_200"]["dred"] == frames["dred_500"]["dred"] == 6


def test_what_is_lost_at_the_end_of_a_clip_is_lost_in_a_stream():
    end = recorded_trace("end", [k >= 46 for k in range(53)])
    played, cell = send(PCM, "dred", end, 24000)
    assert sum(played.trace) == 5 and not any(played.trace[51:]) and len(played.pcm) == len(PCM)
    assert {k: v for k, v in cell["frames"].items() if v} == {"opus": 49, "dred": 5}


def test_where_the_bits_go(runs):
    rates = {method: cell["bitrate_bps"] for method, (_, cell) in runs.items()}
    for method, split in rates.items():
        assert set(split) == {*PARTS, "red"} and split["headers"] == 16000.0
        assert (split["lbrr"] > 0) == METHODS[method].lbrr
        assert (split["dred"] > 0) == (METHODS[method].redundancy_s > 0)
        assert (split["red"] > 0) == (method == "red")
        assert runs[method][1]["bitrate_total_bps"] == pytest.approx(sum(split.values()), abs=0.1)
    assert rates["red"]["red"] == pytest.approx(2 * rates["red"]["speech"], rel=0.1)
    assert rates["dred_100"]["dred"] < rates["dred_200"]["dred"] < rates["dred_500"]["dred"] < rates["dred"]["dred"]
    assert rates["silence"]["speech"] == rates["opus"]["speech"] == rates["red"]["speech"]


def test_both_sides_cost_time(runs):
    for _, cell in runs.values():
        assert cell["cpu_us_per_packet"]["send"] > 0 and cell["cpu_us_per_packet"]["receive"] > 0


def test_silence_is_silent_where_packets_are_lost_and_opus_elsewhere(runs):
    mute, clean = runs["silence"][0].pcm, runs["clean"][0].pcm
    assert not mute[LOST_IN_BURST].any()
    before = slice(0, LOST_IN_BURST.start)
    np.testing.assert_array_equal(mute[before], clean[before])
    assert np.abs(mute[LOST_IN_BURST.stop :].astype(int)).max() > 100


def test_red_gives_single_losses_back_exactly():
    clean, red = (send(PCM, method, SINGLE, 24000)[0].pcm for method in ("clean", "red"))
    np.testing.assert_array_equal(red, clean)


def test_known_methods():
    assert len(DEFAULT_METHODS) == 8 and known(DEFAULT_METHODS) == DEFAULT_METHODS
    for method in METHODS.values():
        assert (method.redundancy_s > 0) == (method.conceal == "dred")


class Fixed:
    """A sender of packets whose size and split are given; one period is silent."""

    lookahead, ssrc, first_sequence = 104, 1, 0

    def push(self, pcm):
        if pcm is None:
            return Packet(b"", Split(0, 0, 0, 0), 1)
        return Packet(bytes(12 + 50), Split(30, 5, 10, 40), 0)


def test_the_meter_counts_bytes_and_time():
    ticks = iter([0, 3_000, 10_000, 11_000])
    meter = MeteredSender(Fixed(), cpu_clock=lambda: next(ticks))
    meter.push("speech")
    meter.push(None)
    assert meter.cpu_us() == 2.0
    assert meter.rates() == {"speech": 6000.0, "lbrr": 1000.0, "dred": 2000.0, "headers": 8000.0, "red": 1000.0}


def test_the_mute_receiver_takes_numbers_around_the_corner_and_drops_what_it_cannot_read():
    from dredge_kernels.opus import OpusEncoder

    encoder = OpusEncoder()
    payloads = [encoder.encode(PCM[k * 320 : (k + 1) * 320]) for k in range(4)]
    receiver = MuteReceiver()
    receiver.announce(1, 65534)
    for datagram in (b"", b"noise", rtp.build(65533, 0, 1, payloads[0]), rtp.build(65534, 0, 1, payloads[0])):
        receiver.push(datagram, 0.0)
    receiver.push(rtp.build(0, 0, 1, payloads[2]), 0.0)
    receiver.push(rtp.build(1, 0, 1, b"\xff\xff\xff"), 0.0)
    heard = [receiver.pull() for _ in range(4)]
    assert [(h.packet, h.source) for h in heard] == [
        (65534, "opus"), (65535, "silence"), (65536, "opus"), (65537, "silence")
    ]  # fmt: skip
    assert all(h.pcm.shape == (320,) and h.pcm.dtype == np.int16 for h in heard)
