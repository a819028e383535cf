# SPDX-License-Identifier: BSD-2-Clause
"""A board's microphone and loudspeaker in the real interpreter: I2S is a file with a clock, the rest is real."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import boards
import interpreters
import numpy as np
import pytest
import soundfile
from ports import free_port
from waiting import until

from dredge_device.pi.output.board import BoardOutput
from dredge_device.pi.service.pacer import Pacer
from dredge_host.audio_io.board import BoardSource
from dredge_host.audio_io.source import pieces
from dredge_host.errors import UnreachableError, UsageError
from dredge_host.links.agent_process import AgentProcess
from dredge_host.live.watch import line

sys.path.append(str(interpreters.ROOT / "tests/device"))
from cable import Cable

SPEECH = interpreters.ROOT / "tests/data/speech_short.flac"
RAMP = np.arange(-16000, 16000, dtype=np.int16)  # 2 s in which every sample says where it is
UNITY = {"gain": 0, "sck": 1, "ws": 2, "sd": 3}
PINS = {"sck": 4, "ws": 5, "sd": 6}


@pytest.fixture
def command():
    return interpreters.need(interpreters.native())


def microphone(tmp_path, pcm=RAMP, ppm=0):
    path = tmp_path / "spoken.raw"
    path.write_bytes(pcm.astype("<i2").tobytes())
    return {"DREDGE_MICROPHONE": str(path), "DREDGE_I2S_PPM": str(ppm)}


def loudspeaker(tmp_path, ppm=0):
    return {"DREDGE_SPEAKER": str(tmp_path / "heard.raw"), "DREDGE_I2S_PPM": str(ppm)}


def heard(tmp_path):
    played = (tmp_path / "heard.raw").read_bytes()
    return np.frombuffer(played[: len(played) // 2 * 2], "<i2")


def places(pcm):
    """Steps of a recorded ramp, where it is one: 1 everywhere but at its end and where something is missing."""
    return np.diff(pcm.astype(int)) % len(RAMP)


def listen(source, packets):
    return list(pieces(source, packets))


def test_a_microphone_is_heard_sample_by_sample(command, tmp_path):
    source = BoardSource("udp-pcm://127.0.0.1:0?from=localhost")
    peer = source.address.removeprefix("udp://")
    with boards.Board(command, tmp_path / "board", program="microphone", peer=peer, microphone=UNITY,
                      wires=microphone(tmp_path)) as board:  # fmt: skip
        got = listen(source, 200)
        report = boards.last_report(board)
    source.close()
    told = source.report()
    assert told["kind"] == "board" and told["received"] > 100 and told["garbage"] == 0
    whole = [piece for piece in got if np.all(places(piece) == 1)]
    assert len(whole) >= told["received"] - told["late"] - told["skipped_ms"] // 20 - 25 and len(whole) > 75
    # What left the board and what came are the same packets, but for what was on its way.
    assert report["schema"] == "dredge-audio-report-1"
    assert 0 <= report["microphone"]["packets"] + report["microphone"]["skipped"] - told["received"] < 100
    assert "microphone" in line(report)


def stream(source, to, folder, *options):
    done = subprocess.run(
        [sys.executable, "-m", "dredge_host", "stream", source, "--to", to, "--seconds", "4", "--json",
         "--redundancy", "1.0", "--loss", "gilbert:rate=20%,burst=4", "--seed", "3", *options],
        capture_output=True, text=True, timeout=120, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_a_board_hears_is_recovered_at_the_other_end(command, tmp_path):
    """Board -> UDP -> `dredge stream` with losses -> agent -> WAV file."""
    port = free_port()
    speech = soundfile.read(SPEECH, dtype="int16")[0]
    with (
        AgentProcess(out=tmp_path / "out.wav") as agent,
        boards.Board(command, tmp_path / "board", program="microphone", peer=f"127.0.0.1:{port}", microphone=UNITY,
                     wires=microphone(tmp_path, speech)),
    ):  # fmt: skip
        result = stream(f"udp-pcm://127.0.0.1:{port}", agent.url, tmp_path)
    frames = result["frames"]["by_source"]
    assert result["source"]["kind"] == "board" and result["source"]["received"] > 150
    assert sum(frames.values()) == 200 and frames["dred"] > 10
    assert np.abs(soundfile.read(tmp_path / "out.wav", dtype="int16")[0]).max() > 1000


def test_what_the_pi_recovers_is_played_by_a_board(command, tmp_path):
    """File -> `dredge stream` with losses -> agent -> UDP -> board -> I2S."""
    with boards.Board(command, tmp_path / "board", program="speaker", speaker=PINS,
                      wires=loudspeaker(tmp_path)) as board:  # fmt: skip
        with AgentProcess(out=f"udp-pcm://127.0.0.1:{board.port}", playout_ms=300) as agent:
            result = stream(str(SPEECH), agent.url, tmp_path, "--playout", "fixed:300")
        report = boards.last_report(board)["loudspeaker"]
    output = result["device_report"]["output"]
    assert output["kind"] == "board" and output["packets"] >= 200 and output["unsent"] == 0
    assert report["packets"] > 150 and report["garbage"] == 0
    played = heard(tmp_path)
    assert np.abs(played).max() > 1000 and len(played) > 3 * 16000


@pytest.mark.parametrize("ppm", [0, 2000])
def test_a_loudspeaker_follows_the_sender_and_plays_every_sample(command, tmp_path, ppm):
    """A clock that is 2000 ppm fast needs a sample more every 30 ms; the others are those that were sent."""
    with boards.Board(command, tmp_path / "board", program="speaker", speaker=PINS,
                      wires=loudspeaker(tmp_path, ppm)) as board:  # fmt: skip
        output, pacer = BoardOutput(f"udp-pcm://127.0.0.1:{board.port}"), Pacer()
        for n in range(400):
            pacer.wait()
            output.write(np.roll(RAMP, -320 * n)[:320], True)
        report = boards.last_report(board)["loudspeaker"]
        output.discard()
    steps = places(heard(tmp_path))
    assert np.count_nonzero(steps == 1) > 300 * 320 or report["dry"]  # dry: the board, or we, stood still
    assert report["packets"] > 350
    if ppm and not report["dry"]:
        assert report["longer"] > report["shorter"]
        assert np.count_nonzero(steps == 0) >= report["longer"] // 2


def test_one_wire_carries_both_directions(command, tmp_path):
    """An intercom on a UART: source and output of a process share the line."""
    wires = {**microphone(tmp_path), **loudspeaker(tmp_path)}
    with (
        Cable(tmp_path, baud=921600) as cable,
        boards.Board(command, tmp_path / "board", cable.ends[1], program="intercom", carrier="uart", microphone=UNITY,
                     speaker=PINS, wires=wires) as board,
    ):  # fmt: skip
        assert board.greeting.startswith("intercom: uart")
        url = f"board://{cable.ends[0]}?baud=921600"
        source, output = BoardSource(url), BoardOutput(url)
        got = []
        for n in range(200):
            got.append(source.read())
            output.write(np.roll(RAMP, -320 * n)[:320], True)
        told, sent = source.report(), output.close()
        source.close()
        output.discard()
    assert told["received"] > 100 and told["line"]["damaged"] == 0
    assert sent["packets"] == 200 and sent["line"]["overruns"] == 0
    assert len([piece for piece in got if np.all(places(piece) == 1)]) > 75
    assert np.count_nonzero(places(heard(tmp_path)) == 1) > 100 * 320


def test_usb_carries_a_microphone(command, tmp_path):
    """The board's own serial port, on which it prints as well."""
    with Cable(tmp_path) as cable, open(cable.ends[1], "wb", buffering=0) as usb:
        source = BoardSource(f"board://{cable.ends[0]}")
        with boards.Board(command, tmp_path / "board", program="microphone", carrier="usb", microphone=UNITY,
                          wait=False, wires=microphone(tmp_path), stdout=usb.fileno()):  # fmt: skip
            got = listen(source, 150)
        told = source.report()
        source.close()
    assert told["received"] > 75 and told["line"]["damaged"] == 0
    assert len([piece for piece in got if np.all(places(piece) == 1)]) > 60


