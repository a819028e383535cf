# SPDX-License-Identifier: BSD-2-Clause
"""LBRR detection: against the SILK header read symbol by symbol, and against real packets."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from speech_packets import encode

from dredge_kernels.extensions import add_extension
from dredge_kernels.framing import build_packet, parse_packet
from dredge_kernels.lbrr import packet_has_lbrr, silk_frames
from dredge_kernels.rangecoder import RangeDecoder

EVEN = [16384, 0]  # inverse CDF of a bit with probability 1/2


def lbrr_by_symbols(packet: bytes) -> bool:
    """The header as RFC 6716 section 4.2.3 reads it, through the range decoder."""
    parsed = parse_packet(packet)
    decoder = RangeDecoder(parsed.frames[0])
    flags = []
    for _ in range(2 if parsed.stereo else 1):
        for _ in range(silk_frames(parsed.toc >> 3)):
            decoder.decode_icdf(EVEN)  # voice activity
        flags.append(decoder.decode_icdf(EVEN))
    return any(flags)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 15), st.booleans(), st.binary(min_size=1, max_size=9))
def test_the_top_bits_are_the_first_symbols(config: int, stereo: bool, frame: bytes) -> None:
    packet = build_packet(config << 3 | stereo << 2, [frame])
    assert packet_has_lbrr(packet) == lbrr_by_symbols(packet)


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_lbrr_appears_when_asked_for_and_only_then(frame_ms: int) -> None:
    """In 40 and 60 ms packets the flags stand behind two and three activity bits."""
    rate = 32000 if frame_ms == 10 else 24000
    asked = encode(frame_ms, bitrate=rate, lbrr=True, loss_pct=20)
    assert all(packet_has_lbrr(packet) == lbrr_by_symbols(packet) for packet in asked)
    assert sum(map(packet_has_lbrr, asked)) > 0.5 * len(asked)
    no_loss = encode(frame_ms, bitrate=rate, lbrr=True, loss_pct=0)
    not_asked = encode(frame_ms, bitrate=rate, lbrr=False, loss_pct=20)
    assert not any(map(packet_has_lbrr, no_loss))
    assert not any(map(packet_has_lbrr, not_asked))


def test_lbrr_is_seen_behind_an_extension() -> None:
    packets = encode(lbrr=True, loss_pct=20, seconds=2.0)
    for packet in packets:
        assert packet_has_lbrr(add_extension(packet, 126, b"D")) == packet_has_lbrr(packet)
    assert any(map(packet_has_lbrr, packets))


@pytest.mark.parametrize("config", range(16, 32))
def test_celt_has_none(config: int) -> None:
    assert not packet_has_lbrr(bytes([config << 3, 0xFF, 0xFF, 0xFF]))


def test_an_empty_frame_has_none() -> None:
    assert not packet_has_lbrr(bytes([9 << 3]))
    assert not packet_has_lbrr(bytes([9 << 3 | 3, 1]))


def test_malformed_packets_are_refused() -> None:
    with pytest.raises(ValueError, match="packet: expected at least 1 byte, got 0"):
        packet_has_lbrr(b"")


@pytest.mark.parametrize(("config", "count"), [(8, 1), (9, 1), (10, 2), (11, 3), (12, 1), (15, 1)])
def test_silk_frames_per_opus_frame(config: int, count: int) -> None:
    assert silk_frames(config) == count
