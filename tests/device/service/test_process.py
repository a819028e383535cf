# SPDX-License-Identifier: BSD-2-Clause
"""A real agent process, real sockets, real Opus: one short stream after another."""

import random
import signal
import socket
import time
import wave
from pathlib import Path

import numpy as np
import pytest
from device_host import Host, start_agent
from waiting import until

from dredge_device import control, rtp
from dredge_device.__main__ import main
from dredge_device.pi.service.process import ListenError, parse_listen
from dredge_kernels import opus

SSRC = 0xBEEF
CLIP = Path(__file__).parents[2] / "data" / "speech_short.flac"


def voice(packets):
    """A tone with vibrato and an amplitude that breathes, int16[320 n]."""
    t = np.arange(320 * packets) / 16000
    phase = 2 * np.pi * (140 * t + 2 * np.sin(2 * np.pi * 3 * t))
    wave_form = sum(np.sin(k * phase) / k for k in range(1, 12))
    return np.rint(4000 * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * t)) * wave_form).astype(np.int16)


def stream(host, count, lost=(), first=0, ssrc=SSRC, pace=0.02):
    encoder = opus.OpusEncoder(bitrate=24000)
    pcm = voice(count).reshape(count, 320)
    begin = time.monotonic()
    for n in range(count):
        data = rtp.build(first + n, 960 * n, ssrc, encoder.encode(pcm[n]))
        if n not in lost:
            host.socket.send(data)
        host.listen(max(0.0, begin + pace * (n + 1) - time.monotonic()))
    return pcm.reshape(-1)


def read_wav(path):
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16000, 1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


@pytest.fixture
def agent(tmp_path):
    """Starts agents and makes sure that none outlives its test."""
    started = []

    def start(*arguments):
        process, address = start_agent(*arguments, cwd=tmp_path)
        host = Host(address)
        started.append((process, host))
        return process, host

    yield start
    for process, host in started:
        host.close()
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=60)


def test_whole_session_over_lossy_udp(agent, tmp_path):
    out = tmp_path / "out.wav"
    process, host = agent("--out", str(out), "--conceal", "opus", "--once")
    hello = host.ask(control.HELLO)
    assert hello["ok"] and hello["protocol"] == 1 and hello["simd"] and hello["opus"]
    wanted = {"playout_ms": 600, "ssrc": SSRC, "first_sequence": 65500}
    assert host.ask(control.CONFIGURE, wanted)["ok"]
    for junk in (b"", b"\x80", b"\x80\xcc\0\1" + bytes(4), bytes(1500), b"\xff" * 40):
        host.socket.send(junk)
    lost = {0, 20, 21, 22, 40}
    pcm = stream(host, 70, lost, first=65500)  # the sequence number wraps on the way
    assert not out.exists()  # complete or not there at all
    dice = random.Random(3)
    host.drop = lambda datagram: dice.random() < 0.3
    assert host.ask(control.BYE, {"last_sequence": (65500 + 69) & 0xFFFF})["ok"]
    final = host.final()
    heard = read_wav(out)
    assert process.wait(timeout=60) == 0
    assert final["packets"]["expected"] == 70 and final["packets"]["lost"] == 5
    assert final["sources"]["opus"] == 65 and final["sources"]["conceal"] == 5
    assert final["bursts"] == {"1": 2, "3": 1}
    assert final["timeline"]["sources"][18:24] == "oocc" + "co" and final["playout_ms"] == 600
    assert final["control"]["garbage"] + final["packets"]["malformed"] >= 3
    assert final["output"]["samples"] == len(heard) == 70 * 320
    assert any(not report["final"] for report in host.reports) and host.receipts
    assert abs(delay_of(pcm, heard) - opus.OpusEncoder().lookahead) <= 8


def delay_of(sent, heard):
    """By how many samples what was heard lags behind what was sent, within a pitch period."""
    a = sent[6400:16000].astype(float)
    return max(range(50, 160), key=lambda lag: a @ heard[6400 + lag : 16000 + lag].astype(float))


def test_two_sessions_make_two_files(agent, tmp_path):
    process, host = agent("--out", str(tmp_path / "a.wav"), "--conceal", "opus")
    for session, name in enumerate(("a.wav", "a-2.wav")):
        host.reports.clear()
        assert host.ask(control.CONFIGURE, {"playout_ms": 600})["ok"]
        stream(host, 10, ssrc=SSRC + session)
        host.ask(control.BYE, {"last_sequence": 9})
        assert host.final()["sources"]["opus"] == 10
        assert len(read_wav(tmp_path / name)) == 3200
        host.listen(0.3)  # the acknowledgement ends the session
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a-2.wav", "a.wav"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_interruption_leaves_a_complete_file_and_a_last_report(agent, tmp_path, number, code):
    out = str(tmp_path / "a.wav")
    process, host = agent("--out", out, "--conceal", "opus", "--playout", "fixed:0")
    host.ask(control.HELLO)
    stream(host, 25)
    until(lambda: any(part.stat().st_size > 20 * 640 for part in tmp_path.glob(".a.wav.*.part")))
    process.send_signal(number)
    final = host.final()
    assert final["interrupted"] and process.wait(timeout=60) == code
    samples = read_wav(tmp_path / "a.wav")
    assert len(samples) == final["output"]["samples"] >= 20 * 320 and samples.any()
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]


