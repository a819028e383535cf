# SPDX-License-Identifier: BSD-2-Clause
"""Sound cards of a real sound server: PulseAudio with a null sink, reached through ALSA and PortAudio.

Run in a process of their own, because PortAudio reads its configuration once.
"""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from ports import free_port


def pitch(pcm: np.ndarray, rate: int = 16000) -> float:
    """Hertz of a tone, as it is oftenest within 20 ms: a busy machine tears holes into it."""
    size = rate // 50
    pieces = np.lib.stride_tricks.sliding_window_view(pcm.astype(float), size)[:: size // 2]
    loud = pieces[np.abs(pieces).max(axis=1) > 1000] * np.hanning(size)
    found = np.abs(np.fft.rfft(loud, rate)).argmax(axis=1)
    return float(np.bincount(found // 4).argmax() * 4 + 2)  # the middle of 4 Hz


def test_a_torn_tone_has_its_pitch_and_another_rate_another() -> None:
    tone = (9000 * np.sin(np.arange(16000 * 3) * 2 * np.pi * 500 / 16000)).astype(np.int16)
    holes = [np.append(piece, np.zeros(n % 7 * 37, np.int16)) for n, piece in enumerate(tone.reshape(-1, 800))]
    torn = np.concatenate(holes)
    assert pitch(tone) == pytest.approx(500, abs=3) and pitch(torn) == pytest.approx(500, abs=3)
    assert pitch(torn[::3]) == pytest.approx(1500, abs=6)


CODE = f"""
import json, sys, time
import numpy as np
{inspect.getsource(pitch)}
from dredge_device.pi.output.cards import cards
from dredge_device.pi.output.open import open_output
from dredge_host.audio_io.open import open_source
assert any(card.name == "default" and card.inputs and card.outputs for card in cards())
rate = 16000
speaker, mic = open_output("speaker:default"), open_source("mic:default")
tone = (9000 * np.sin(np.arange(320 * 250) * 2 * np.pi * 500 / rate)).astype(np.int16).reshape(-1, 320)
heard = []
begin = time.monotonic()
for piece in tone:
    speaker.write(piece, True)
    heard.append(mic.read())
took = time.monotonic() - begin
buffered = speaker.buffered_us / 1000
pcm = np.concatenate(heard[-150:])
print(json.dumps(dict(peak=pitch(pcm), level=float(np.abs(pcm).max()), took=took, buffered=buffered,
                      speaker=speaker.close(), mic=mic.report())))
speaker.discard()
mic.close()
"""


class SoundServer:
    """PulseAudio with a null sink; env reaches it through ALSA."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "native"
        self._script = folder / "default.pa"
        self._script.write_text(
            f"load-module module-native-protocol-unix auth-anonymous=1 socket={self._socket}\n"
            "load-module module-null-sink sink_name=dredge\nset-default-source dredge.monitor\n"
        )
        (folder / "asound.conf").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
        (folder / "alsa.conf").write_text(f"</usr/share/alsa/alsa.conf>\n<{folder}/asound.conf>\n")
        self._home = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        alsa = str(folder / "alsa.conf")
        self.env = {**self._home, "PULSE_SERVER": f"unix:{self._socket}", "ALSA_CONFIG_PATH": alsa}
        self.start()

    def start(self) -> None:
        words = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "-F"]
        self._socket.unlink(missing_ok=True)
        self._server = subprocess.Popen([*words, str(self._script)], env=self._home, stderr=subprocess.DEVNULL)
        while not self._socket.exists() and self._server.poll() is None:
            time.sleep(0.01)

    def control(self, *words: str) -> None:
        subprocess.run(["pactl", *words], env=self.env, check=True, capture_output=True)

    def stop(self) -> None:
        self._server.kill()
        self._server.wait()


@pytest.fixture
def sound_server(tmp_path: Path) -> Iterator[SoundServer]:
    if not shutil.which("pulseaudio"):
        pytest.skip("needs a sound server: apt-get install pulseaudio libasound2-plugins libportaudio2")
    pytest.importorskip("sounddevice", reason="needs PortAudio: apt-get install libportaudio2", exc_type=OSError)
    server = SoundServer(tmp_path)
    try:
        yield server
    finally:
        server.stop()


def test_what_the_speaker_plays_the_microphone_hears(sound_server: SoundServer) -> None:
    words = [sys.executable, "-c", CODE]
    done = subprocess.run(words, env=sound_server.env, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["speaker"]["kind"] == "speaker" and found["mic"]["kind"] == "microphone"
    assert found["took"] > 4.5  # the card keeps time
    assert found["buffered"] <= 60
    assert found["peak"] == pytest.approx(500, abs=3) and found["level"] > 8000, found


def test_devices_lists_the_card(sound_server: SoundServer) -> None:
    words = [sys.executable, "-m", "dredge_host", "devices", "--json"]
    done = subprocess.run(words, env=sound_server.env, capture_output=True, text=True, timeout=60)
    document = json.loads(done.stdout)
    assert done.returncode == 0 and document["cards_error"] is None
    assert any(card["speaker"] == "speaker:default" and card["mic"] == "mic:default" for card in document["cards"])


def test_a_card_that_goes_away_and_comes_back_is_played_and_heard_again(sound_server: SoundServer) -> None:
    code = CODE.replace("320 * 250", "320 * 900").replace("piece in tone:", "number, piece in enumerate(tone):")
    say = "    if number == 100: print(number, flush=True)\n"
    code = code.replace("    heard.append", f"{say}    heard.append")
    process = subprocess.Popen([sys.executable, "-c", code], env=sound_server.env, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "100\n"
    sound_server.control("unload-module", "module-null-sink")
    time.sleep(1)
    sound_server.control("load-module", "module-null-sink", "sink_name=dredge")
    sound_server.control("set-default-source", "dredge.monitor")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    found = json.loads(out)
    assert "is gone" in err and "is back" in err
    assert found["speaker"]["vanished"] >= 1 and found["speaker"]["unheard_ms"] > 500
    assert found["peak"] == pytest.approx(500, abs=3) and found["level"] > 8000, (found, err)


def test_two_ends_talk_through_the_cards_of_one(sound_server: SoundServer, tmp_path: Path) -> None:
    """What one end says is played by the other one's loudspeaker, heard by its microphone and sent back."""
    tone = (9000 * np.sin(np.arange(16000 * 12) * 2 * np.pi * 500 / 16000)).astype(np.int16)
    soundfile.write(tmp_path / "tone.wav", tone, 16000)
    one, two = free_port(), free_port()
    talk = [sys.executable, "-m", "dredge_host", "talk", "--seconds", "10", "--json"]
    ends = [
        [f"udp://127.0.0.1:{two}", "--listen", f"udp://127.0.0.1:{one}",
         "--mic", str(tmp_path / "tone.wav"), "--speaker", str(tmp_path / "back.wav")],
        [f"udp://127.0.0.1:{one}", "--listen", f"udp://127.0.0.1:{two}", "--mic", "mic:default", "--speaker",
         "speaker:default"],
    ]  # fmt: skip
    begun = [subprocess.Popen([*talk, *words], env=sound_server.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) for words in ends]  # fmt: skip
    results = []
    for process in begun:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        results.append(json.loads(out))
    assert results[1]["received"]["sink"]["clock"] == "card" and results[1]["sent"]["source"]["kind"] == "microphone"
    assert results[1]["received"]["delay_ms"]["card"] > 0
    back, _ = soundfile.read(tmp_path / "back.wav", dtype="int16")
    assert pitch(back[-64000:-3200]) == pytest.approx(500, abs=3)
