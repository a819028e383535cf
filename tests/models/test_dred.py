# SPDX-License-Identifier: BSD-2-Clause
"""DRED end to end: speech in, payload, features out, in the right place and at the right cost."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from model_cases import band_error, voice

from dredge_kernels.features import FeatureExtractor
from dredge_models import dred
from dredge_models.dred import DredDecoder, DredEncoder, latents_for
from dredge_models.plc import SILENCE_C0

SPEECH = Path(__file__).parent.parent / "data" / "speech_short.flac"
LOOKAHEAD = 104


@pytest.fixture(scope="module")
def pcm():
    """Three seconds of real speech, int16."""
    samples, rate = soundfile.read(SPEECH, dtype="int16")
    assert rate == 16000
    return samples[: 320 * 150]


@pytest.fixture(scope="module")
def decoder():
    return DredDecoder()


def push_all(encoder, pcm):
    for i in range(0, len(pcm) - 319, 320):
        encoder.push(pcm[i : i + 320])
    return encoder


def aligned_features(pcm):
    """Features of the Opus decoder's output, were Opus perfect: frame i is centred on output i."""
    delay = (LOOKAHEAD - 80) % 160
    return FeatureExtractor().process(np.concatenate([np.zeros(delay, np.int16), pcm[:-delay]]))


@pytest.fixture(scope="module")
def sent(pcm):
    """Payloads of 1 s in every packet, and the features they stand for."""
    encoder, payloads = DredEncoder(LOOKAHEAD), []
    for i in range(0, len(pcm), 320):
        encoder.push(pcm[i : i + 320])
        payloads.append(encoder.payload(1.0))
    return payloads, aligned_features(pcm)


def test_prefix():
    assert dred.DRED_EXTENSION_ID == 126 and dred.OFFSET == 8


@pytest.mark.parametrize(("seconds", "latents"), [
    (0, 0), (0.001, 1), (0.02, 1), (0.1, 3), (0.2, 6), (0.5, 13), (0.98, 25), (1.0, 26), (5, 26)])
def test_latents_reach_the_seconds_asked_for(seconds, latents):
    assert latents_for(seconds) == latents
    # 40 ms each, of which the newest 20 ms are the packet's own.
    assert latents == 26 or 0.04 * latents - 0.02 > seconds - 1e-9 or latents == 0


def test_negative_redundancy_is_refused():
    for bad in (-0.1, float("nan")):
        with pytest.raises(ValueError, match="redundancy: expected seconds >= 0"):
            latents_for(bad)


def test_one_second_fits_the_budget(sent):
    """32 kb/s at 50 packets per second are 80 bytes; mean over speech, prefix included."""
    payloads, _ = sent
    assert np.mean([len(p) for p in payloads[60:]]) <= 80


def test_decoded_features_are_near_and_in_time(sent, decoder):
    payloads, features = sent
    errors = dict.fromkeys(range(-3, 3), 0.0)
    for n in range(60, 148, 8):
        got = decoder.features(decoder.parse(payloads[n]), 100)
        for shift in errors:
            last = 2 * n + 2 + shift
            errors[shift] += band_error(got, features[last - 100 : last]) / 11
    assert min(errors, key=errors.get) == 0, errors
    assert errors[0] < 6.5, errors


def test_the_newest_frames_are_the_best(sent, decoder):
    """Quantiser levels rise with age, so the first 200 ms must be closer than the last."""
    payloads, features = sent
    new, old = [], []
    for n in range(60, 150, 3):
        got = decoder.features(decoder.parse(payloads[n]), 100)
        wanted = features[2 * n + 2 - 100 : 2 * n + 2]
        new.append(band_error(got[-20:], wanted[-20:]))
        old.append(band_error(got[:20], wanted[:20]))
    assert np.mean(new) < np.mean(old)


def test_fine_levels_are_closer_than_coarse_ones(pcm, decoder):
    encoder, features = push_all(DredEncoder(LOOKAHEAD), pcm), aligned_features(pcm)
    errors = [band_error(decoder.features(decoder.parse(encoder.payload(1.0, q0=q, dq=0)), 100),
                         features[-100:]) for q in (0, 8, 15)]
    assert errors[0] < errors[1] < errors[2]


