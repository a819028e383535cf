# SPDX-License-Identifier: BSD-2-Clause
"""Files that are complete or not there, deadlines that do not drift, CPU time per stage."""

import os
import stat
import sys
import time
import types
import wave

import numpy as np
import pytest

from dredge_device.pi.output import open
from dredge_device.pi.output.interface import CapabilityError
from dredge_device.pi.output.threaded import ThreadedOutput
from dredge_device.pi.service.pacer import Pacer
from dredge_device.pi.stage_timer import STAGES, StageTimer

PIECE = np.arange(320, dtype=np.int16)


def samples_of(path):
    with wave.open(str(path), "rb") as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def parts(folder):
    return [name for name in names(folder) if name.endswith(".part")]


def test_wav_appears_only_when_it_is_complete(tmp_path):
    out = open.open_output(str(tmp_path / "a.wav"))
    assert names(tmp_path) == []
    out.write(PIECE, True)
    assert names(tmp_path) == parts(tmp_path) and len(parts(tmp_path)) == 1
    assert out.close() == {"kind": "wav", "file": str(tmp_path / "a.wav"), "samples": 320}
    assert (samples_of(tmp_path / "a.wav") == PIECE).all()
    out.discard()
    assert names(tmp_path) == ["a.wav"]


def test_an_unfinished_recording_can_be_read(tmp_path):
    """What a power cut leaves: the sizes say "to the end of the file"."""
    out = open.WavOutput(tmp_path / "a.wav")
    out.write(PIECE, True)
    raw = (tmp_path / parts(tmp_path)[0]).read_bytes()
    assert raw[4:8] == raw[40:44] == b"\xff" * 4 and raw[44:] == PIECE.tobytes()
    out.discard()


def test_silence_outside_the_stream_is_not_in_the_file(tmp_path):
    out = open.WavOutput(tmp_path / "a.wav")
    out.write(PIECE, False)
    out.write(PIECE, True)
    out.write(PIECE, False)
    assert out.close()["samples"] == 320
    out.discard()


@pytest.mark.parametrize("overwrite", [False, True])
def test_every_session_gets_its_own_file(tmp_path, overwrite):
    out = open.WavOutput(tmp_path / "a.wav", overwrite)
    for level in (1, 2, 3):
        out.write(PIECE * level, True)
        out.close()
    out.discard()
    assert names(tmp_path) == ["a-2.wav", "a-3.wav", "a.wav"]
    assert samples_of(tmp_path / "a-3.wav")[1] == 3


def test_unfinished_session_is_completed_at_the_end(tmp_path):
    out = open.WavOutput(tmp_path / "a.wav")
    out.write(PIECE, True)
    out.discard()
    assert names(tmp_path) == ["a.wav"] and len(samples_of(tmp_path / "a.wav")) == 320


def test_recordings_that_are_there_stay(tmp_path):
    """An agent that is started again must not cost the recordings of the one before."""
    (tmp_path / "a.wav").write_bytes(b"old")
    (tmp_path / "a-2.wav").write_bytes(b"older")
    out = open.WavOutput(tmp_path / "a.wav")
    out.close()  # a session without speech
    assert names(tmp_path) == ["a-2.wav", "a.wav"]
    for _ in range(2):
        out.write(PIECE, True)
        out.close()
    out.discard()
    assert names(tmp_path) == ["a-2.wav", "a-3.wav", "a-4.wav", "a.wav"]
    assert (tmp_path / "a.wav").read_bytes() == b"old" and (tmp_path / "a-2.wav").read_bytes() == b"older"


def test_overwriting_waits_until_the_new_file_is_complete(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"old")
    (tmp_path / "a.wav").chmod(0o640)
    out = open.WavOutput(tmp_path / "a.wav", overwrite=True)
    out.close()
    out.write(PIECE, True)
    assert (tmp_path / "a.wav").read_bytes() == b"old"
    out.discard()
    assert names(tmp_path) == ["a.wav"] and len(samples_of(tmp_path / "a.wav")) == 320
    assert (tmp_path / "a.wav").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(("mode", "wanted"), [(None, 0o600), (0o644, 0o644)])