def test_samples_that_nobody_fetched_are_counted_and_time_is_kept(command, tmp_path):
    source = BoardSource("udp-pcm://127.0.0.1:0")
    peer = source.address.removeprefix("udp://")
    with boards.Board(command, tmp_path / "board", program="microphone", peer=peer, microphone=UNITY,
                      wires=microphone(tmp_path)) as board:  # fmt: skip
        listen(source, 50)
        board.pause_with(lambda: time.sleep(0.4))
        listen(source, 50)
        report = boards.last_report(board)["microphone"]
    source.close()
    assert report["overruns"] >= 1 and report["skipped"] >= 8  # of 20 packets, six fit into I2S
    assert source.report()["restarts"] == 0


def test_a_board_that_is_away_is_silent_and_comes_back(command, tmp_path):
    source = BoardSource("udp-pcm://127.0.0.1:0")
    peer = source.address.removeprefix("udp://")
    assert not np.concatenate(listen(source, 5)).any()
    assert "nothing came from a board" in source.report()["advice"]
    for _ in range(2):
        with boards.Board(command, tmp_path / "board", program="microphone", peer=peer, microphone=UNITY,
                          wires=microphone(tmp_path)):  # fmt: skip
            until(lambda: source.read().any())
        until(lambda: not source.read().any())
        time.sleep(3.1)  # it has another port now, and is a stranger until the first one counts as gone
    source.close()


