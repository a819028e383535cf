# SPDX-License-Identifier: BSD-2-Clause
"""Audio that comes through pipes, was never finished, or is spoiled in ways that still read."""

import io
import os
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dredge_host.errors import InputError
from dredge_host.sending.audio import AudioFile, read_audio, repacked, to_int16

RNG = np.random.default_rng(7)
PCM = (3000 * np.sin(np.arange(40000) / 9)).astype(np.int16)


def wav(pcm=PCM, rate=16000, subtype="PCM_16", form="WAV") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, rate, subtype, format=form)
    return buffer.getvalue()


def through_fifo(path: Path, content: bytes) -> threading.Thread:
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(content))
    writer.start()
    return writer


@pytest.mark.parametrize(("subtype", "form"), [("PCM_16", "WAV"), ("PCM_16", "FLAC"), ("VORBIS", "OGG")])
def test_a_fifo_is_a_file(tmp_path, subtype, form):
    content = wav(subtype=subtype, form=form)
    (tmp_path / "file").write_bytes(content)
    writer = through_fifo(tmp_path / "fifo", content)
    np.testing.assert_array_equal(read_audio(tmp_path / "fifo").pcm, read_audio(tmp_path / "file").pcm)
    writer.join()


@pytest.mark.parametrize("name", ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
def test_standard_input_by_any_name(tmp_path, name):
    words = [sys.executable, "-m", "dredge_host", "simulate", name, "o.wav", "--conceal", "opus", "--no-quality"]
    done = subprocess.run(words, input=wav(PCM[:16000]), cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert len(read_audio(tmp_path / "o.wav").pcm) == 16000


@pytest.mark.parametrize(("content", "words"), [(b"", "not a readable"), (b"hello", "not a readable"),
                                                (wav(PCM[:0]), "no audio samples")])  # fmt: skip
def test_a_pipe_without_audio_is_one_sentence(tmp_path, content, words):
    writer = through_fifo(tmp_path / "fifo", content)
    with pytest.raises(InputError, match=words) as caught:
        read_audio(tmp_path / "fifo")
    writer.join()
    assert str(tmp_path / "fifo") in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("riff", [0, 0xFFFFFFFF, 36])
@pytest.mark.parametrize("data", [0, 0xFFFFFFFF, 200000, 0x7FFFF000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_an_unfinished_wav_gives_what_is_there(tmp_path, riff, data, subtype):
    """What arecord, sox and ffmpeg leave behind when they are killed or write into a pipe."""
    content = bytearray(wav(subtype=subtype))
    at = content.index(b"data") + 4
    content[4:8], content[at : at + 4] = struct.pack("<I", riff), struct.pack("<I", data)
    (tmp_path / "a.wav").write_bytes(content + b"\x01")  # and half a sample
    audio = read_audio(tmp_path / "a.wav")
    assert abs(len(audio.pcm) - len(PCM)) <= 1 and np.abs(audio.pcm[: len(PCM)] - PCM).max() <= 1
    assert any("the WAV header promises" in note for note in audio.notes) == (data != 0xFFFFFFFF)


def test_a_finished_empty_wav_stays_empty(tmp_path):
    content = bytearray(wav(PCM[:0])) + b"LIST" + struct.pack("<I", 4) + b"INFO"
    content[4:8] = struct.pack("<I", len(content) - 8)
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(InputError, match="no audio samples"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize(("scale", "words"), [
    (0.5, None), (1.05 / 0.9, "clipped"), (3.0, "quieter"), (20.0, "quieter"),
    (32768.0, "16-bit integers"), (8388608.0, "24-bit integers"), (2147483648.0, "32-bit integers"),
])  # fmt: skip
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floats_beyond_full_scale_are_not_clipped_to_noise(tmp_path, scale, words, subtype):
    signal = 0.9 * np.sin(np.arange(32000) / 9)
    soundfile.write(tmp_path / "a.wav", signal * scale, 16000, subtype)
    audio = read_audio(tmp_path / "a.wav")
    assert [words in note for note in audio.notes] == ([True] if words else [])
    if words != "clipped":
        heard = audio.pcm / np.abs(audio.pcm).max()
        assert np.abs(heard - signal / 0.9).max() < 1e-3
        assert (np.abs(audio.pcm.astype(int)) >= 32767).mean() < 0.06


@pytest.mark.parametrize("channels", [2, 6])
@pytest.mark.parametrize("case", ["equal", "opposite", "one silent", "noise"])
def test_channels_that_cancel_are_not_mixed(tmp_path, channels, case):
    speech = 0.3 * np.sin(np.arange(32000) / 9)
    data = np.tile(speech[:, None], (1, channels))
    if case == "opposite":
        data[:, 1::2] *= -0.98
    elif case == "one silent":
        data[:, 1:] = 0
    elif case == "noise":
        data = 0.1 * RNG.standard_normal(data.shape)
    soundfile.write(tmp_path / "a.wav", data, 16000)
    audio = read_audio(tmp_path / "a.wav")
    alone = case == "opposite" or (case in ("one silent",) and channels == 6)
    level = 20 * np.log10(np.abs(audio.pcm).std() / (32768 * np.abs(data[:, 0]).std()))
    if case == "noise":
        return
    assert level > -7 and any("channel 1 alone is used" in note for note in audio.notes) == alone


def test_a_name_that_is_no_utf8(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), b"bad\xff.wav")
    with open(path, "wb") as file:
        file.write(wav())
    np.testing.assert_array_equal(read_audio(os.fsdecode(path)).pcm, PCM)


@pytest.mark.parametrize("rate", [8000, 44100])
def test_blocks_are_the_whole_file_and_start_again(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", np.stack([RNG.integers(-9000, 9000, 3 * 10**6)] * 2, 1).astype(np.int16), rate)
    with AudioFile(tmp_path / "a.wav") as file:
        first = np.concatenate(list(file.blocks()))
        second = np.concatenate(list(file.blocks()))
    import soxr

    data, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    whole = to_int16(np.asarray(soxr.resample(data[:, 0], rate, 16000, quality="HQ"), np.float32))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, whole)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
@pytest.mark.parametrize("count", [2, 3])
def test_recordings_that_follow_each_other_in_one_ogg_file(tmp_path, subtype, count):
    """Radio, or `cat a.ogg b.ogg`; the rates may differ."""
    rates = (16000, 48000, 16000)[:count]
    parts = [wav(np.resize(PCM, 2 * rate), rate, subtype, "OGG") for rate in rates]
    (tmp_path / "chained.ogg").write_bytes(b"".join(parts))
    audio = read_audio(tmp_path / "chained.ogg")
    assert abs(audio.seconds - 2 * count) < 0.05
    assert f"{count} recordings follow each other in this file" in audio.notes
    loud = [np.abs(audio.pcm[16000 * n + 4000 : 16000 * n + 12000]).max() for n in range(2 * count)]
    assert min(loud) > 1000


@pytest.mark.parametrize("samples", [None, 1, 319, 320, 321, 5000, 12345])
def test_repacked_is_the_same_signal(samples):
    blocks = [PCM[:100], PCM[100:101], PCM[101:5000], PCM[5000:5000], PCM[5000:12345]]
    pieces = list(repacked(blocks, samples))
    whole = PCM[: 12345 if samples is None else samples]
    assert {len(piece) for piece in pieces} == {320}
    joined = np.concatenate(pieces)
    np.testing.assert_array_equal(joined[: len(whole)], whole)
    assert not joined[len(whole) :].any() and len(joined) - len(whole) < 320


LIMITED = """
import resource, sys
sys.argv[0] = "dredge"
from dredge_host.cli.main import cli
from dredge_host.offline.simulate import make_receiver  # what is loaded anyway does not count
import dredge_host.links.loop_device, dredge_host.live.stream, soundfile, soxr
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (900 << 20),) * 2)
cli.main()
"""


@pytest.mark.parametrize("how", ["seconds", "file"])
def test_a_day_of_speech_needs_no_day_of_memory(tmp_path, how):
    """A day would be 2.6 GiB of samples; the stream goes on within 900 MiB until it is told to end."""
    source, extra = tmp_path / "a.wav", ["--seconds", "86400"]
    source.write_bytes(wav())
    if how == "file":  # a sparse file of a day, 16 kHz
        source, extra = tmp_path / "day.wav", []
        content = bytearray(wav(PCM))
        content[40:44] = content[4:8] = struct.pack("<I", 0xFFFFFFFF)
        source.write_bytes(content)
        os.truncate(source, 44 + 2 * 16000 * 86400)
    words = [sys.executable, "-c", LIMITED, "stream", source, "--to", "loop://", "--conceal", "opus", *extra]
    process = subprocess.Popen([*words, "--json-lines"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    said = [line for line, _ in zip(process.stderr, range(3), strict=False)]  # the third second
    process.send_signal(signal.SIGINT)
    said.append(process.communicate()[1])
    assert len(said) == 4 and said[1].startswith("{"), said
    assert process.returncode == 130 and "Traceback" not in said[-1]