def test_recordings_are_private_unless_asked(tmp_path, mode, wanted):
    before = os.umask(0o022)
    try:
        out = open.WavOutput(tmp_path / "a.wav", **({} if mode is None else {"mode": mode}))
        out.write(PIECE, True)
        out.discard()
    finally:
        os.umask(before)
    assert (tmp_path / "a.wav").stat().st_mode & 0o777 == wanted


def test_a_fifo_takes_one_wav_stream_per_session(tmp_path):
    """A player that reads the FIFO hears every period at once; one that leaves ends only its own recording."""
    os.mkfifo(tmp_path / "fifo")
    out = open.open_output(str(tmp_path / "fifo"))
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    out.write(PIECE, True)
    heard = os.read(reader, 4096)
    assert heard[:4] == b"RIFF" and heard[44:] == PIECE.tobytes()
    assert out.close() == {"kind": "wav", "file": str(tmp_path / "fifo"), "samples": 320}
    out.write(PIECE, True)
    os.close(reader)
    out.write(PIECE, True)  # nobody reads: said, and nothing raised
    report = out.close()
    assert report["error"].endswith("its reader has ended")
    assert names(tmp_path) == ["fifo"] and stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


def test_null_counts_the_stream_only():
    out = open.open_output("null")
    out.write(PIECE, True)
    out.write(PIECE, False)
    assert out.close() == {"kind": "null", "samples": 320} and out.close()["samples"] == 0


@pytest.mark.parametrize("text", ["", "x.mp3", "Play", "wav"])
def test_other_outputs_are_refused(text):
    with pytest.raises(ValueError, match="expected null, play or a file name"):
        open.open_output(text)


def test_playing_without_the_package_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(CapabilityError, match="pip install sounddevice"):
        open.open_output("speaker")


class Card:
    """A sound card module: collects samples, underflows on every second write."""

    PortAudioError = OSError
    write_available = 960

    def __init__(self, works=True, rate=16000, connected=1):
        self.works, self.heard, self.open, self.rate, self.connected = works, b"", False, rate, connected

    def query_devices(self, device=None, kind=None):
        if kind is None:
            return [{"max_output_channels": 2, "max_input_channels": 0}] * self.connected
        if not self.connected:
            raise self.PortAudioError("Error querying device -1")
        return {"index": 3, "default_samplerate": float(self.rate)}

    def check_output_settings(self, device, channels, dtype, samplerate):
        if samplerate != self.rate:
            raise self.PortAudioError("Invalid sample rate")

    def RawOutputStream(self, rate, block, device, channels, kind, latency):
        assert (rate, channels, kind) == (self.rate, 1, "int16")
        if not self.works:
            raise self.PortAudioError("no device")
        return self

    def start(self):
        self.open = True

    def stop(self):
        self.open = False

    close = stop

    def write(self, data):
        self.heard += data
        return len(self.heard) // 640 % 2 == 0


def test_card_hears_everything_and_counts_underflows(monkeypatch):
    card = Card()
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    out = open.open_output("speaker")
    for spoken in (True, False, True):
        out.write(PIECE, spoken)
    assert card.open and card.heard == PIECE.tobytes() * 3
    report = out.close()
    assert (report["kind"], report["underflows"]) == ("speaker", 1) and "--realtime" in report["advice"]
    assert out.close() == {"kind": "speaker", "rate": 16000, "underflows": 0}
    out.discard()
    assert not card.open


def test_a_card_that_does_not_know_16_khz_gets_its_own_rate(monkeypatch):
    card = Card(rate=48000)
    monkeypatch.setitem(sys.modules, "sounddevice", card)
    out = open.open_output("speaker:USB")
    tone = (8000 * np.sin(np.arange(320 * 50) * 2 * np.pi * 440 / 16000)).astype(np.int16)
    for piece in tone.reshape(-1, 320):
        out.write(piece, True)
    heard = np.frombuffer(card.heard, np.int16)
    assert 47000 < len(heard) <= 48000  # what soxr holds back is missing
    peak = np.argmax(np.abs(np.fft.rfft(heard[8000:40000].astype(float))))
    assert peak * 48000 / 32000 == pytest.approx(440, abs=1.5)
    assert out.close()["rate"] == 48000
    out.discard()


