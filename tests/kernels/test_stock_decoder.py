# SPDX-License-Identifier: BSD-2-Clause
"""Stock Opus decoders play packets with our redundancy exactly as if it were not there."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from ogg_opus import ogg_opus
from payload_cases import made_up_tables
from speech_packets import encode

from dredge_kernels.extensions import add_extension, read_extensions, strip_padding
from dredge_kernels.framing import build_packet, parse_packet
from dredge_kernels.opus import OpusDecoder
from dredge_kernels.payload import encode_payload

SETTINGS = {
    "20 ms": dict(frame_ms=20),
    "10 ms": dict(frame_ms=10, bitrate=32000),
    "40 ms": dict(frame_ms=40),
    "60 ms": dict(frame_ms=60),
    "lbrr": dict(lbrr=True, loss_pct=20),
    "cbr": dict(vbr=False),
    "dtx": dict(dtx=True),
    "celt": dict(bitrate=128000, application="lowdelay"),
}


def redundancy(index: int) -> bytes:
    """A payload of 0 to 26 latents as a packet would carry it, with its prefix."""
    rng = np.random.default_rng(index)
    tables = made_up_tables(0xD1, 21, 19)
    latents = rng.laplace(0, 3, (index % 27, 21)).astype(np.float32)
    state = rng.laplace(0, 3, 19).astype(np.float32)
    return b"D\xd1" + encode_payload(latents, state, tables, 6, 5)


def with_redundancy(packets: list[bytes]) -> list[bytes]:
    return [add_extension(packet, 126, redundancy(i)) for i, packet in enumerate(packets)]


def through_libopus(packets: list[bytes]) -> np.ndarray:
    with OpusDecoder() as decoder:
        return np.concatenate([decoder.decode(packet) for packet in packets])


def groups(packets: list[bytes], size: int) -> list[bytes]:
    """The same frames, several in each packet."""
    parsed = [parse_packet(packet) for packet in packets]
    parts = [parsed[at : at + size] for at in range(0, len(parsed) - size + 1, size)]
    return [build_packet(part[0].toc, [p.frames[0] for p in part]) for part in parts]


@pytest.mark.parametrize("name", SETTINGS)
def test_libopus_decodes_the_same_samples(name: str) -> None:
    plain = encode(**SETTINGS[name])
    loaded = with_redundancy(plain)
    assert all(read_extensions(p)[0].data == redundancy(i) for i, p in enumerate(loaded))
    samples = through_libopus(plain)
    assert samples.any()
    np.testing.assert_array_equal(through_libopus(loaded), samples)
    np.testing.assert_array_equal(through_libopus([strip_padding(p) for p in loaded]), samples)


@pytest.mark.parametrize(
    ("size", "settings", "codes"),
    [
        (2, dict(), {1, 2}),
        (2, dict(bitrate=96000, application="lowdelay", vbr=False), {1}),
        (3, dict(), {3}),
        (3, dict(bitrate=96000, application="lowdelay", vbr=False), {3}),
    ],
)
def test_packets_of_several_frames_keep_their_samples(
    size: int, settings: dict, codes: set[int]
) -> None:
    """Code 1, 2 and 3, constant and variable, with the extension on the last frame."""
    plain = groups(encode(**settings), size)
    assert {p[0] & 3 for p in plain} == codes
    loaded = [add_extension(p, 126, redundancy(i), size - 1) for i, p in enumerate(plain)]
    assert {read_extensions(p)[0].frame for p in loaded} == {size - 1}
    np.testing.assert_array_equal(through_libopus(loaded), through_libopus(plain))
    assert [strip_padding(p) for p in loaded] == plain


def test_fec_and_concealment_are_the_same_too() -> None:
    plain = encode(lbrr=True, loss_pct=20)
    outputs = []
    for packets in (plain, with_redundancy(plain)):
        with OpusDecoder() as decoder:
            out = []
            for index, packet in enumerate(packets[:-1]):
                if index % 5 == 3:
                    out.append(decoder.decode_fec(packets[index + 1]))
                elif index % 7 == 1:
                    out.append(decoder.conceal())
                else:
                    out.append(decoder.decode(packet))
            outputs.append(np.concatenate(out))
    np.testing.assert_array_equal(*outputs)


def by_libsndfile(data: bytes, _folder: Path) -> np.ndarray:
    """libsndfile has its own copy of libopus inside, usually a newer one than the system's."""
    try:
        samples, rate = soundfile.read(io.BytesIO(data), dtype="int16")
    except soundfile.LibsndfileError as error:
        pytest.skip(f"this libsndfile cannot read Ogg Opus: {error}")
    assert rate in (16000, 48000)
    return samples


def by_opusdec(data: bytes, folder: Path) -> np.ndarray:
    if shutil.which("opusdec") is None:
        pytest.skip("needs opusdec: apt-get install opus-tools")
    (folder / "in.opus").write_bytes(data)
    # Without dither, so that two runs can be compared sample by sample.
    command = ["opusdec", "--quiet", "--no-dither", "--rate", "48000", "in.opus", "out.wav"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    return soundfile.read(folder / "out.wav", dtype="int16")[0]


@pytest.mark.parametrize("decode", [by_opusdec, by_libsndfile])
def test_a_stock_player_decodes_the_same_samples(
    decode: Callable[[bytes, Path], np.ndarray], tmp_path: Path
) -> None:
    plain = encode(seconds=2.0)
    expected = decode(ogg_opus(plain), tmp_path)
    got = decode(ogg_opus(with_redundancy(plain)), tmp_path)
    assert len(expected) in (320 * len(plain) - 104, 960 * len(plain) - 312)
    assert np.abs(expected.astype(int)).max() > 1000
    np.testing.assert_array_equal(got, expected)
