# SPDX-License-Identifier: BSD-2-Clause
"""One decision per period: which source, from which packet, and why."""

import json

import numpy as np
import pytest
from device_fakes import SSRC, Bench, fake_parts, packet
from hypothesis import given
from hypothesis import strategies as st

from dredge_device import rtp
from dredge_device.pi.quality import AFTER, FIRST, NEXT, PLAIN
from dredge_device.pi.receiver import Receiver


def sources(spoken):
    return [played.source for played in spoken]


def test_clean_stream_is_decoded_after_the_delay():
    bench = Bench(playout_ms=200)
    before = [bench.pull() for _ in range(3)]
    assert {(p.source, p.packet) for p in before} == {("silence", None)}
    assert {p.reason for p in before} == {"before the stream"}
    spoken = bench.run(20)
    assert [p.packet for p in spoken] == list(range(20))
    assert set(sources(spoken)) == {"opus"}
    assert {p.delay_us for p in spoken} == {200_000}
    assert [int(p.pcm[200]) for p in spoken] == [1000 + n for n in range(20)]


def test_gap_is_filled_from_the_earliest_packet_that_covers_it():
    bench = Bench()
    spoken = bench.run(30, lost=range(10, 15))
    assert sources(spoken)[9:16] == ["opus"] + ["dred"] * 5 + ["opus"]
    asked = bench.parts.dred.asked
    assert [number for number, _ in asked] == [15] * 6  # five for the gap, one for the seam
    assert [frames for _, frames in asked] == [12, 10, 8, 6, 4, 2]
    assert bench.parts.dred.parses == [15]


def test_rows_given_to_the_vocoder_are_those_of_the_lost_packet():
    bench = Bench()
    bench.run(30, lost=(10, 11))
    rows = bench.parts.vocoder.rows
    assert rows[0][2:, 0].tolist() == [20, 21, 22, 23]
    assert rows[1][:, 0].tolist() == [20, 21, 22, 23, 24, 25]
    assert rows[2][:, 0].tolist() == [22, 23, 24, 25, 25]  # the seam: frame 24, the end repeated


def test_samples_played_are_those_of_the_right_frames():
    bench = Bench()
    spoken = bench.run(30, lost=(10, 11))
    assert spoken[10].pcm.tolist() == [20] * 160 + [21] * 160
    assert spoken[11].pcm.tolist() == [22] * 160 + [23] * 160


def test_vocoder_is_primed_once_per_gap_with_what_was_played():
    bench = Bench()
    spoken = bench.run(40, lost=(10, 11, 12, 20))
    begun = bench.parts.vocoder.begun
    assert len(begun) == 2
    pcm, rows = begun[0]
    assert (pcm == np.concatenate((spoken[8].pcm, spoken[9].pcm))).all()
    # The last frame was completed with the decoder's own extrapolation (77).
    assert rows[-1, 0] == pytest.approx((1009 * 80 + 77 * 80) / 160)


def test_decoder_hears_of_every_missing_frame():
    bench = Bench()
    bench.run(20, lost=(5, 6, 7))
    assert bench.parts.decoder.calls[5:9] == [("conceal",)] * 3 + [("decode", 8)]


def test_last_lost_packet_comes_from_lbrr():
    bench = Bench()
    spoken = bench.run(30, lost=(10, 11, 12), flags={13: b"LD"})
    assert sources(spoken)[9:14] == ["opus", "dred", "dred", "lbrr", "opus"]
    calls = bench.parts.decoder.calls
    assert calls[10:14] == [("conceal",), ("conceal",), ("fec", 13), ("decode", 13)]
    assert int(spoken[12].pcm[200]) == 2012 and int(spoken[13].pcm[0]) == 1013
    assert len(bench.parts.vocoder.rows) == 3  # two packets and the seam into LBRR
    assert bench.parts.vocoder.rows[2][2, 0] == 24  # whose rows come from the packet with LBRR


def test_lbrr_alone_needs_no_vocoder():
    bench = Bench()
    spoken = bench.run(30, lost=(10,), flags={11: b"LD"})
    assert spoken[10].source == "lbrr" and (spoken[10].pcm == 2010).all()
    assert not bench.parts.vocoder.begun


