# SPDX-License-Identifier: BSD-2-Clause
"""Outputs that fail in the middle: a disk that fills up or hangs, a folder that is read-only, a card that vanishes."""

import os
import resource
import signal
import subprocess
import sys
import threading
import types
import wave

import numpy as np
import pytest
from processes import end, environment, start, start_agent
from waiting import LONGEST_S, until

from dredge_device.pi.output import open
from dredge_device.pi.output.soundcard import SpeakerOutput
from dredge_device.pi.output.threaded import ThreadedOutput

PIECE = np.arange(320, dtype=np.int16)


@pytest.fixture
def small_files():
    """No file of this process may grow beyond 10000 bytes; the error is EFBIG, as ENOSPC on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_full_disk_leaves_a_whole_file_of_what_fitted_and_ends_no_stream(tmp_path, small_files, capsys):
    out = open.WavOutput(tmp_path / "a.wav")
    for _ in range(100):
        out.write(PIECE, True)
    assert capsys.readouterr().err.count("File too large") == 1
    report = out.close()
    assert report["error"] == f"{tmp_path / 'a.wav'}: File too large"
    assert names(tmp_path) == ["a.wav"]
    with wave.open(str(tmp_path / "a.wav"), "rb") as file:
        heard = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    assert len(heard) == report["samples"] == (10000 - 44) // 2
    assert (heard == np.resize(PIECE, len(heard))).all()
    out.write(PIECE, True)  # the next session tries again
    assert "error" not in out.close() and names(tmp_path) == ["a-2.wav", "a.wav"]
    out.discard()


INSIDE = """
set -e
mount -t tmpfs -o size=64k none "$1"
"$2" -m dredge_device --listen udp://127.0.0.1:0 --out "$1/a.wav" --once > "$3/said" 2> "$3/complaint" &
agent=$!
while ! grep -q listening "$3/said"; do kill -0 $agent; sleep 0.05; done
"$2" -m dredge_host stream "$4" --to "$(cut -d' ' -f2 "$3/said")" > /dev/null 2>&1 &
code=0
wait $agent || code=$?
ls -A "$1" > "$3/files"
cp "$1"/*.wav "$3/" 2> /dev/null || true
echo $code > "$3/code"
"""


def inside(tmp_path, clip):
    """The agent with its output on a disk of 64 KB, in a mount namespace of its own."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("needs root and mount namespaces: sudo make test")
    disk, left = tmp_path / "disk", tmp_path / "left"
    disk.mkdir()
    left.mkdir()
    command = ["unshare", "-rm", "sh", "-c", INSIDE, "sh", str(disk), sys.executable, str(left), str(clip)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S)
    assert (left / "code").exists(), done.stderr
    return left


def test_an_agent_on_a_full_disk_goes_on_and_keeps_what_fitted(tmp_path):
    import soundfile

    clip = tmp_path / "clip.wav"
    t = np.arange(16000 * 6) / 16000
    soundfile.write(clip, (6000 * np.sin(2 * np.pi * 220 * t)).astype(np.int16), 16000, "PCM_16")
    left = inside(tmp_path, clip)
    assert (left / "code").read_text() == "2\n"
    complaint = (left / "complaint").read_text()
    assert "No space left on device" in complaint and "Traceback" not in complaint
    assert (left / "files").read_text() == "a.wav\n"
    with wave.open(str(left / "a.wav"), "rb") as file:
        assert 20000 < file.getnframes() <= 32768


@pytest.mark.parametrize("out", ["-", "pipe:head -c 1000 > /dev/null"])
def test_a_sender_is_told_that_the_output_of_its_stream_failed(speech, out):
    """`dredge agent --out - | head`: the reader leaves in the middle of the stream."""
    agent, url = start_agent("--out", out, "--once") if out != "-" else started_with_a_reader_that_leaves()
    stream = start("stream", speech(3), "--to", url, "--conceal", "opus", "--playout", "fixed:100")
    code, out_text, said = end(stream)
    assert code == 1 and "the device reports: " in said.splitlines()[-1] and "Traceback" not in said, said
    assert "packets  " in out_text
    code, _, said = end(agent)
    assert code == 2 and "output failed" in said, said


def started_with_a_reader_that_leaves():
    read, write = os.pipe()
    agent = subprocess.Popen(
        [sys.executable, "-m", "dredge_device", "--listen", "udp://127.0.0.1:0", "--out", "-", "--once"],
        stdout=write, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    os.close(write)
    line = agent.stderr.readline()
    os.close(read)
    return agent, line.split()[1]


def test_a_folder_that_cannot_be_written_is_told_at_the_start(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "dredge_device", "--listen", "udp://127.0.0.1:0", "--out", "/proc/a.wav"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == ""
    assert "/proc/a.wav: " in done.stderr and ".part" not in done.stderr and "Traceback" not in done.stderr


class Stuck:
    """Takes nothing until it is let go."""

    def __init__(self):
        self.gate, self.written = threading.Event(), 0

    def write(self, pcm, spoken):
        self.gate.wait(LONGEST_S)
        self.written += 1

    def close(self):
        return {"kind": "stuck once"}

    def discard(self):
        pass


@pytest.mark.parametrize("patient", [True, False])
def test_an_output_that_hangs_costs_memory_for_a_minute_and_waits_for_nobody(patient):
    stuck = Stuck()
    out = ThreadedOutput(stuck, patient, wait_s=0.05)
    for _ in range(4000):
        out.write(PIECE, True)  # returns at once
    assert out._queue.qsize() <= (3000 if patient else 50)
    report = out.close()
    assert report["kind"] == "stuck" and "took nothing" in report["error"]
    assert report["dropped"] >= 990
    out.discard()  # returns as well
    stuck.gate.set()


def card(monkeypatch):
    """The part of sounddevice's interface that is used, with a cable that can be pulled."""
    library = types.ModuleType("sounddevice")
    library.PortAudioError = type("PortAudioError", (Exception,), {})
    library.plugged, library.heard, library.scanned = True, [], 0

    def checked():
        if not library.plugged:
            raise library.PortAudioError("Unanticipated host error [PaErrorCode -9999]")

    def query_devices(device, kind):
        checked()
        return {"index": 0, "default_samplerate": 16000.0}

    class RawOutputStream:
        write_available = 640

        def __init__(self, samplerate, blocksize, device, channels, dtype, latency):
            checked()

        def start(self):
            checked()

        stop = close = start

        def write(self, data):
            checked()
            library.heard.append(bytes(data))
            return False

    def initialize():
        library.scanned += 1

    library.query_devices, library.check_output_settings = query_devices, lambda **settings: checked()
    library.RawOutputStream, library._initialize, library._terminate = RawOutputStream, initialize, lambda: None
    monkeypatch.setitem(sys.modules, "sounddevice", library)
    return library


def test_a_card_that_vanishes_is_opened_again_and_the_stream_goes_on(monkeypatch, capsys):
    library = card(monkeypatch)
    out = SpeakerOutput()
    for period in range(400):
        library.plugged = not 100 <= period < 230
        out.write(PIECE, True)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and "the sound card is gone" in told[0] and told[1].endswith("the sound card is back")
    assert library.scanned == 3  # once a second while it was away
    report = out.close()
    assert report["vanished"] == 1 and report["unheard_ms"] == 20 * (400 - len(library.heard))
    assert 130 <= 400 - len(library.heard) <= 130 + 50
    assert out.close() == {"kind": "speaker", "rate": 16000, "underflows": 0}
    library.plugged = False
    out.write(PIECE, True)
    out.discard()  # a card that is gone can be let go of


def test_a_card_that_is_pulled_before_the_end_is_no_error(monkeypatch, capsys):
    library = card(monkeypatch)
    out = SpeakerOutput()
    out.write(PIECE, True)
    library.plugged = False
    out.discard()
    assert capsys.readouterr().err == ""


def test_a_card_is_kept_full_while_nothing_is_played_and_everything_is_heard_at_its_turn(monkeypatch):
    library, heard = card(monkeypatch), []
    room = [960]
    library.RawOutputStream.write_available = property(lambda stream: room[0])

    def write(stream, data):
        if not library.plugged:
            raise library.PortAudioError("Unanticipated host error [PaErrorCode -9999]")
        room[0] -= len(data) // 2
        library.heard.append(bytes(data))
        return False

    library.RawOutputStream.write = write

    def hear(pcm, spoken):
        heard.append((spoken, len(library.heard)))
        return pcm // 2

    out = ThreadedOutput(SpeakerOutput(), False, heard=hear)
    silence = np.zeros(320, np.int16)
    out.rest(silence)
    until(lambda: room[0] == 0)
    assert len(library.heard) == 3 and [spoken for spoken, _ in heard] == [False] * 3
    out.write(PIECE, True, 0)
    threading.Event().wait(0.1)
    assert len(heard) == 3, "a period is heard when the card takes it"
    room[0] = 320
    until(lambda: len(library.heard) == 4)
    assert heard[3] == (True, 3) and library.heard[3] == (PIECE // 2).tobytes()
    library.plugged = False
    room[0] = 320
    out.write(PIECE, True, 0)
    out.close()
    before = len(heard)
    out.rest(silence)  # a card that is away is given nothing, but whoever listens in is told
    out.close()
    assert len(heard) == before + 1 and len(library.heard) == 4
    out.discard()