def test_sender_that_restarts_is_heard_again(agent):
    _, host = agent("--conceal", "opus", "--playout", "fixed:600")
    host.ask(control.HELLO)
    stream(host, 15, pace=0.01)
    stream(host, 15, first=30000, ssrc=77)
    host.ask(control.BYE, {"last_sequence": 30014})
    final = host.final()
    assert final["packets"]["restarts"] == 1 and final["stream"]["ssrc"] == 77
    assert final["packets"]["received"] == 30


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--listen", "udp://0.0.0.0:0"], 2, "add --allow-remote"),
        (["--listen", "tcp://x"], 2, "expected udp://HOST:PORT"),
        (["--listen", "udp://127.0.0.1:99999"], 2, "expected udp://HOST:PORT"),
        (["--listen", "udp://127.0.0.1:0", "--out", "song.mp3"], 2, "expected null, play"),
        (["--listen", "udp://127.0.0.1:0", "--out", "/nowhere/at/all.wav"], 2, "/nowhere/at"),
    ],
)
def test_complaints_are_one_sentence_with_the_right_code(arguments, code, sentence, capsys):
    assert main(arguments) == code
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


def test_wrong_playout_is_refused_by_the_parser(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--playout", "soon"])
    assert caught.value.code == 2 and "expected fixed:<milliseconds>" in capsys.readouterr().err


def test_address_in_use_is_reported(capsys):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{taken.getsockname()[1]}"
        assert main(["--listen", url]) == 3
    assert f"{url}: Address already in use; end the program that has this port" in capsys.readouterr().err


def test_a_status_address_in_use_is_named(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert main(["--listen", "udp://127.0.0.1:0", "--status", f"http://{address}"]) == 3
    assert f"status at {address}: Address already in use" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["127.0.0.1", "127.8.8.8", "localhost"])
def test_loopback_needs_no_permission(name):
    assert parse_listen(f"udp://{name}:5004", False) == (name, 5004)
    with pytest.raises(ListenError):
        parse_listen("udp://192.168.0.2:5004", False)
    assert parse_listen("udp://192.168.0.2:5004", True) == ("192.168.0.2", 5004)


@pytest.mark.parametrize("port", ["²", "٣", "70000", "9" * 5000, ""])
def test_a_port_that_is_no_number_is_one_sentence(port):
    with pytest.raises(ListenError, match=r"expected udp://HOST:PORT"):
        parse_listen(f"udp://127.0.0.1:{port}", True)


def test_lost_speech_comes_back_by_dred_over_udp(agent, tmp_path):
    """Everything real: two bursts of 100 ms, a delay that a busy machine keeps, models in the agent's process."""
    import soundfile

    from dredge_kernels import extensions
    from dredge_models import dred
    pcm, _ = soundfile.read(CLIP, dtype="int16", frames=320 * 80)
    out = tmp_path / "dred.wav"
    _, host = agent("--out", str(out), "--playout", "fixed:1500")
    assert {"dredge-rdovae-1"} <= set(host.ask(control.HELLO)["models"])
    encoder = opus.OpusEncoder(bitrate=24000)
    history = dred.DredEncoder(encoder.lookahead)
    begin = time.monotonic()
    lost = {*range(30, 35), *range(60, 65)}
    for n, piece in enumerate(pcm.reshape(-1, 320)):
        history.push(piece)
        payload = history.payload(1.0)
        data = extensions.add_extension(encoder.encode(piece), dred.DRED_EXTENSION_ID, payload)
        if n not in lost:
            host.socket.send(rtp.build(n, 960 * n, SSRC, data))
        host.listen(max(0.0, begin + 0.02 * (n + 1) - time.monotonic()))
    host.ask(control.BYE, {"last_sequence": 79})
    final = host.final()
    assert final["sources"]["dred"] == 10 and final["sources"]["opus"] == 70
    assert final["sources"]["plc"] == 0 and final["reasons"] == {}
    assert final["budget"]["stages"]["vocoder"]["frames"] == 12  # ten periods and two seams
    heard = read_wav(out)
    assert len(heard) == 80 * 320
    for first in (30, 60):
        assert heard[320 * first : 320 * (first + 5)].any()