def test_decoding_is_lazy_and_cached(sent, decoder, monkeypatch):
    packet = decoder.parse(sent[0][100])
    assert packet.span_frames == 104 and packet.decoded_frames == 0
    steps = []
    original = decoder._model(0xD1)[1].steps
    monkeypatch.setattr(decoder._model(0xD1)[1], "steps",
                        lambda latents, levels: steps.extend(levels) or original(latents, levels))
    few = decoder.features(packet, 3)
    assert len(steps) == 1 and packet.decoded_frames == 4
    more = decoder.features(packet, 30)
    assert len(steps) == 8
    np.testing.assert_array_equal(more[-3:], few)
    decoder.features(packet, 30)
    assert len(steps) == 8


def test_packets_can_be_decoded_in_turns(sent, decoder):
    one, two = (decoder.parse(sent[0][n]) for n in (100, 140))
    decoder.features(one, 8)
    decoder.features(two, 20)
    turns = decoder.features(one, 60)
    fresh = DredDecoder()
    alone = fresh.parse(sent[0][100])
    fresh.features(alone, 8)
    np.testing.assert_array_equal(turns, fresh.features(alone, 60))
    # Six latents in one call are summed in another order than one by one.
    np.testing.assert_allclose(turns, fresh.features(fresh.parse(sent[0][100]), 60), atol=1e-4)


def test_frames_beyond_the_span_are_refused(sent, decoder):
    packet = decoder.parse(sent[0][0])
    assert packet.span_frames == 4
    assert decoder.features(packet, 0).shape == (0, 20)
    for bad in (-1, 5):
        with pytest.raises(ValueError, match="frames: expected 0 to 4"):
            decoder.features(packet, bad)


