# SPDX-License-Identifier: BSD-2-Clause
"""Adaptive playout, pauses, networks, captures and the closed loop with real codecs and models."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from dredge_device import rtp
from dredge_device.pi.factory import OpusPacketReader
from dredge_host.cli.main import cli
from dredge_host.live.checks.serial_check import needed_baud
from dredge_host.live.screen.display import Display
from dredge_host.offline.simulate import simulate
from dredge_host.sending.audio import bundled_clip, read_audio
from dredge_host.sending.loss import LossModel, parse_loss
from dredge_host.sending.sender import Sender
from dredge_host.settings import Settings


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    with bundled_clip() as path:
        return read_audio(path).pcm[: 16000 * 6]


def paused(speech: np.ndarray) -> np.ndarray:
    """Two seconds of speech, two of digital silence, two of speech."""
    return np.concatenate((speech[:32000], np.zeros(32000, np.int16), speech[32000:64000]))


def test_adaptive_playout_recovers_more_than_its_mean_delay_where_the_network_changes(speech: np.ndarray) -> None:
    """Calm, then bursts, then calm: the delay is long where that pays, on every path and more so on all together."""
    speech = np.resize(speech, 24 * 16000)
    recovered = []
    for seed in (4, 5, 6):
        bursts = parse_loss("gilbert:rate=25%,burst=5,max=15", seed)
        lost = [700 <= n < 1200 and bursts.lost() for n in range(1300)]

        def run(settings: Settings, lost=lost):
            return simulate(speech, settings, loss=LossModel("calm, then bursts", 0.1, iter(lost)))

        adaptive = run(Settings(adaptive=True, playout_ms=1000, vocoder="small"))
        delays = [row[2] / 1000 for row in adaptive.timeline]
        fixed = run(Settings(playout_ms=20 * round(np.mean(delays) / 20), vocoder="small"))
        recovered.append([run.result["frames"]["dred"] for run in (adaptive, fixed)])
        assert min(delays) < 60 and 60 < np.mean(delays) < 200
        frames = adaptive.result["frames"]
        assert sum(frames.values()) == adaptive.result["packets"]
        assert abs(len(adaptive.pcm) - len(speech)) < 16000  # the delay is won back, the speech not lost
        numbers = [row[0] for row in adaptive.timeline]
        assert numbers == sorted(set(numbers))
    moving, constant = np.array(recovered).T
    assert (moving > constant).all() and moving.sum() > 1.05 * constant.sum()


def test_adaptive_playout_without_loss_changes_no_sample(speech: np.ndarray) -> None:
    adaptive = simulate(speech, Settings(adaptive=True))
    fixed = simulate(speech, Settings(playout_ms=60))
    heard = adaptive.pcm[adaptive.result["alignment"]["opus_lookahead_samples"] :]
    assert adaptive.result["frames"]["opus"] == adaptive.result["packets"]
    lead = int(np.flatnonzero(heard[:2000] != 0)[0]) - int(np.flatnonzero(fixed.pcm[:2000] != 0)[0])
    moved = heard[max(0, lead) :]
    assert (moved[:60000] == fixed.pcm[:60000]).all()


def test_a_pause_is_not_sent(speech: np.ndarray) -> None:
    sender = Sender(redundancy_s=1.0, dtx=True)
    made = [sender.push(piece) for piece in paused(speech).reshape(-1, 320)]
    sent = [rtp.parse(packet.data) for packet in made if packet.data]
    silent = [packet.index for packet in made if not packet.data]
    assert len(silent) >= 60 and all(100 <= index < 215 for index in silent)
    assert [p.sequence for p in sent] == list(range(len(sent)))
    stamps = np.diff([p.timestamp for p in sent]) // 960
    assert stamps.sum() == sent[-1].timestamp // 960 and stamps.max() > 5
    assert sender.next_sequence == len(sent) and sender.last_timestamp == 960 * (len(made) - 1)
    starts = [p for p, step in zip(sent[1:], stamps, strict=True) if p.marker]
    assert starts and all(not OpusPacketReader().is_dtx(p.payload) for p in starts)
    rests = [p for p in sent if OpusPacketReader().is_dtx(p.payload)]
    assert rests and all(OpusPacketReader().dred(p.payload) for p in rests)  # what was said before is in them


def test_losses_before_a_pause_are_filled_from_its_first_packet(speech: np.ndarray) -> None:

    pcm = paused(speech)
    probe = Sender(redundancy_s=1.0, dtx=True)
    first_rest = next(
        packet.index
        for packet in (probe.push(piece) for piece in pcm.reshape(-1, 320))
        if packet.data and OpusPacketReader().is_dtx(rtp.parse(packet.data).payload)
    )
    loss = parse_loss("none")
    loss._source = iter([first_rest - 8 <= n < first_rest for n in range(10**4)])
    run = simulate(pcm, Settings(dtx=True, playout_ms=400), loss=loss)
    by_number = {row[0]: row[1] for row in run.timeline}
    assert {by_number[n] for n in range(first_rest - 8, first_rest)} == {"dred"}
    assert run.result["frames"]["dtx"] >= 60 and run.result["frames"]["plc"] == 0


def stream(*words: object) -> dict:
    run = CliRunner().invoke(cli, ["stream", *[str(word) for word in words], "--to", "loop://", "--json"])
    assert run.exit_code == 0, run.output
    return json.loads(run.stdout)


def test_the_command_streams_through_a_bad_network(tmp_path: Path, speech: np.ndarray) -> None:
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, speech[:16000], 16000, "PCM_16")
    result = stream(clip, "--seconds", 3, "--loss", "20%", "--jitter", "20ms", "--reorder", "10%,by=3",
                    "--duplicate", "5%", "--playout", "adaptive", "--redundancy", "auto", "--dtx",
                    "--capture", tmp_path / "a.pcap")  # fmt: skip
    books = result["stream"]["accounting"]
    assert books["complete"] and books["copies"] >= 1
    assert result["device_report"]["adaptive"] is True and result["packets"] == 150
    assert result["adaptation"] and all(entry["why"] for entry in result["adaptation"])
    assert {path.name for path in tmp_path.iterdir()} == {"clip.wav", "a.pcap", "a.sdp"}


@pytest.mark.parametrize(
    ("words", "steered"),
    [([], True), (["--cap", "0"], True), (["--redundancy", "1.0"], False), (["--conceal", "plc"], False)],
)
def test_reports_decide_what_is_sent_unless_something_is_asked_for(tmp_path: Path, words: list[str], steered) -> None:
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, np.zeros(16000, np.int16), 16000, "PCM_16")
    result = stream(clip, "--seconds", 2.4, *words)
    assert ("adaptation" in result) == steered
    if steered:
        assert result["adaptation"][0]["why"].startswith("nothing lost")
        assert (result["adaptation"][0]["speech_bps"] > 24_000) == (not words), "what is not lost is worth more speech"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(["--redundancy", "much"], "expected seconds"), (["--jitter", "x"], "expected milliseconds"),
     (["--playout", "adaptive:9000"], "longer than 5000"), (["--reorder", "5"], "expected a share"),
     (["--key-file", "no-such-file"], "No such file")],
)  # fmt: skip
def test_bad_options_are_one_sentence(tmp_path: Path, words: list[str], sentence: str) -> None:
    clip = tmp_path / "clip.wav"
    soundfile.write(clip, np.zeros(1600, np.int16), 16000, "PCM_16")
    run = CliRunner().invoke(cli, ["stream", str(clip), "--to", "udp://127.0.0.1:9", *words])
    assert run.exit_code == 2 and sentence in run.stderr


def test_the_meter_says_what_the_bits_are_for() -> None:
    out = io.StringIO()
    with Display(100, stream=out) as meter:
        meter.update({"t_s": 1.0, "bitrate_bps": 64000, "split_bps": {"speech": 24000, "lbrr": 0, "dred": 24000}})
        meter.update({"t_s": 2.0, "by_source": {"opus": 5, "dtx": 7, "skipped": 2}})
    assert "64.0 kb/s (speech 24.0, dred 24.0)" in out.getvalue()
    assert "pause 7" in out.getvalue() and "given up 2" in out.getvalue()


def test_the_needed_baud_rate_grows_with_what_is_sent() -> None:
    plain = needed_baud(Settings(redundancy_s=0.0))
    assert 30_000 < plain < needed_baud(Settings()) < needed_baud(Settings(lbrr=True)) < 115_200