def test_a_loss_that_the_next_packet_repeats_is_none_to_whoever_judges_its_cost():
    """It costs what a received packet costs: taken for a gap, it would teach the governor that gaps cost nothing."""
    bench, kinds = Bench(), {}
    flags = {11: b"LD", 23: b"LD"}
    for step in range(45):
        if step < 30 and step not in (10, 20, 21, 22):
            bench.send(step, flags=flags.get(step, b"D"))
        kind = bench.receiver.coming()
        kinds[bench.pull().packet] = kind
    assert [kinds[n] for n in (9, 10, 11)] == [PLAIN, PLAIN, PLAIN]
    assert [kinds[n] for n in (20, 21, 22, 23)] == [FIRST, NEXT, AFTER, PLAIN]


def test_lbrr_can_be_switched_off():
    spoken = Bench(use_lbrr=False).run(30, lost=(10,), flags={11: b"LD"})
    assert spoken[10].source == "dred"


def test_seam_fades_from_the_vocoder_into_the_real_packet():
    bench = Bench()
    spoken = bench.run(30, lost=(10, 11))
    seam = spoken[12].pcm.astype(int)
    assert abs(seam[0] - 24) < 5 and (seam[160:] == 1012).all()
    assert np.abs(np.diff(seam)).max() < 20


def test_prediction_where_no_packet_covers_the_gap():
    """Redundancy of two packets: the beginning of a longer gap is predicted, the rest is DRED."""
    bench = Bench(span=6)
    spoken = bench.run(30, lost=range(10, 15))
    assert sources(spoken)[10:15] == ["plc"] * 3 + ["dred"] * 2
    assert {p.reason for p in spoken[10:13]} == {"gap longer than redundancy"}
    assert len(bench.parts.vocoder.begun) == 1  # it goes on across the switch


def test_later_packet_helps_when_the_next_one_cannot():
    bench = Bench()
    spoken = bench.run(30, lost=(10,), flags={11: b"."})
    assert spoken[10].source == "dred" and bench.parts.dred.asked[0] == (12, 6)


@pytest.mark.parametrize(
    ("flag", "reason"), [(b".", "no DRED in packet"), (b"X", "damaged payload")]
)
def test_reasons(flag, reason):
    bench = Bench()
    spoken = bench.run(30, lost=(10,), flags={n: flag for n in range(30)})
    assert (spoken[10].source, spoken[10].reason) == ("plc", reason)
    assert bench.receiver.report()["reasons"] == {reason: 1}


def test_damaged_payload_is_counted_once_and_the_next_packet_is_used():
    bench = Bench()
    spoken = bench.run(30, lost=(10, 11), flags={12: b"X"})
    assert sources(spoken)[10:12] == ["dred", "dred"]
    counts = {"payloads_parsed": 1, "bytes_parsed": len(packet(0)), "payloads_damaged": 1}
    assert bench.receiver.report()["dred"] == counts


def test_features_that_are_no_numbers_are_refused():
    parts = fake_parts()
    good = parts.dred.features
    parts.dred.features = lambda parsed, frames: good(parsed, frames) * np.float32(np.nan)
    bench = Bench(parts=parts)
    spoken = bench.run(30, lost=(10,))
    assert (spoken[10].source, spoken[10].reason) == ("plc", "damaged payload")


def test_no_later_packet_within_a_short_delay():
    spoken = Bench(playout_ms=20).run(30, lost=range(10, 15))
    assert sources(spoken)[10:15] == ["plc"] * 4 + ["dred"]
    assert {p.reason for p in spoken[10:14]} == {"no later packet"}


def test_payload_offset_moves_the_rows():
    """Offset 0: the newest coded frame ends where the packet begins (a silent tail)."""
    bench = Bench(offset=0)
    spoken = bench.run(30, lost=(10,))
    assert spoken[10].source == "dred"
    assert bench.parts.dred.asked[0] == (11, 2)
    assert bench.parts.vocoder.rows[0][2:, 0].tolist() == [20, 21, 21, 21]


def test_predictor_learns_every_frame_once_in_order_when_it_has_to_go_on():
    bench = Bench()
    flags = {n: b"." for n in range(9, 13)}  # nothing describes packet 8
    bench.run(12, lost=(5, 6, 8), flags=flags, pulls=22)
    learnt = bench.parts.plc.learnt
    assert len(learnt) == 2 * 8  # the frames up to the one that is guessed, at most 160 ms of them
    assert learnt[10:14] == [10, 11, 12, 13]


