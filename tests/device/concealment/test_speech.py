# SPDX-License-Identifier: BSD-2-Clause
"""Real Opus, real DRED and real models on real speech: alignment, seams, damage."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from device_fakes import FakePlc, FakeReader, FakeVocoder
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_device import rtp
from dredge_device.pi.concealment.history import CONTEXT_ROWS
from dredge_device.pi.factory import OpusPacketReader, Parts
from dredge_device.pi.input.periods import PeriodDecoder, PeriodReader
from dredge_device.pi.receiver import Receiver
from dredge_kernels import opus
from dredge_kernels.extensions import add_extension
from dredge_kernels.features import FeatureExtractor
from dredge_models.dred import DRED_EXTENSION_ID, DredDecoder, DredEncoder

CLIP = Path(__file__).parents[2] / "data" / "speech_short.flac"
SECONDS = 4
BURST = range(60, 75)


@pytest.fixture(scope="module")
def speech():
    pcm, rate = soundfile.read(CLIP, dtype="int16", frames=16000 * SECONDS)
    assert rate == 16000
    return pcm[: len(pcm) // 320 * 320].reshape(-1, 320)


@pytest.fixture(scope="module")
def sent(speech):
    """RTP datagrams with 1 s of redundancy, LBRR in the Opus packets."""
    encoder = opus.OpusEncoder(bitrate=32000, lbrr=True, loss_pct=20)
    history = DredEncoder(encoder.lookahead)
    datagrams = []
    for n, piece in enumerate(speech):
        data = encoder.encode(piece)
        history.push(piece)
        data = add_extension(data, DRED_EXTENSION_ID, history.payload(1.0))
        datagrams.append(rtp.build(n, 960 * n, 1, data))
    return datagrams


def listen(datagrams, lost=(), parts=None, conceal="dred", use_lbrr=False, playout_ms=400):
    """What a receiver plays of them, one Played per packet, and the receiver."""
    now_us = 0
    receiver = Receiver(playout_ms, conceal, use_lbrr, clock_us=lambda: now_us, parts=parts)
    receiver.announce(1, 0)
    spoken = []
    for step in range(len(datagrams) + playout_ms // 20):
        now_us = step * 20_000
        if step < len(datagrams) and step not in lost:
            receiver.push(datagrams[step], now_us)
        played = receiver.pull()
        if played.packet is not None:
            spoken.append(played)
    return spoken, receiver


def rms(pcm):
    return np.sqrt(np.mean(pcm.astype(float) ** 2))


def joined(spoken):
    return np.concatenate([played.pcm for played in spoken])


def dred_parts():
    """Everything real but vocoder and predictor, whose input is recorded."""
    return Parts(
        PeriodReader(OpusPacketReader()), PeriodDecoder(opus.OpusDecoder()), DredDecoder(), FakeVocoder(), FakePlc(),
        FeatureExtractor(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def clean(sent):
    """The stream without loss."""
    parts = Parts(OpusPacketReader(), opus.OpusDecoder())
    return joined(listen(sent, parts=parts, conceal="opus")[0])


def rows_of(pcm):
    """Feature row j describes frame j of pcm."""
    heard = np.concatenate((np.zeros(80, np.int16), pcm, np.zeros(80, np.int16)))
    return FeatureExtractor().process(heard)[1:]


def test_stream_without_loss_is_what_a_plain_decoder_plays(sent, clean):
    decoder = opus.OpusDecoder()
    plain = np.concatenate([decoder.decode(rtp.parse(data).payload) for data in sent])
    assert (clean == plain).all()
    spoken, receiver = listen(sent, parts=dred_parts())
    assert (joined(spoken) == plain).all()
    assert receiver.report()["dred"]["payloads_parsed"] == 0  # nothing lost, nothing parsed


def test_rows_from_dred_describe_the_lost_frames(sent, clean):
    """Cepstra given to the vocoder fit the true frames better than their neighbours."""
    parts = dred_parts()
    spoken, _ = listen(sent, BURST, parts)
    assert {spoken[n].source for n in BURST} == {"dred"}
    given = np.concatenate([rows[2:4] for rows in parts.vocoder.rows[: len(BURST)]])
    true = rows_of(clean)
    first = 2 * BURST[0]
    error = {
        shift: np.abs(given - true[first + shift : first + shift + len(given)])[:, :18].mean()
        for shift in (-2, -1, 0, 1, 2)
    }
    assert min(error, key=error.get) == 0, error


def test_rows_for_priming_describe_what_was_played(sent, clean):
    parts = dred_parts()
    listen(sent, BURST, parts)
    pcm, rows = parts.vocoder.begun[0]
    first = BURST[0]
    assert (pcm == clean[320 * first - 640 : 320 * first]).all()
    true = rows_of(clean)[2 * first - CONTEXT_ROWS : 2 * first]
    assert np.abs(rows[:-1] - true[:-1]).max() < 1e-4
    assert np.abs(rows[-1] - true[-1])[:18].mean() < 1.0  # completed with extrapolated speech


def test_extractor_is_aligned_again_after_the_gap(sent):
    """A second gap, a second later, is primed with the rows of what was really played."""
    parts = dred_parts()
    spoken, _ = listen(sent, (*range(30, 35), *range(100, 103)), parts)
    pcm, rows = parts.vocoder.begun[1]
    true = rows_of(joined(spoken))[200 - CONTEXT_ROWS : 200]
    assert (pcm == joined(spoken)[320 * 100 - 640 : 320 * 100]).all()
    assert np.abs(rows[:-1] - true[:-1])[:, :18].max() < 0.05


@pytest.mark.parametrize("use_lbrr", [False, True])
def test_sources_with_and_without_lbrr(sent, use_lbrr):
    spoken, receiver = listen(sent, BURST, dred_parts(), use_lbrr=use_lbrr)
    last = "lbrr" if use_lbrr else "dred"
    assert [spoken[n].source for n in BURST] == ["dred"] * 14 + [last]
    assert receiver.report()["sources"]["opus"] == len(sent) - len(BURST)


def test_lbrr_is_the_lost_speech(sent, clean):
    parts = Parts(OpusPacketReader(), opus.OpusDecoder())
    spoken, _ = listen(sent, (80, 120, 160), parts, "opus", use_lbrr=True)
    for n in (80, 120, 160):
        assert spoken[n].source == "lbrr"
    got = np.concatenate([spoken[n].pcm for n in (80, 120, 160)]).astype(float)
    true = np.concatenate([clean[320 * n : 320 * n + 320] for n in (80, 120, 160)]).astype(float)
    assert got @ true / np.sqrt((got @ got) * (true @ true)) > 0.6


@pytest.mark.parametrize("seed", range(6))
def test_damaged_payloads_never_stop_playing(sent, seed):
    """Random bytes behind a valid carrier and prefix: they parse as something or are refused."""
    random = np.random.default_rng(seed)
    damaged = []
    for n, data in enumerate(sent):
        packet = opus.OpusEncoder().encode(np.zeros(320, np.int16)) if n == 0 else None
        plain = packet or rtp.parse(data).payload
        body = random.bytes(int(random.integers(0, 80)))
        noise = add_extension(plain, DRED_EXTENSION_ID, b"D\xd1" + body) if n % 3 == 0 else plain
        damaged.append(rtp.build(n, 960 * n, 1, noise))
    spoken, receiver = listen(damaged, range(30, 60), dred_parts())
    assert len(spoken) == len(sent)
    assert all(np.isfinite(rows).all() for rows in receiver._concealer._parts.vocoder.rows)


@pytest.mark.parametrize("seed", range(4))
def test_flipped_bits_in_datagrams_never_stop_playing(sent, seed):
    random = np.random.default_rng(100 + seed)
    flipped = []
    for data in sent:
        raw = bytearray(data)
        for _ in range(int(random.integers(0, 4))):
            raw[int(random.integers(0, len(raw)))] ^= 1 << int(random.integers(0, 8))
        flipped.append(bytes(raw))
    spoken, receiver = listen(flipped, range(40, 50), dred_parts(), use_lbrr=True)
    assert len(spoken) > len(sent) // 2
    report = receiver.report()
    # One period per pull, unless a flipped duration moved the clock and playout had to catch up or wait.
    assert abs(sum(report["sources"].values()) - len(sent) - 20) <= 8


@settings(max_examples=40)
@given(st.lists(st.binary(min_size=1, max_size=120), min_size=1, max_size=30), st.booleans())
def test_any_opus_payloads_never_stop_playing(payloads, use_lbrr):
    """libopus and the padding parser meet arbitrary bytes; every other packet is lost."""
    datagrams = [rtp.build(n, 960 * n, 1, data) for n, data in enumerate(payloads)]
    now_us = 0
    receiver = Receiver(40, "dred", use_lbrr, clock_us=lambda: now_us, parts=dred_parts())
    for n, datagram in enumerate(datagrams):
        now_us = n * 20_000
        if n % 2 == 0:
            receiver.push(datagram, now_us)
        assert receiver.pull().pcm.shape == (320,)


def jump(pcm, at):
    """Largest step between neighbouring samples around a seam."""
    return int(np.abs(np.diff(pcm[at - 2 : at + 3].astype(int))).max())


@pytest.mark.parametrize(("conceal", "use_lbrr"), [("dred", False), ("dred", True), ("plc", False)])
def test_no_click_at_any_seam(sent, conceal, use_lbrr):
    """No step at a seam beyond what the speech within 30 ms of it has anyway."""
    bursts = [(20, 22), (40, 55), (70, 71), (90, 104), (120, 126), (150, 165)]
    lost = [n for a, b in bursts for n in range(a, b)]
    spoken, _ = listen(sent, lost, conceal=conceal, use_lbrr=use_lbrr)
    pcm = joined(spoken).astype(int)
    steps = np.abs(np.diff(pcm))
    for a, b in bursts:
        for at in (320 * a, 320 * (b - 1), 320 * b, 320 * b + 160):
            around = np.concatenate((steps[at - 480 : at - 3], steps[at + 3 : at + 480]))
            assert jump(pcm, at) <= max(around.max(), 200), (a, b, at)


def test_recovered_speech_has_the_level_of_what_was_lost(sent, clean):
    """Within 6 dB over a 300 ms burst, and the envelope of 10 ms frames follows the original."""
    spoken, _ = listen(sent, BURST)
    got = joined(spoken)[320 * BURST[0] : 320 * BURST[-1] + 320].astype(float).reshape(-1, 160)
    true = clean[320 * BURST[0] : 320 * BURST[-1] + 320].astype(float).reshape(-1, 160)
    assert 0.5 < np.sqrt((got**2).mean() / (true**2).mean()) < 2
    levels = [np.log10(1 + (x**2).mean(axis=1)) for x in (got, true)]
    assert np.corrcoef(*levels)[0, 1] > 0.6


def test_same_packets_give_the_same_samples(sent):
    first, second = (joined(listen(sent, BURST)[0]) for _ in range(2))
    assert (first == second).all()


def test_long_loss_fades_to_the_background_without_dred(sent, clean):
    """What is left is no louder than the quietest 60 ms before the gap, and joined to what follows."""
    lost = range(60, 110)
    spoken, _ = listen(sent, lost, conceal="plc", playout_ms=20)
    levels = [20 * np.log10(rms(spoken[n].pcm)) for n in lost]
    quietest = 20 * np.log10(min(rms(clean[at : at + 960]) for at in range(0, 320 * lost[0] - 960, 320)))
    assert levels[0] > quietest + 10 and 0 < max(levels[26:]) < quietest + 3
    around = np.abs(np.diff(clean[320 * lost[0] :].astype(int))).max()
    assert jump(joined(spoken), 320 * (lost[-1] + 1)) <= around


def test_a_muted_sender_leaves_no_background(sent):
    """Digital silence is sent; a gap in it is silence."""
    encoder = opus.OpusEncoder(bitrate=32000)
    quiet = [rtp.build(n, 960 * n, 1, encoder.encode(np.zeros(320, np.int16))) for n in range(200)]
    spoken, _ = listen(quiet, range(100, 180), conceal="plc", playout_ms=20)
    assert np.abs(joined(spoken)[126 * 320 : 180 * 320].astype(int)).max() <= 2


def test_fake_carrier_is_not_the_real_one():
    """The stand-in keeps to the real one's interface."""
    for name in ("samples", "has_lbrr", "dred"):
        assert callable(getattr(FakeReader, name)) and callable(getattr(OpusPacketReader, name))