def test_raw_samples_go_to_a_command(tmp_path):
    out = open.open_output(f"pipe:cat > {tmp_path / 'heard'}", rate=8000)
    for _ in range(50):
        out.write(PIECE, False)
    assert out.close()["kind"] == "command"
    out.discard()
    assert 2 * 7600 <= (tmp_path / "heard").stat().st_size <= 2 * 8000


def test_a_pipe_needs_a_command():
    with pytest.raises(ValueError, match="expected pipe:COMMAND"):
        open.open_output("pipe: ")


def test_a_command_that_ended_is_told(tmp_path):
    out = open.open_output("pipe:exit 3")
    with pytest.raises(BrokenPipeError, match="reads no more"):
        for _ in range(10000):
            out.write(PIECE, True)
    out.discard()


def test_missing_card_is_a_missing_capability(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", Card(works=False))
    with pytest.raises(CapabilityError, match="no sound card can be opened: no device"):
        open.open_output("speaker")
    monkeypatch.setitem(sys.modules, "sounddevice", Card(connected=0))
    with pytest.raises(CapabilityError, match=r"no sound card is connected .*; use a file, pipe:COMMAND or null"):
        open.open_output("speaker")


class Clock:
    """Time that passes by sleeping (2 ms too long each time) and by working; microseconds."""

    def __init__(self):
        self.now = 100_000_000

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += round(seconds * 1e6) + 2000


def paced():
    clock = Clock()
    return clock, Pacer(clock, clock.sleep)


def test_ticks_do_not_drift_with_late_wake_ups():
    clock, pacer = paced()
    for n in range(1, 101):
        assert not pacer.passed()
        pacer.wait()
        assert clock.now == 100_000_000 + 20_000 * n + 2000
        clock.now += 7000
    report = pacer.report()
    assert report["stalls"] == 0 and 1990 <= report["wake_p50_us"] <= 2125


def test_ticks_that_passed_during_work_are_caught_up():
    clock, pacer = paced()
    pacer.wait()
    clock.now += 65_000
    assert [pacer.sleep() or pacer.passed() for _ in range(3)] == [True] * 3
    clock.now += 45_000
    for _ in range(3):
        pacer.wait()
    assert pacer.missed == 2 and pacer.stalls == 0 and pacer.late.count == 2  # nobody slept for the others


def test_a_stalled_process_starts_its_ticks_anew():
    clock, pacer = paced()
    clock.now += 5_000_000
    assert pacer.passed() and not pacer.passed()
    assert pacer.stalls == 1 and 0 < pacer.due_us - clock.now <= 20_000


def test_a_card_gets_a_period_at_its_time_and_a_file_at_once():
    written = []

    class Watched:
        def write(self, pcm, spoken):
            written.append(time.monotonic())

        def close(self):
            return {"kind": "watched"}

        def discard(self):
            pass

    for patient, ahead_s in ((False, 0.15), (True, 3600)):
        out = ThreadedOutput(Watched(), patient)
        begun = time.monotonic()
        out.write(PIECE, True, int(1e6 * (begun + ahead_s)))
        out.close()
        out.discard()
        assert (written.pop() - begun >= ahead_s) is not patient


def test_meter_adds_up_stages_and_survives_errors():
    cpu = types.SimpleNamespace(now=0)
    meter = StageTimer(lambda: cpu.now)
    meter.start()
    for name, cost in (("opus", 3_000_000), ("dred", 1_500_999), ("opus", 1_000_000)):
        try:
            with meter.stage(name):
                cpu.now += cost
                raise RuntimeError
        except RuntimeError:
            cpu.now += 500_000
    assert meter.stop() == 7000
    stages = meter.budget.report()["stages"]
    assert set(stages) == set(STAGES)
    assert stages["opus"]["max_us"] == 4000 and stages["dred"]["max_us"] == 1500
    assert stages["vocoder"]["frames"] == 0
    meter.start()
    assert meter.stop() == 0