def test_described_gaps_leave_the_predictor_alone():
    bench = Bench()
    bench.run(12, lost=(5, 6), pulls=22)
    assert bench.parts.plc.learnt == []


def test_plc_mode_never_asks_for_dred():
    bench = Bench(conceal="plc")
    assert bench.parts.dred is None
    spoken = bench.run(30, lost=(10, 11))
    assert sources(spoken)[10:12] == ["plc", "plc"]
    assert spoken[10].reason == "concealment without DRED"
    assert [r[2, 0] for r in bench.parts.vocoder.rows[:2]] == [-1, -3]


def test_opus_mode_uses_the_classic_concealment():
    bench = Bench(conceal="opus")
    spoken = bench.run(30, lost=(10, 11), flags={12: b"L"})
    assert sources(spoken)[9:13] == ["opus", "conceal", "lbrr", "opus"]
    assert (spoken[10].pcm == 77).all() and (spoken[12].pcm == 1012).all()


def test_only_the_background_is_left_after_half_a_second_and_speech_fades_in():
    """These parts know of no background: it is silence."""
    bench = Bench(playout_ms=20, conceal="plc")
    spoken = bench.run(60, lost=range(10, 50))
    plc = [p for p in spoken if p.source == "plc"]
    assert len(plc) == 40
    assert plc[23].pcm.any() and abs(int(plc[24].pcm[-1])) <= 1
    assert not any(p.pcm.any() for p in plc[25:])
    assert len(bench.parts.vocoder.rows) == 25
    back = spoken[50].pcm.astype(int)
    assert abs(back[0]) < 10 and (back[160:] == 1050).all()


def test_end_of_stream_dies_away():
    bench = Bench()
    bench.run(10, pulls=12)
    bench.receiver.finish(9)
    rest = [bench.pull() for _ in range(12)]
    assert [p.packet for p in rest[:8]] == list(range(2, 10))
    assert abs(int(rest[8].pcm[0]) - 1009) < 5 and not rest[8].pcm[80:].any()
    assert rest[8].reason == "stream ended" and bench.receiver.ended


def test_losses_after_the_last_packet_are_not_counted_until_it_is_known():
    bench = Bench()
    bench.run(10, pulls=26)
    assert bench.receiver.report()["packets"]["lost"] == 0
    bench.receiver.finish(12)  # three more were sent, three periods were no loss
    bench.pull()
    report = bench.receiver.report()
    assert report["packets"]["lost"] == 3 and report["packets"]["expected"] == 13
    assert report["bursts"] == {"3": 1}


def test_announced_start_makes_first_losses_count():
    bench = Bench()
    bench.receiver.announce(SSRC, 65534)
    bench.now_us = 40_000
    for n in range(8):
        bench.send(n)
        bench.pull()
    spoken = [bench.pull() for _ in range(8)]
    numbered = [p.packet for p in spoken if p.packet is not None]
    assert numbered[:3] == [-2, -1, 0]
    assert bench.receiver.report()["packets"]["lost"] == 2


def test_new_sender_takes_over_after_two_packets():
    bench = Bench(playout_ms=40)
    bench.run(10, pulls=10)
    for n in range(300, 310):
        bench.send(n, ssrc=99)
        played = bench.pull()
        if n == 301:
            assert played.reason == "buffering anew" and not played.pcm[80:].any()
    assert played.source == "opus" and bench.receiver.ssrc == 99
    assert ("reset",) in bench.parts.decoder.calls
    assert ("decode", 300) in bench.parts.decoder.calls  # the packet on trial is not lost
    assert bench.receiver.report()["packets"]["restarts"] == 1


def test_one_stray_packet_does_not_disturb():
    bench = Bench()
    bench.run(5, pulls=5)
    bench.send(700, ssrc=5)
    spoken = [bench.pull() for _ in range(3)]
    assert bench.receiver.ssrc == SSRC and len(spoken) == 3
    assert bench.receiver.report()["packets"]["on_trial"] == 1


def test_packet_the_decoder_refuses_is_treated_as_lost():
    bench = Bench()
    spoken = bench.run(20, flags={7: b"!D"})
    assert spoken[7].source == "dred"
    assert bench.receiver.report()["packets"]["undecodable"] == 1


