# SPDX-License-Identifier: BSD-2-Clause
"""Audio in and out."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_device.pi.output.files import OutputError
from dredge_host.errors import InputError, UsageError
from dredge_host.sending.audio import packets, read_audio, to_int16, write_audio

RNG = np.random.default_rng(4)


def tone(rate: int, seconds: float = 0.5, hertz: float = 440.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def test_sixteen_bit_sixteen_kilohertz_is_exact(tmp_path: Path) -> None:
    pcm = RNG.integers(-32768, 32768, 5000).astype(np.int16)
    for suffix in ("wav", "flac"):
        path = tmp_path / f"x.{suffix}"
        soundfile.write(path, pcm, 16000, "PCM_16")
        audio = read_audio(path)
        assert audio.notes == []
        np.testing.assert_array_equal(audio.pcm, pcm)
        assert audio.pcm.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000])
def test_other_rates_are_converted_with_a_note(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, tone(rate), rate)
    audio = read_audio(path)
    assert audio.notes == [f"converted from {rate} Hz to 16000 Hz"]
    assert abs(len(audio.pcm) - 8000) <= 1
    middle = slice(1000, 7000)
    expected = tone(16000)[middle] * 32768
    assert np.abs(audio.pcm[middle] - expected).max() < 80


def test_stereo_is_averaged_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "x.ogg"
    left = tone(16000)
    soundfile.write(path, np.stack([left, -0.5 * left], axis=1), 16000)
    audio = read_audio(path)
    assert audio.notes == ["the 2 channels cancel each other when mixed: channel 1 alone is used"]
    soundfile.write(path, np.stack([left, 0 * left], axis=1), 16000)
    audio = read_audio(path)
    assert audio.notes == ["mixed 2 channels to mono"]
    assert np.abs(np.abs(audio.pcm).max() - 0.25 * 32768) < 600
    assert audio.channels == 2


def test_not_a_number_becomes_silence(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    data = tone(16000)
    data[10] = np.nan
    data[20] = np.inf
    soundfile.write(path, data, 16000, "FLOAT")
    audio = read_audio(path)
    assert audio.pcm[10] == audio.pcm[20] == 0
    assert "2 samples" in audio.notes[0]


@pytest.mark.parametrize("content", [b"", b"RIFF", b"hello" * 100, bytes(3000)])
def test_damaged_files_are_one_clear_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_audio(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("rate", "words"), [(1, "sample rate is 1 Hz"), (999, "999 Hz"), (2**31 - 1, "Hz, expected")])
def test_a_rate_that_would_multiply_the_file_is_refused(tmp_path: Path, rate: int, words: str) -> None:
    """One second at 1 Hz is one sample; at 16 kHz a few of them would fill the memory."""
    path = tmp_path / "slow.wav"
    soundfile.write(path, np.zeros(100, np.int16), 16000, "PCM_16")
    content = bytearray(path.read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_audio(path)


def test_a_header_that_promises_days_of_speech_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros(1600, np.int16), 16000, "PCM_16")
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F          # STREAMINFO: the upper bits of the number of samples
    path.write_bytes(content)
    with pytest.raises(InputError, match="samples, expected at most"):
        read_audio(path)


@given(st.binary(max_size=200), st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_a_mangled_wav_reads_or_fails_cleanly(tmp_path_factory, noise: bytes, at: int) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "x.wav"
    soundfile.write(path, np.zeros(200, np.int16), 16000, "PCM_16")
    content = bytearray(path.read_bytes())
    content[at : at + len(noise)] = noise
    path.write_bytes(content)
    try:
        audio = read_audio(path)
    except InputError:
        return
    assert audio.pcm.dtype == np.int16
    assert len(audio.pcm) > 0


def test_missing_folder_and_empty(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such"):
        read_audio(tmp_path / "absent.wav")
    with pytest.raises(InputError, match="is a folder"):
        read_audio(tmp_path)
    soundfile.write(tmp_path / "e.wav", np.zeros(0, np.int16), 16000)
    with pytest.raises(InputError, match="no audio samples"):
        read_audio(tmp_path / "e.wav")


def test_written_wav_reads_back_and_leaves_no_litter(tmp_path: Path) -> None:
    pcm = RNG.integers(-32768, 32768, 700).astype(np.int16)
    path = write_audio(tmp_path / "y.wav", pcm)
    np.testing.assert_array_equal(read_audio(path).pcm, pcm)
    assert os.listdir(tmp_path) == ["y.wav"]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


def test_impossible_targets(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        write_audio(tmp_path / "no" / "y.wav", np.zeros(1, np.int16))
    with pytest.raises(OutputError, match="is a folder"):
        write_audio(tmp_path, np.zeros(1, np.int16))


@pytest.mark.parametrize(("name", "form"), [
    ("a.wav", "WAV"), ("a", "WAV"), ("a.WAV", "WAV"), ("a.flac", "FLAC"), ("a.ogg", "OGG"), ("a.opus", "OGG"),
    ("a.mp3", "MP3"),
])  # fmt: skip
def test_the_name_decides_the_format(tmp_path: Path, name: str, form: str) -> None:
    if form not in soundfile.available_formats():
        pytest.skip(f"this libsndfile does not know {form}")
    pcm = to_int16(tone(16000, 2.0))
    path = write_audio(tmp_path / name, pcm)
    with soundfile.SoundFile(path) as file:
        assert file.format == form and abs(file.frames / file.samplerate - 2) < 0.1
    if form in ("WAV", "FLAC"):
        np.testing.assert_array_equal(read_audio(path).pcm, pcm)


@pytest.mark.parametrize("name", ["a.m4a", "a.txt", "a.pcap", "a.wave1"])
def test_a_name_that_promises_another_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}: expected a name ending in .wav, .flac"):
        write_audio(tmp_path / name, np.zeros(320, np.int16))
    assert os.listdir(tmp_path) == []


@given(st.integers(1, 2000))
def test_packets_cover_everything_once(length: int) -> None:
    pcm = np.arange(length, dtype=np.int16) + 1
    pieces = list(packets(pcm))
    assert all(len(piece) == 320 for piece in pieces)
    joined = np.concatenate(pieces)
    np.testing.assert_array_equal(joined[:length], pcm)
    assert not joined[length:].any()
    assert len(pieces) == -(-length // 320)


def test_packets_can_be_asked_for_more() -> None:
    pieces = list(packets(np.ones(10, np.int16), 3))
    assert len(pieces) == 3
    assert sum(int(piece.sum()) for piece in pieces) == 10


def test_conversion_clips_instead_of_wrapping() -> None:
    values = to_int16(np.array([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0], np.float32))
    np.testing.assert_array_equal(values, [-32768, -32768, 0, 16384, 32767, 32767])