def test_a_stream_from_a_board_that_is_not_there_says_what_to_look_at(tmp_path):
    port = free_port()
    with AgentProcess() as agent:
        done = subprocess.run(
            [sys.executable, "-m", "dredge_host", "stream", f"udp-pcm://127.0.0.1:{port}", "--to", agent.url,
             "--seconds", "1"],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"source   nothing came from a board at udp://127.0.0.1:{port}" in done.stdout


@pytest.mark.parametrize(
    ("here", "board", "strangers"),
    [
        ("127.0.0.1", "127.0.0.2", 5),
        ("127.0.0.1", "localhost", 0),
        ("[::1]", "::1", 0),
        ("[::1]", "::2", 5),
        ("[::]", "127.0.0.1", 0),
        ("[::]", "::ffff:127.0.0.1", 0),
    ],
)
def test_only_the_named_board_is_heard(here, board, strangers):
    source = BoardSource(f"udp-pcm://{here}:0?from={board}")
    port = source.address.rpartition(":")[2]
    output = BoardOutput(f"udp-pcm://{here.replace('[::]', '127.0.0.1')}:{port}")
    for _ in range(5):
        output.write(np.full(320, 1000, np.int16), True)
    assert np.concatenate(listen(source, 10)).any() == (not strangers)
    assert source.report()["strangers"] == strangers
    source.close()
    output.discard()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"program": "microphone"}, "needs peer, HOST:PORT of the Pi"),
        ({"program": "speaker", "carrier": "usb", "speaker": PINS}, "MicroPython reads USB too slowly"),
        ({"program": "speaker", "carrier": "smoke"}, "carrier is 'smoke', expected wifi or uart or usb"),
        ({"program": "microphone", "peer": "a:1", "microphone": {"sck": 1, "ws": 2}}, "the pin 'sd' of I2S"),
        ({"program": "microphone", "peer": "a:1", "microphone": {**UNITY, "gain": 9}}, "gain is 9, expected 0 to 8"),
    ],
)
def test_wrong_settings_are_named(command, tmp_path, settings, words):
    with pytest.raises(AssertionError, match=words):
        boards.Board(command, tmp_path / "board", wires=microphone(tmp_path), **settings)


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("udp-pcm://127.0.0.1", UsageError, "with a port from 0 to 65535"),
        ("udp-pcm://:5006?to=x", UsageError, "the only option is from="),
        ("udp-pcm://:5006?from=no-such-board.invalid", UnreachableError, "no-such-board"),
        ("board:///dev/no-such-port", UnreachableError, "no-such-port"),
        ("board://", UsageError, "'board://'.*board:///dev/ttyUSB0"),
        ("board:///dev/null/x", UnreachableError, "^board:///dev/null/x: the serial port"),
    ],
)
def test_wrong_urls_are_named(url, error, words):
    with pytest.raises(error, match=words):
        BoardSource(url)


def test_an_output_needs_the_boards_address():
    with pytest.raises(ValueError, match=r"udp-pcm://192\.168"):
        BoardOutput("udp-pcm://:5006")
