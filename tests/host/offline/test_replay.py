# SPDX-License-Identifier: BSD-2-Clause
"""Captured streams played by our receiver: gaps of the capture and of a loss model, packets of several frames."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from capture_cases import datagrams, rtpdump
from click.testing import CliRunner
from host_fakes import PcmReceiver
from speech_packets import encode, speech

from dredge_device import rtp
from dredge_host.capture.opus_demo import write as bit_file
from dredge_host.capture.packets import Capture, Captured
from dredge_host.cli import main
from dredge_host.offline.replay import replay, timed
from dredge_host.sending.audio import packets as pieces
from dredge_host.sending.loss import parse_loss
from dredge_host.sending.sender import Sender
from dredge_host.settings import Settings
from dredge_kernels.framing import build_packet, parse_packet
from dredge_kernels.opus import OpusDecoder

SETTINGS = Settings(playout_ms=100, conceal="opus")


def capture(*packets: bytes, numbers: list[int] | None = None) -> Capture:
    return Capture("test", [Captured(p, None, numbers[i] if numbers else None) for i, p in enumerate(packets)])


@pytest.fixture(scope="module")
def ours() -> list[bytes]:
    sender = Sender(redundancy_s=0.5)
    return [sender.push(piece).data[12:] for piece in pieces(speech()[:48000])]


def test_without_loss_it_is_what_an_opus_decoder_plays() -> None:
    packets = encode(seconds=1.0)
    run = replay(capture(*packets), SETTINGS)
    decoder = OpusDecoder()
    np.testing.assert_array_equal(run.pcm, np.concatenate([decoder.decode(p) for p in packets]))
    assert run.result["schema"] == "dredge.replay/1" and run.result["frames"]["opus"] == len(packets)
    assert run.result["loss"]["rate"] == 0 and run.trace == [False] * len(packets)


def test_gaps_of_the_capture_are_losses_and_are_filled(ours: list[bytes]) -> None:
    kept = [n for n in range(150) if n not in range(60, 70)]
    run = replay(capture(*(ours[n] for n in kept), numbers=[65500 + n for n in kept]), Settings(playout_ms=400))
    assert run.result["packets"] == 150 and run.trace == [n not in kept for n in range(150)]
    assert run.result["frames"]["dred"] == 10 and run.result["frames"]["opus"] == 140
    assert [row[0] for row in run.timeline] == list(range(150))
    assert run.result["dred"]["payloads_parsed"] == 1


def test_a_loss_model_comes_on_top(ours: list[bytes]) -> None:
    loss = parse_loss("20%", 3)
    steps: list[tuple[int, int]] = []
    run = replay(capture(*ours), Settings(playout_ms=400), loss=loss, progress=lambda *step: steps.append(step))
    assert 0.1 < run.result["loss"]["rate"] < 0.3
    assert run.result["frames"]["dred"] == sum(run.trace) - run.result["frames"]["plc"] > 10
    assert steps[-1] == (150, 150)


def test_packets_of_several_frames_are_played(ours: list[bytes]) -> None:
    """Two and three of 20 ms in one, with the redundancy of the first; lost ones are as long."""
    frames = [parse_packet(packet) for packet in ours]
    for each in (2, 3):
        groups = [frames[i : i + each] for i in range(0, 60, each)]
        packets = [build_packet(g[0].toc, [f for p in g for f in p.frames], g[0].padding) for g in groups]
        run = replay(capture(*packets), SETTINGS)
        decoder = OpusDecoder()
        np.testing.assert_array_equal(run.pcm, np.concatenate([decoder.decode(p) for p in packets]))
        kept = [n for n in range(len(packets)) if n not in (8, 9)]
        run = replay(capture(*(packets[n] for n in kept), numbers=kept), Settings(playout_ms=400))
        assert run.result["packets"] == 60 and run.result["frames"]["dred"] == 2 * each
        assert run.result["frames"]["opus"] == 60 - 2 * each


def test_pauses_stay_as_long_as_they_were() -> None:
    packets = encode(seconds=1.0)
    stamps = [960 * n + (72000 if n >= 25 else 0) for n in range(50)]
    paused = [Captured(p, None, 7 + n, stamps[n]) for n, p in enumerate(packets)]
    run = replay(Capture("test", paused), SETTINGS)
    assert run.result["seconds"] == 2.5 and run.trace == [False] * 50
    assert run.result["frames"]["dtx"] >= 5 and run.result["frames"]["opus"] == 50


def test_ten_milliseconds_share_a_period() -> None:
    packets = [bytes([30 << 3, n, 7, 40]) for n in range(100)]
    run = replay(capture(*packets), SETTINGS)
    decoder = OpusDecoder()
    np.testing.assert_array_equal(run.pcm, np.concatenate([decoder.decode(p) for p in packets]))


def test_damaged_packets_are_left_to_the_receiver() -> None:
    packets = encode(seconds=0.4)
    run = replay(capture(*packets[:5], b"\x4b\x00", *packets[6:]), SETTINGS)
    assert run.result["frames"]["opus"] == len(packets) - 1


def test_thirty_milliseconds_are_played_over_two_periods() -> None:
    thirty = build_packet(30 << 3, [b"ab", b"cd", b"ef"])
    run = replay(capture(*[thirty] * 20), SETTINGS)
    decoder = OpusDecoder()
    np.testing.assert_array_equal(run.pcm, np.concatenate([decoder.decode(p) for p in [thirty] * 20]))


def test_a_jump_of_the_numbers_does_not_fill_the_memory() -> None:
    packets = encode(seconds=0.1)
    assert len(timed(capture(packets[0], packets[1], numbers=[0, 60000]))) == 3002


def test_the_receiver_is_replaceable_and_hears_numbers_in_order() -> None:
    heard = []

    class Recording(PcmReceiver):
        def push(self, datagram: bytes, now_us: int) -> None:
            heard.append((rtp.parse(datagram).sequence, now_us))
            super().push(datagram, now_us)

    def factory(settings: Settings, clock: Callable[[], int]) -> Recording:
        return Recording(settings, clock)

    samples = [bytes([0x48]) + bytes([n]) * 639 for n in range(4)]
    run = replay(capture(*samples[:2], samples[3], numbers=[7, 8, 10]), SETTINGS, receiver_factory=factory)
    assert heard == [(0, 0), (1, 20_000), (3, 60_000)]
    assert run.result["dred"] is None and run.result["packets"] == 4


def test_the_command_plays_captures(ours: list[bytes], tmp_path: Path) -> None:
    bit, dump, out = tmp_path / "a.bit", tmp_path / "a.rtpdump", tmp_path / "out.wav"
    bit.write_bytes(bit_file([(p, 0) for p in ours]))
    sent = datagrams(ours)
    dump.write_bytes(rtpdump(sent[:50] + sent[55:]))
    words = ["--playout", "fixed:400", "--json"]
    for source, extra, lost in ((bit, ["--loss", "10%"], None), (dump, [], 5)):
        result = CliRunner().invoke(main.cli, ["simulate", str(source), str(out), *words, *extra])
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert document["schema"] == "dredge.replay/1" and document["input"] == str(source)
        assert document["frames"]["dred"] > 0
        if lost:
            assert document["frames"]["dred"] == lost and document["frames"]["opus"] == 145
        pcm, rate = soundfile.read(out, dtype="int16")
        assert rate == 16000 and len(pcm) == 320 * 150
    text = CliRunner().invoke(main.cli, ["simulate", str(dump), str(out), "--playout", "fixed:400"]).stdout
    assert "dred 5" in text and "bitrate" not in text


def test_what_is_no_opus_is_not_played(tmp_path: Path) -> None:
    """An encrypted payload is noise at full scale."""
    rng = np.random.default_rng(1)
    path = tmp_path / "a.rtpdump"
    path.write_bytes(rtpdump(datagrams([rng.bytes(80) for _ in range(100)])))
    result = CliRunner().invoke(main.cli, ["simulate", str(path), str(tmp_path / "o.wav")])
    assert result.exit_code == 2 and "does not read as Opus" in result.output and "SRTP" in result.output
    assert not (tmp_path / "o.wav").exists()