def test_the_history_grows_by_a_latent_every_second_packet(sent, decoder):
    spans = [decoder.parse(p).span_frames for p in sent[0][:60]]
    assert spans == [4 * min(26, n // 2 + 1) for n in range(60)]


def test_nothing_to_send():
    encoder = DredEncoder(LOOKAHEAD)
    assert encoder.payload(1.0) == b""
    encoder.push(np.zeros(320, np.int16))
    assert encoder.payload(0) == b""
    assert encoder.payload(1.0)[:2] == b"D\xd1"


def test_flush_forgets_what_was_said(pcm):
    """After a mute the stream must be byte for byte that of a sender that never heard the past."""
    muted = push_all(DredEncoder(LOOKAHEAD), pcm[: 320 * 60])
    muted.flush()
    assert muted.payload(1.0) == b""
    fresh = DredEncoder(LOOKAHEAD)
    for i in range(320 * 60, 320 * 75, 320):
        for encoder in (muted, fresh):
            encoder.push(pcm[i : i + 320])
        assert muted.payload(1.0) == fresh.payload(1.0)


def test_encoding_work_does_not_depend_on_redundancy(monkeypatch):
    """One network step per packet, whether 100 ms or 1 s are sent."""
    work = {}
    for seconds in (0.1, 1.0):
        encoder, calls = DredEncoder(LOOKAHEAD), []
        graph = encoder._encoder._graph
        monkeypatch.setattr(encoder._encoder, "_graph", _Counted(graph, calls))
        for i in range(60):
            encoder.push(np.full(320, i, np.int16))
            encoder.payload(seconds)
        work[seconds] = len(calls)
    assert work == {0.1: 60, 1.0: 60}


class _Counted:
    """A graph that notes its calls."""

    def __init__(self, graph, calls):
        self._graph, self._calls = graph, calls

    def __call__(self, **inputs):
        self._calls.append(1)
        return self._graph(**inputs)

    def __getattr__(self, name):
        return getattr(self._graph, name)


def test_max_bytes_cuts_the_oldest(pcm, decoder):
    encoder = push_all(DredEncoder(LOOKAHEAD), pcm[: 320 * 80])
    whole = encoder.payload(1.0)
    part = encoder.payload(1.0, max_bytes=len(whole) // 2)
    assert 0 < len(part) <= len(whole) // 2
    short, full = decoder.parse(part), decoder.parse(whole)
    assert 0 < short.span_frames < full.span_frames
    # dq, q0 and the state are the same, so the newest frames decode alike.
    np.testing.assert_array_equal(decoder.features(short, 4), decoder.features(full, 4))


def test_two_encoders_agree(pcm):
    a, b = (push_all(DredEncoder(LOOKAHEAD), pcm[: 320 * 40]) for _ in range(2))
    assert a.payload(1.0) == b.payload(1.0)


@pytest.mark.parametrize("bad", [np.zeros(160, np.int16), np.zeros(320, np.float32)])
def test_push_refuses_other_arrays(bad):
    with pytest.raises(ValueError, match=r"pcm: expected int16 \[320\]"):
        DredEncoder(LOOKAHEAD).push(bad)


@pytest.mark.parametrize(("data", "sentence"), [
    (b"", "does not start with 'D'"),
    (b"X\xd1abc", "does not start with 'D'"),
    (b"D", "expected a version byte, got the end"),
    (b"D\x0aabcdefgh", "no model for version 10 here"),
])
def test_foreign_extensions_are_refused(decoder, data, sentence):
    with pytest.raises(ValueError, match=sentence):
        decoder.parse(data)


def test_cut_payloads_are_refused_or_shorter(sent, decoder):
    whole = sent[0][100]
    refused = 0
    for size in range(2, len(whole)):
        try:
            packet = decoder.parse(whole[:size])
        except ValueError:
            refused += 1
        else:
            assert packet.span_frames <= 104
    assert refused > 10


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=0, max_size=120))
def test_any_bytes_give_sane_features_or_a_value_error(decoder, data):
    try:
        packet = decoder.parse(b"D\xd1" + data)
    except ValueError:
        return
    rows = decoder.features(packet, packet.span_frames)
    assert np.isfinite(rows).all() and np.abs(rows).max(initial=0) <= 20


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_flipped_bits_never_escape(sent, decoder, data):
    content = bytearray(sent[0][90])
    for _ in range(data.draw(st.integers(1, 6))):
        bit = data.draw(st.integers(16, 8 * len(content) - 1))
        content[bit // 8] ^= 1 << (bit % 8)
    try:
        packet = decoder.parse(bytes(content))
    except ValueError:
        return
    assert np.isfinite(decoder.features(packet, packet.span_frames)).all()


@pytest.mark.parametrize("gain", [0.02, 0.2, 3.0])
def test_quiet_and_loud_speech(pcm, decoder, gain):
    """Level follows the input from 34 dB below to the rails."""
    scaled = np.clip(pcm.astype(float) * gain, -32768, 32767).astype(np.int16)
    encoder = push_all(DredEncoder(LOOKAHEAD), scaled)
    got = decoder.features(decoder.parse(encoder.payload(1.0, q0=3)), 100)
    wanted = aligned_features(scaled)[-100:]
    assert abs(np.mean(got[:, 0] - wanted[:, 0])) < 1.0      # 2.4 dB
    assert band_error(got, wanted) < 6.0


def test_silence_decodes_to_silence(decoder):
    encoder = push_all(DredEncoder(LOOKAHEAD), np.zeros(320 * 60, np.int16))
    got = decoder.features(decoder.parse(encoder.payload(1.0)), 50)
    assert got[:, 0].max() < SILENCE_C0 + 4


def test_synthetic_voice_survives(decoder):
    """Not in the training set at all: pulses, moving formants, hiss, pauses."""
    pcm = voice(2.4)
    pcm = pcm[: len(pcm) // 320 * 320]
    encoder = push_all(DredEncoder(LOOKAHEAD), pcm)
    got = decoder.features(decoder.parse(encoder.payload(1.0, q0=2, dq=2)), 100)
    assert band_error(got, aligned_features(pcm)[-100:]) < 7.0
