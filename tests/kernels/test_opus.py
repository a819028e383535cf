# SPDX-License-Identifier: BSD-2-Clause
"""libopus binding: settings take effect, gaps are filled, errors are exceptions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speech_packets import encode, speech

from dredge_kernels.opus import (
    OpusDecoder,
    OpusEncoder,
    OpusError,
    OpusValueError,
    opus_version,
    packet_has_lbrr,
    packet_samples,
)

SILENCE = np.zeros(320, np.int16)


def bits_per_second(packets: list[bytes], frame_ms: int = 20) -> float:
    return 8000 / frame_ms * sum(map(len, packets)) / len(packets)


def relative_error(got: np.ndarray, want: np.ndarray) -> float:
    difference = got.astype(float) - want
    return float((difference**2).mean() / (want.astype(float) ** 2).mean())


def test_version_is_new_enough() -> None:
    name, number = opus_version().split()[:2]
    assert name == "libopus"
    assert tuple(int(part) for part in number.split("-")[0].split(".")[:2]) >= (1, 3)


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_every_frame_length_round_trips_in_step(frame_ms: int) -> None:
    size = 16 * frame_ms
    with OpusEncoder(frame_ms=frame_ms) as encoder, OpusDecoder() as decoder:
        assert encoder.frame_samples == size
        for at in range(0, 16000, size):
            packet = encoder.encode(np.resize(speech()[at : at + size], size))
            assert packet_samples(packet) == size
            pcm = decoder.decode(packet)
            assert pcm.dtype == np.int16 and pcm.shape == (size,)
            assert decoder.final_range == encoder.final_range


def test_output_is_the_input_delayed_by_the_lookahead() -> None:
    packets = encode(bitrate=64000)
    with OpusEncoder() as encoder, OpusDecoder() as decoder:
        delay = encoder.lookahead
        output = np.concatenate([decoder.decode(packet) for packet in packets]).astype(float)
    assert delay == 104
    source = speech()[: len(output)].astype(float)
    products = [float(output[d:] @ source[: len(source) - d]) for d in range(300)]
    assert abs(int(np.argmax(products)) - delay) <= 2


@pytest.mark.parametrize("bitrate", [12000, 24000, 40000])
def test_bitrate_is_met(bitrate: int) -> None:
    assert bits_per_second(encode(bitrate=bitrate)) == pytest.approx(bitrate, rel=0.15)


def test_settings_change_during_the_stream() -> None:
    with OpusEncoder(bitrate=12000, vbr=False) as encoder:
        before = encoder.encode(speech()[:320])
        encoder.set_bitrate(32000)
        encoder.set_complexity(2)
        after = encoder.encode(speech()[320:640])
        assert (len(before), len(after)) == (30, 80)
        encoder.set_vbr(True)
        assert len(encoder.encode(SILENCE)) != 80


def test_packets_are_wideband_silk_at_speech_rates() -> None:
    assert {packet[0] >> 3 for packet in encode(bitrate=24000)} == {9}


def test_dtx_shrinks_silence() -> None:
    with OpusEncoder(dtx=True) as encoder:
        sizes = [len(encoder.encode(SILENCE)) for _ in range(60)]
    with OpusEncoder(dtx=False) as encoder:
        full = [len(encoder.encode(SILENCE)) for _ in range(60)]
    assert min(sizes) <= 2 and sizes.count(min(sizes)) > 20
    assert min(full) > 2


def test_reset_makes_the_coder_new() -> None:
    with OpusEncoder() as encoder, OpusDecoder() as decoder:
        first = [encoder.encode(speech()[at : at + 320]) for at in range(8000, 9600, 320)]
        pcm = [decoder.decode(packet) for packet in first]
        encoder.reset()
        decoder.reset()
        assert [encoder.encode(speech()[at : at + 320]) for at in range(8000, 9600, 320)] == first
        for packet, expected in zip(first, pcm, strict=True):
            np.testing.assert_array_equal(decoder.decode(packet), expected)


def test_fec_resembles_the_lost_frame_better_than_concealment() -> None:
    packets = encode(bitrate=24000, lbrr=True, loss_pct=20)
    with OpusDecoder() as decoder:
        received = [decoder.decode(packet) for packet in packets]
    fec, conceal = [], []
    for lost in range(10, len(packets) - 1, 6):
        loud = received[lost].astype(float).std() > 300
        if not (loud and packet_has_lbrr(packets[lost + 1])):
            continue
        with OpusDecoder() as one, OpusDecoder() as two:
            for packet in packets[:lost]:
                one.decode(packet)
                two.decode(packet)
            fec.append(relative_error(one.decode_fec(packets[lost + 1]), received[lost]))
            conceal.append(relative_error(two.conceal(), received[lost]))
    assert len(fec) >= 10
    assert np.median(fec) < 0.1 < np.median(conceal)
    assert sum(f < c for f, c in zip(fec, conceal, strict=True)) >= 0.9 * len(fec)


def test_without_lbrr_decode_fec_conceals() -> None:
    packets = encode(seconds=1.0)
    with OpusDecoder() as one, OpusDecoder() as two:
        for packet in packets[:30]:
            one.decode(packet)
            two.decode(packet)
        np.testing.assert_array_equal(one.decode_fec(packets[31]), two.conceal())


@pytest.mark.parametrize("samples", [40, 160, 320, 640, 1920])
def test_gaps_of_any_length_are_concealed_and_decoding_goes_on(samples: int) -> None:
    packets = encode(seconds=1.0)
    with OpusDecoder() as decoder:
        for packet in packets[:20]:
            decoder.decode(packet)
        assert decoder.conceal(samples).shape == (samples,)
        assert decoder.decode_fec(packets[30], samples).shape == (samples,)
        assert decoder.decode(packets[30]).shape == (320,)


BAD_SETTINGS = [
    (dict(bitrate=500), ValueError, "bitrate: expected 6000 to 256000, got 500"),
    (dict(frame_ms=25), ValueError, r"frame_ms: expected one of \(10, 20, 40, 60\), got 25"),
    (dict(application="x"), ValueError, "application: expected one of voip, audio, lowdelay"),
    (dict(complexity=11), OpusValueError, r"complexity = 11: an argument is out of range \(-1\)"),
    (dict(loss_pct=101), OpusValueError, r"loss_pct = 101: an argument is out of range \(-1\)"),
]


@pytest.mark.parametrize(("change", "kind", "message"), BAD_SETTINGS)
def test_wrong_settings_are_refused(change: dict, kind: type, message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        OpusEncoder(**change)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    "pcm",
    [np.zeros(319, np.int16), np.zeros(320, np.float32), np.zeros((320, 1), np.int16), [0] * 320],
)
def test_wrong_samples_are_refused(pcm: object) -> None:
    with OpusEncoder() as encoder, pytest.raises(ValueError, match=r"pcm: expected int16 \[320\]"):
        encoder.encode(pcm)  # type: ignore[arg-type]


def test_a_strided_view_is_encoded_like_a_copy() -> None:
    view = speech()[16000 : 16000 + 640 : 2]
    with OpusEncoder() as one, OpusEncoder() as two:
        assert one.encode(view) == two.encode(view.copy())


@pytest.mark.parametrize("samples", [0, -40, 30, 1960])
def test_wrong_gap_lengths_are_refused(samples: int) -> None:
    with OpusDecoder() as decoder:
        message = f"samples: expected a multiple of 40 up to 1920, got {samples}"
        with pytest.raises(ValueError, match=message):
            decoder.conceal(samples)


def test_errors_carry_the_code_of_libopus() -> None:
    with OpusDecoder() as decoder, pytest.raises(OpusError) as caught:
        decoder.decode(b"\x4b\x00")  # code 3 with no frames
    assert caught.value.code == -4
    assert isinstance(caught.value, ValueError) and isinstance(caught.value, RuntimeError)
    with OpusDecoder() as decoder, pytest.raises(ValueError, match=r"got 0 \(use conceal"):
        decoder.decode(b"")


@pytest.mark.parametrize("call", ["decode", "conceal", "reset", "encode", "set_bitrate"])
def test_a_closed_coder_says_so(call: str) -> None:
    decoder, encoder = OpusDecoder(), OpusEncoder()
    decoder.close()
    encoder.close()
    encoder.close()  # closing twice is fine
    calls = {
        "decode": lambda: decoder.decode(b"\x48\x01"),
        "conceal": lambda: decoder.conceal(),
        "reset": lambda: encoder.reset(),
        "encode": lambda: encoder.encode(SILENCE),
        "set_bitrate": lambda: encoder.set_bitrate(9000),
    }
    with pytest.raises(OpusError, match="the encoder or decoder is closed") as caught:
        calls[call]()
    assert caught.value.code == -6 and not isinstance(caught.value, ValueError)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=4))
def test_any_bytes_decode_or_raise_a_value_error(packets: list[bytes]) -> None:
    with OpusDecoder() as decoder:
        for packet in packets:
            try:
                assert len(decoder.decode(packet)) == packet_samples(packet)
                decoder.decode_fec(packet)
            except ValueError:
                continue
