# SPDX-License-Identifier: BSD-2-Clause
"""Sender, loss and receiver together: real libopus, real models, bundled speech."""

import numpy as np
import pytest

from dredge_device import rtp
from dredge_host.live.checks.verdict import coverable
from dredge_host.offline.simulate import simulate
from dredge_host.sending.audio import bundled_clip, packets, read_audio
from dredge_host.sending.loss import parse_loss
from dredge_host.sending.sender import BitrateMeter, Sender
from dredge_host.settings import Settings
from dredge_kernels.extensions import read_extensions, strip_padding
from dredge_kernels.lpcnet import simd_levels
from dredge_kernels.opus import OpusDecoder, OpusEncoder, packet_has_lbrr, packet_samples
from dredge_models.dred import DRED_EXTENSION_ID, DredDecoder


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    with bundled_clip() as path:
        return read_audio(path).pcm[: 16000 * 4]


def payloads(pcm: np.ndarray, **options) -> list[bytes]:
    sender = Sender(**options)
    return [rtp.parse(sender.push(piece).data).payload for piece in packets(pcm)]


def envelope_lag(one: np.ndarray, two: np.ndarray) -> int:
    """Samples by which `two` is later, from short-time energy (2 ms steps)."""
    step = 32
    size = min(len(one), len(two)) // step * step
    a, b = (np.sqrt((x[:size].astype(float).reshape(-1, step) ** 2).mean(axis=1)) for x in (one, two))
    a, b = a - a.mean(), b - b.mean()
    lags = range(-25, 26)
    scores = [float(np.dot(a[25:-25], np.roll(b, -lag)[25:-25])) for lag in lags]
    return lags[int(np.argmax(scores))] * step


# --- sender ---


def test_a_stock_decoder_plays_our_packets_as_if_dred_were_not_there(speech: np.ndarray) -> None:
    ours, plain, bare = OpusDecoder(), OpusDecoder(), OpusDecoder()
    encoder = OpusEncoder(bitrate=24000, loss_pct=20)
    for packet, piece in zip(payloads(speech), packets(speech), strict=True):
        expected = plain.decode(encoder.encode(piece))
        np.testing.assert_array_equal(ours.decode(packet), expected)
        np.testing.assert_array_equal(bare.decode(strip_padding(packet)), expected)
        assert packet_samples(packet) == 320


def test_every_packet_carries_history_that_decodes(speech: np.ndarray) -> None:
    decoder = DredDecoder()
    spans = []
    for packet in payloads(speech[:32000]):
        found = [x for x in read_extensions(packet) if x.id == DRED_EXTENSION_ID]
        assert len(found) == 1
        spans.append(decoder.parse(found[0].data).span_frames)
    assert spans == sorted(spans)  # grows while there is ever more to tell
    assert spans[-1] >= 100


def test_split_adds_up_and_one_second_costs_little(speech: np.ndarray) -> None:
    sender, meter = Sender(), BitrateMeter()
    for piece in packets(speech):
        packet = sender.push(piece)
        assert packet.split.total == len(packet.data) + 28
        meter.add(packet.split)
    rates = meter.rates()
    assert 0 < rates["dred"] <= 32000
    assert rates["speech"] == pytest.approx(24000, rel=0.1)
    assert rates["lbrr"] == 0


def test_redundancy_and_lbrr_leave_the_speech_rate_alone(speech: np.ndarray) -> None:
    def rates(**options) -> dict[str, float]:
        sender, meter = Sender(**options), BitrateMeter()
        for piece in packets(speech):
            meter.add(sender.push(piece).split)
        return meter.rates()

    plain, history, copies = rates(redundancy_s=0), rates(), rates(redundancy_s=0, lbrr=True)
    assert history["speech"] == plain["speech"]
    assert copies["speech"] == pytest.approx(plain["speech"], rel=0.02)
    assert copies["lbrr"] > 5000
    share = np.mean([packet_has_lbrr(p) for p in payloads(speech, redundancy_s=0, lbrr=True)])
    assert share > 0.5


def test_lbrr_leaves_the_speech_as_good_as_without_it(speech: np.ndarray) -> None:
    """The copy is paid for by bits of its own, however much loss is expected."""

    def error(expected: int, lbrr: bool) -> float:
        with OpusDecoder() as decoder:
            sent = payloads(speech, redundancy_s=0, lbrr=lbrr, loss_pct=expected)
            heard = np.concatenate([decoder.decode(packet) for packet in sent]).astype(float)
        said = speech[: len(heard) - 104].astype(float)
        return float(np.sum((heard[104 : 104 + len(said)] - said) ** 2) / np.sum(said**2))

    assert payloads(speech[:16000], lbrr=True, loss_pct=40) == payloads(speech[:16000], lbrr=True, loss_pct=5)
    assert error(20, True) < 1.05 * error(20, False)


def test_mute_repeats_nothing_said_before(speech: np.ndarray) -> None:
    sender = Sender()
    pieces = list(packets(speech))
    for piece in pieces[:60]:
        sender.push(piece)
    sender.mute()
    muted = [sender.push(piece) for piece in pieces[60:70]]
    assert all(packet.split.dred == 0 for packet in muted)
    sender.mute(False)
    payload = rtp.parse(sender.push(pieces[70]).data).payload
    data = [x.data for x in read_extensions(payload) if x.id == DRED_EXTENSION_ID]
    if data:  # only what was heard since: ten silent packets and this one
        assert DredDecoder().parse(data[0]).span_frames <= 24


def test_a_sender_is_a_context_manager(speech: np.ndarray) -> None:
    with Sender(redundancy_s=0, lbrr=True) as sender:
        sender.push(speech[:320])
    with pytest.raises(RuntimeError):
        sender.push(speech[:320])


