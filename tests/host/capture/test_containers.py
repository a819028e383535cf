# SPDX-License-Identifier: BSD-2-Clause
"""Opus in WebM, Matroska and MP4, written by ffmpeg: the packets come out as they went in, with what they carry."""

from __future__ import annotations

import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from ogg_opus import ogg_opus
from speech_packets import speech

from dredge_host.capture import containers
from dredge_host.capture.packets import Choice
from dredge_host.capture.reader import is_capture, read_capture
from dredge_host.cli import main
from dredge_host.errors import CapabilityError, InputError
from dredge_host.offline.replay import replay
from dredge_host.sending.audio import packets as pieces
from dredge_host.sending.sender import Sender
from dredge_host.settings import Settings

av = pytest.importorskip("av", reason="needs PyAV: dredge extras add containers")
ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg: apt-get install ffmpeg")


def run(*words: object) -> None:
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *map(str, words)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def ours() -> list[bytes]:
    """2 s of our own stream, half a second of redundancy in its packets."""
    sender = Sender(redundancy_s=0.5)
    return [sender.push(piece).data[12:] for piece in pieces(speech()[:32000])]


@pytest.fixture(scope="module")
def original(ours: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ogg") / "stream.opus"
    path.write_bytes(ogg_opus(ours))
    return path


@ffmpeg
@pytest.mark.parametrize(("name", "kind"), [("x.webm", "Matroska"), ("x.mka", "Matroska"), ("x.mp4", "MP4")])
def test_packets_come_out_as_they_went_in(
    name: str, kind: str, original: Path, ours: list[bytes], tmp_path: Path
) -> None:
    path = tmp_path / name
    run("-i", original, "-c", "copy", path)
    capture = read_capture(path)
    assert capture.format == kind and capture.lost == 0 and capture.notes == []
    assert [packet.data for packet in capture.packets] == ours
    assert [packet.timestamp for packet in capture.packets] == [960 * number for number in range(len(ours))]
    assert is_capture(path)
    shown = CliRunner().invoke(main.cli, ["inspect", str(path), "--json", "--summary"])
    totals = json.loads(shown.stdout)["totals"]
    assert totals["versions"] == {"209": 100} and totals["latents_mean"] > 10


@ffmpeg
@pytest.mark.parametrize("frame_ms", [2.5, 20, 60])
def test_what_ffmpeg_encodes(frame_ms: float, tmp_path: Path) -> None:
    pcm = tmp_path / "in.s16"
    pcm.write_bytes(speech()[:32000].astype("<i2").tobytes())
    source = ["-f", "s16le", "-ar", "16000", "-ac", "1", "-i", pcm]
    codec = ["-c:a", "libopus", "-b:a", "32k", "-application", "lowdelay" if frame_ms < 10 else "voip"]
    wanted = None
    for name in ("x.opus", "x.webm", "x.mp4"):
        run(*source, *codec, "-frame_duration", frame_ms, "-fflags", "+bitexact", tmp_path / name)
        capture = read_capture(tmp_path / name)
        data = [packet.data for packet in capture.packets]
        wanted = wanted or data
        assert data[: len(wanted)] == wanted[: len(data)] and abs(len(data) - len(wanted)) <= 1
        stamps = [packet.timestamp for packet in capture.packets]
        assert stamps == [round(48 * frame_ms) * number for number in range(len(data))]


def written(path: Path, packets: list[tuple[int, bytes]], streams: int = 1, codec: str = "libopus") -> Path:
    """A file of packets with their times in ms; the second stream holds every packet too."""
    with av.open(str(path), "w") as file:
        made = [file.add_stream(codec, rate=48000) for _ in range(streams)]
        for stream in made:
            stream.codec_context.layout = "mono"
            stream.codec_context.open()
        for ms, data in packets:
            for stream in made:
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, Fraction(1, 1000)
                packet.pts = packet.dts = ms
                file.mux(packet)
    return path


def test_a_pause_stays_as_long_as_it_was(ours: list[bytes], tmp_path: Path) -> None:
    path = written(tmp_path / "x.mkv", [(20 * n + (300 if n >= 50 else 0), data) for n, data in enumerate(ours)])
    capture = read_capture(path)
    assert capture.notes == ["1 pauses, 0.3 s in all: nothing was sent there, or it was lost"]
    assert [packet.timestamp for packet in capture.packets][49:52] == [960 * 49, 960 * 65, 960 * 66]
    assert len(replay(capture, Settings(playout_ms=400)).pcm) == 320 * 115


def test_one_of_several_streams(ours: list[bytes], tmp_path: Path) -> None:
    path = written(tmp_path / "x.mkv", [(20 * n, data) for n, data in enumerate(ours[:20])], streams=2)
    assert read_capture(path).notes == ["left out: stream 2 of Opus; see --stream"]
    second = read_capture(path, Choice(stream=2))
    assert [packet.data for packet in second.packets] == ours[:20]
    for choice, words in (
        (Choice(stream=3), r"there is no stream 3 \(there are 2 of Opus\)"),
        (Choice(ssrc=1), "a Matroska file has no SSRC"),
    ):
        with pytest.raises(InputError, match=words):
            read_capture(path, choice)


@ffmpeg
def test_files_without_opus_and_files_with_too_many_channels(tmp_path: Path) -> None:
    tone = ["-f", "lavfi", "-i", "sine=duration=0.3:sample_rate=48000"]
    run(*tone, "-c:a", "aac", tmp_path / "aac.mp4")
    with pytest.raises(InputError, match=r"a MP4 file without an Opus stream \(its audio: aac\)"):
        read_capture(tmp_path / "aac.mp4")
    run(*tone, "-ac", 6, "-c:a", "libopus", tmp_path / "six.webm")
    with pytest.raises(InputError, match="Opus multistream, 6 channels"):
        read_capture(tmp_path / "six.webm")


def test_a_file_that_is_cut_short_gives_what_is_complete(ours: list[bytes], tmp_path: Path) -> None:
    data = written(tmp_path / "x.mkv", [(20 * n, packet) for n, packet in enumerate(ours)]).read_bytes()
    short = tmp_path / "short.mkv"
    short.write_bytes(data[: len(data) // 2])
    found = [packet.data for packet in read_capture(short).packets]
    assert 20 < len(found) < 80 and found[:-1] == ours[: len(found) - 1]


@pytest.mark.parametrize("head", [b"\x1a\x45\xdf\xa3", b"\0\0\0\x18ftypisom"])
def test_junk_is_refused_in_one_line(head: bytes, tmp_path: Path) -> None:
    path = tmp_path / "junk"
    for tail in (b"", bytes(4000), np.random.default_rng(1).bytes(4000)):
        path.write_bytes(head + tail)
        with pytest.raises(InputError, match=r"(damaged|without an Opus stream)") as caught:
            read_capture(path)
        assert "\n" not in str(caught.value)


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str, purpose: str, extra: str) -> None:
        raise CapabilityError(f"{purpose} needs {package}; run `dredge extras add {extra}`")

    monkeypatch.setattr(containers, "need", missing)
    path = tmp_path / "x.webm"
    path.write_bytes(b"\x1a\x45\xdf\xa3" + bytes(100))
    with pytest.raises(CapabilityError, match=r"WebM, Matroska and MP4 needs av; run `dredge extras add containers`"):
        read_capture(path)
