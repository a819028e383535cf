# SPDX-License-Identifier: BSD-2-Clause
"""Sound cards of a real sound server: PulseAudio with a null sink, reached through ALSA and PortAudio.

Run in a process of their own, because PortAudio reads its configuration once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CODE = """
import json, sys, time
import numpy as np
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
buffered = speaker.buffered_ms
pcm = np.concatenate(heard[-50:]).astype(float)
peak = int(np.argmax(np.abs(np.fft.rfft(pcm)))) * rate / len(pcm)
print(json.dumps({"peak": peak, "level": float(np.abs(pcm).max()), "took": took, "buffered": buffered,
                  "speaker": speaker.close(), "mic": mic.report()}))
speaker.discard()
mic.close()
"""


@pytest.fixture
def sound_server(tmp_path: Path) -> Iterator[dict[str, str]]:
    if not shutil.which("pulseaudio"):
        pytest.skip("no pulseaudio here (apt install pulseaudio libasound2-plugins libportaudio2)")
    pytest.importorskip("sounddevice", reason="sounddevice or libportaudio2 is not installed", exc_type=OSError)
    script = tmp_path / "default.pa"
    script.write_text(
        f"load-module module-native-protocol-unix auth-anonymous=1 socket={tmp_path}/native\n"
        "load-module module-null-sink sink_name=dredge\nset-default-source dredge.monitor\n"
    )
    home = {**os.environ, "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}
    words = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "-F", str(script)]
    server = subprocess.Popen(words, env=home, stderr=subprocess.DEVNULL)
    try:
        (tmp_path / "asound.conf").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
        (tmp_path / "alsa.conf").write_text(f"</usr/share/alsa/alsa.conf>\n<{tmp_path}/asound.conf>\n")
        while not (tmp_path / "native").exists() and server.poll() is None:
            pass
        yield {**home, "PULSE_SERVER": f"unix:{tmp_path}/native", "ALSA_CONFIG_PATH": str(tmp_path / "alsa.conf")}
    finally:
        server.terminate()
        server.wait()


def test_what_the_speaker_plays_the_microphone_hears(sound_server: dict[str, str]) -> None:
    done = subprocess.run([sys.executable, "-c", CODE], env=sound_server, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["speaker"]["kind"] == "speaker" and found["mic"]["kind"] == "microphone"
    assert found["took"] > 4.5  # the card keeps time
    assert found["buffered"] <= 60
    assert found["peak"] == pytest.approx(500, abs=3) and found["level"] > 8000, found


def test_devices_lists_the_card(sound_server: dict[str, str]) -> None:
    words = [sys.executable, "-m", "dredge_host", "devices", "--json"]
    done = subprocess.run(words, env=sound_server, capture_output=True, text=True, timeout=60)
    document = json.loads(done.stdout)
    assert done.returncode == 0 and document["cards_error"] is None
    assert any(card["speaker"] == "speaker:default" and card["mic"] == "mic:default" for card in document["cards"])