@pytest.mark.parametrize("samples", [1, 319, 320, 700])
@pytest.mark.parametrize(
    "options",
    [
        {"playout_ms": 0, "loss": "50%"},
        {"loss": "100%"},
        {"redundancy_s": 1.02, "loss": "30%"},
        {"bitrate": 6000, "lbrr": True, "loss": "30%"},
        {"bitrate": 256000, "redundancy_s": 0.0},
    ],
)
def test_extremes_keep_the_books_balanced(samples: int, options: dict) -> None:
    loud = np.where(np.arange(samples) % 50 < 25, 32767, -32768).astype(np.int16)
    run = simulate(loud, Settings(**options))
    assert len(run.pcm) == samples
    assert sum(run.result["frames"].values()) == run.result["packets"] == len(run.trace)


# --- simulate ---


def test_clean_opus_is_aligned_to_the_sample(speech: np.ndarray) -> None:
    run = simulate(speech, Settings(conceal="opus", redundancy_s=0))
    assert len(run.pcm) == len(speech)
    # Opus' high-pass advances the phase of low tones; differences look at everything above.
    sent, heard = np.diff(speech.astype(float)), np.diff(run.pcm.astype(float))
    scores = [np.dot(sent[400:-400], np.roll(heard, -lag)[400:-400]) for lag in range(-8, 9)]
    assert int(np.argmax(scores)) - 8 == 0
    assert run.result["frames"]["opus"] == run.result["packets"]


@pytest.mark.parametrize("conceal", ["dred", "plc", "opus"])
def test_every_mode_fills_every_packet_and_is_deterministic(speech: np.ndarray, conceal: str) -> None:
    settings = Settings(loss="harsh", seed=2, conceal=conceal, playout_ms=400)
    first, second = simulate(speech, settings), simulate(speech, settings)
    np.testing.assert_array_equal(first.pcm, second.pcm)
    for result in (first.result, second.result):
        result.pop("cpu")
    assert first.result == second.result
    assert [row[:3] for row in first.timeline] == [row[:3] for row in second.timeline]
    frames = first.result["frames"]
    assert sum(frames.values()) == first.result["packets"]
    lost = first.result["loss"]["lost_packets"]
    assert lost > 10
    assert frames["opus"] == first.result["packets"] - lost
    allowed = {"dred": {"dred", "plc"}, "plc": {"plc"}, "opus": {"conceal"}}[conceal]
    assert sum(frames[name] for name in allowed) == lost
    assert first.result["models"]


def test_every_simd_level_gives_the_same_samples(speech: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(loss="burst:ms=200,every=500ms")
    heard = []
    for level in simd_levels():
        monkeypatch.setenv("DREDGE_SIMD", level)
        run = simulate(speech[:24000], settings)
        assert run.result["simd_level"] == level
        heard.append(run.pcm)
    for pcm in heard[1:]:
        np.testing.assert_array_equal(pcm, heard[0])


def test_dred_fills_what_a_later_packet_covers(speech: np.ndarray) -> None:
    settings = Settings(loss="harsh", seed=3)
    run = simulate(speech, settings)
    filled = {row[0] for row in run.timeline if row[1] == "dred"}
    wanted = coverable(run.trace, settings)
    assert wanted
    assert len(filled & wanted) >= 0.9 * len(wanted)
    assert envelope_lag(speech, run.pcm) == 0


def test_recovered_speech_resembles_what_was_said(speech: np.ndarray) -> None:
    """Half of all packets in bursts of 200 ms: the energy contour inside them must come back."""
    loss = parse_loss("none")
    loss._source = iter(([False] * 10 + [True] * 10) * 100)
    settings = Settings()
    run = simulate(speech, settings, loss=loss)
    loss._source = iter(([False] * 10 + [True] * 10) * 100)
    quiet = simulate(speech, Settings(conceal="plc", redundancy_s=0), loss=loss)
    wanted = sorted(coverable(run.trace, settings))

    def contour(pcm: np.ndarray) -> np.ndarray:
        parts = [pcm[max(0, n * 320 - 104) : n * 320 + 216].astype(float) for n in wanted]
        return np.array([10 * np.log10(1000 + np.mean(part**2)) for part in parts if len(part)])

    original = contour(speech)
    with_dred = np.corrcoef(original, contour(run.pcm))[0, 1]
    with_plc = np.corrcoef(original, contour(quiet.pcm))[0, 1]
    assert with_dred > 0.8
    assert with_dred > with_plc


def test_packets_lost_before_the_first_arrival_are_played_too(speech: np.ndarray) -> None:
    loss = parse_loss("none")
    loss._source = iter([True] * 3 + [False] * 300)
    run = simulate(speech, Settings(), loss=loss)
    assert [row[:2] for row in run.timeline[:4]] == [
        (0, "dred"), (1, "dred"), (2, "dred"), (3, "opus"),
    ]  # fmt: skip


def test_lbrr_fills_the_last_packet_of_a_burst(speech: np.ndarray) -> None:
    run = simulate(speech, Settings(loss="10%", seed=5, lbrr=True))
    frames = run.result["frames"]
    assert frames["lbrr"] > 0
    assert run.result["bitrate_bps"]["lbrr"] > 0


def test_short_redundancy_covers_short_bursts_only(speech: np.ndarray) -> None:
    loss = "burst:ms=300,every=1s"
    short = simulate(speech, Settings(loss=loss, redundancy_s=0.1)).result
    long = simulate(speech, Settings(loss=loss, redundancy_s=0.4)).result
    assert 0 < short["frames"]["dred"] < long["frames"]["dred"]
    assert short["bitrate_bps"]["dred"] < long["bitrate_bps"]["dred"]