@pytest.mark.parametrize(
    ("datagram", "counter"),
    [
        (b"", "malformed"),
        (b"\x80\xc8\0\1" + bytes(8), "rtcp"),
        (rtp.build(0, 0, 1, b"garbage"), "not_opus"),
        (rtp.build(0, 0, 1, b""), "not_opus"),
        (rtp.build(0, 0, 1, packet(0), payload_type=0), "not_opus"),
    ],
)
def test_other_datagrams_are_counted(datagram, counter):
    bench = Bench()
    bench.receiver.push(datagram, 0)
    packets = bench.receiver.report()["packets"]
    assert packets[counter] == 1 and packets["received"] == 0


def test_duplicates_late_and_reordered_packets_are_reported():
    bench = Bench(playout_ms=40)
    for n in (0, 2, 1, 1):
        bench.send(n)
    for _ in range(6):
        bench.pull()
    bench.send(3)
    packets = bench.receiver.report()["packets"]
    assert (packets["duplicate"], packets["late"], packets["reordered"]) == (1, 1, 1)


def test_report_is_plain_json_and_adds_up():
    bench = Bench(playout_ms=100, span=8)
    bench.run(60, lost=[*range(10, 20), 30, 31, 40], flags={41: b"LD"})
    report = json.loads(json.dumps(bench.receiver.report(), allow_nan=False))
    assert report["packets"]["lost"] == 13 and report["packets"]["expected"] == 60
    assert report["bursts"] == {"1": 1, "2": 1, "10": 1} and report["burst_longest"] == 10
    assert report["loss_pct"] == round(100 * 13 / 60, 3)
    assert sum(report["sources"].values()) == 65
    assert report["sources"]["silence"] == 5 and report["sources"]["lbrr"] == 1
    assert report["delay_ms"]["mean"] == report["delay_ms"]["max"] == 100
    assert report["budget"]["frames"] == 65


def test_cpu_time_is_measured_per_stage_with_the_given_clock():
    ticks = iter(range(0, 10**12, 1_000_000))  # every look at the clock costs a millisecond
    receiver = Receiver(
        0, "opus", clock_us=lambda: 0, cpu_clock=lambda: next(ticks), parts=fake_parts("opus")
    )
    receiver.push(rtp.build(0, 0, 1, packet(0)), 0)
    assert receiver.pull().cpu_us == 3000
    stages = receiver.report()["budget"]["stages"]
    assert stages["opus"]["frames"] == 1 and stages["opus"]["max_us"] == 1000


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="conceal is 'magic', expected one of dred, plc, opus"):
        Receiver(100, "magic")
    with pytest.raises(ValueError, match="playout of 9000 ms"):
        Receiver(9000, parts=fake_parts())


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_datagrams_leave_the_receiver_working(datagrams):
    bench = Bench(playout_ms=20)
    for datagram in datagrams:
        bench.receiver.push(datagram, bench.now_us)
        bench.receiver.push(b"\x80\x6f" + datagram, bench.now_us)
        assert bench.pull().pcm.shape == (320,)
    json.dumps(bench.receiver.report())


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 3),  # how the packet travels: on time, lost, twice, two periods late
        st.sampled_from([b"D", b"L", b"LD", b".", b"X", b"!D"]),
    ),
    min_size=1,
    max_size=80,
)


@given(EVENTS, st.integers(0, 6), st.sampled_from(["dred", "plc", "opus"]), st.integers(4, 40))
def test_any_loss_gives_one_decision_per_period(events, delay, conceal, span):
    bench = Bench(20 * delay, conceal, span=span)
    parked, played = [], []
    for number, (fate, flags) in enumerate(events):
        for _ in range({0: 1, 1: 0, 2: 2, 3: 0}[fate]):
            bench.send(number, flags=flags)
        if fate == 3:
            parked.append((number, flags))
        elif parked and number - parked[0][0] >= 2:
            late, late_flags = parked.pop(0)
            bench.send(late, flags=late_flags)
        played.append(bench.pull())
    spoken = [p.packet for p in played if p.packet is not None]
    if bench.receiver.report()["packets"]["resyncs"] == 0 and spoken:
        assert spoken == list(range(spoken[0], spoken[0] + len(spoken)))
    assert all(p.pcm.shape == (320,) and p.pcm.dtype == np.int16 for p in played)
    allowed = {"dred": {"opus", "lbrr", "dred", "plc", "silence"}, "plc": {"opus", "lbrr", "plc",
               "silence"}, "opus": {"opus", "lbrr", "conceal", "silence"}}[conceal]  # fmt: skip
    assert {p.source for p in played} <= allowed
