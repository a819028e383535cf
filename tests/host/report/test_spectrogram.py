# SPDX-License-Identifier: BSD-2-Clause
"""PNG writer and spectrogram: decoded by an independent reader, tones land where they belong."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_device.units import PACKET_SAMPLES
from dredge_host.charts.spectrogram import MAX_COLUMNS, ROWS, encode_png, palette, picture, power_columns, stacked_png


def decode(png):
    """(pixels, palette) of an indexed PNG without row filters; checks every checksum."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        body = png[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", png, at + 8 + length)[0] == zlib.crc32(kind + body)
        chunks[kind] = body
        at += 12 + length
    assert list(chunks)[-1] == b"IEND" and at == len(png)
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colour, rest) == (8, 3, [0, 0, 0])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:], np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 256), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_png_round_trip(height, width, colours, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, colours, (height, width), np.uint8)
    table = rng.integers(0, 256, (colours, 3), np.uint8)
    got_pixels, got_table = decode(encode_png(pixels, table))
    np.testing.assert_array_equal(got_pixels, pixels)
    np.testing.assert_array_equal(got_table, table)


@pytest.mark.parametrize(
    ("pixels", "colours", "message"),
    [
        (np.zeros((0, 3), np.uint8), palette(), "pixels: expected"),
        (np.zeros(3, np.uint8), palette(), "pixels: expected"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 4), np.uint8), "colours: expected"),
        (np.full((2, 2), 5, np.uint8), np.zeros((5, 3), np.uint8), "index 5 outside 5"),
    ],
)
def test_png_refuses(pixels, colours, message):
    with pytest.raises(ValueError, match=message):
        encode_png(pixels, colours)


def test_palette_gets_brighter():
    luma = palette().astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(luma) >= -1.0).all()
    assert luma[0] < 20 and luma[-1] > 220


@pytest.mark.parametrize("hertz", [500, 2000, 7000])
def test_tone_is_the_brightest_row(hertz):
    tone = (8000 * np.sin(2 * np.pi * hertz * np.arange(16000) / 16000)).astype(np.int16)
    pixels, _ = decode(picture(power_columns(tone)))
    assert pixels.shape == (ROWS, 50)
    row = ROWS - 1 - int(pixels[:, 25].argmax())
    assert row == pytest.approx(hertz / 8000 * ROWS, abs=1.0)


def test_a_lost_packet_darkens_its_own_column():
    noise = np.random.default_rng(1).normal(0, 3000, 100 * PACKET_SAMPLES).astype(np.int16)
    noise[40 * PACKET_SAMPLES : 43 * PACKET_SAMPLES] = 0
    pixels, _ = decode(picture(power_columns(noise)))
    means = pixels.mean(axis=0)
    assert means[41] == 0
    assert means[39] > 100 and means[43] > 100
    assert means[:39].min() > 100 and means[44:].min() > 100


def test_silence_and_empty_are_dark_pictures():
    for pcm in (np.zeros(3200, np.int16), np.zeros(0, np.int16)):
        pixels, _ = decode(picture(power_columns(pcm)))
        assert pixels.max() == 0


def test_shared_peak_makes_signals_comparable():
    noise = np.random.default_rng(2).normal(0, 3000, 16000).astype(np.int16)
    quiet = (noise / 30).astype(np.int16)
    peak = power_columns(noise).max()
    own, _ = decode(picture(power_columns(quiet)))
    shared, _ = decode(picture(power_columns(quiet), peak))
    assert shared.mean() < own.mean() - 50


def test_long_signals_keep_their_energy_in_fewer_columns():
    noise = np.random.default_rng(3).normal(0, 1000, (MAX_COLUMNS * 2 + 7) * PACKET_SAMPLES)
    power = power_columns(noise.astype(np.int16))
    assert len(power) == MAX_COLUMNS
    assert power.mean() == pytest.approx(
        power_columns(noise[:160000].astype(np.int16)).mean(), rel=0.05
    )


def test_stacked_pictures_share_one_scale_and_one_width():
    at = np.arange(3200)
    tone = (8000 * np.sin(2 * np.pi * 2000 * at / 16000)).astype(np.int16)
    pixels, table = decode(stacked_png([tone, tone // 10, tone[:1600]]))
    assert pixels.shape == (3 * ROWS + 2 * 2, 2 * 10)
    loud, quiet, short = (pixels[k * (ROWS + 2) : k * (ROWS + 2) + ROWS] for k in range(3))
    assert (pixels[ROWS : ROWS + 2] == len(table) - 1).all(), "a bright line between"
    np.testing.assert_array_equal(pixels[:, ::2], pixels[:, 1::2])
    assert int(loud.max()) - int(quiet.max()) == pytest.approx(20 / 75 * 252, abs=8)
    assert not short[:, 12:].any()
