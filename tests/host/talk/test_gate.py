# SPDX-License-Identifier: BSD-2-Clause
"""What goes out of the microphone, how loud it is, what a person sees."""

from __future__ import annotations

import io
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dredge_host.errors import CapabilityError
from dredge_host.sending.audio import bundled_clip, read_audio
from dredge_host.talk.delay import ReceiveDelay, SendDelay, path
from dredge_host.talk.display import TalkDisplay
from dredge_host.talk.running.watchdog import Watchdog
from dredge_host.talk.signal.echo import advice
from dredge_host.talk.signal.gate import SILENT_DB, Ducking, Fader, Level, PushToTalk
from dredge_host.talk.signal.speex import EchoCanceller

LOUD = np.full(320, 10000, np.int16)


def test_level_of_a_full_sine_and_of_nothing() -> None:
    level = Level()
    level.add((32767 * np.sin(np.arange(320) * 2 * np.pi / 32)).astype(np.int16))
    assert level.db == pytest.approx(-3, abs=0.1)
    level.add(np.zeros(320, np.int16))
    assert level.now_db == SILENT_DB and level.db == pytest.approx(-4, abs=0.1)


def test_a_gain_moves_without_a_step() -> None:
    fader = Fader()
    assert fader.apply(LOUD, 1.0) is LOUD
    ramp = fader.apply(LOUD, 0.5)
    assert ramp[0] == 10000 and ramp[-1] == 5000 and np.abs(np.diff(ramp)).max() < 20
    assert (fader.apply(LOUD, 0.5) == 5000).all()
    assert fader.apply(LOUD, 16.0).max() == 32767


def test_half_duplex_turns_the_microphone_down_and_up_again() -> None:
    heard = [-20.0]
    ducking = Ducking(lambda: heard[0])
    ducking.apply(LOUD)
    assert ducking.down and ducking.apply(LOUD).max() < 400
    heard[0] = SILENT_DB
    for _ in range(14):
        ducking.apply(LOUD)
    assert ducking.down
    ducking.apply(LOUD)
    assert not ducking.down and (ducking.apply(LOUD) == LOUD).all()


def test_the_key_opens_and_closes() -> None:
    ptt = PushToTalk("key")
    assert ptt.closed
    ptt.toggle()
    assert not ptt.closed
    ptt.close()


def test_a_button_between_a_pin_and_ground() -> None:
    gpio = pytest.importorskip("gpiozero", reason="needs gpiozero: pip install gpiozero")
    from gpiozero.pins.mock import MockFactory

    gpio.Device.pin_factory = MockFactory()
    ptt = PushToTalk("gpio:17")
    pin = gpio.Device.pin_factory.pin(17)
    assert ptt.closed
    pin.drive_low()
    assert not ptt.closed
    pin.drive_high()
    assert ptt.closed
    ptt.close()


def test_a_button_without_the_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "gpiozero", None)
    with pytest.raises(CapabilityError, match="python3-gpiozero"):
        PushToTalk("gpio:17")


def test_delays_add_up_and_what_is_not_known_is_not_guessed() -> None:
    spoken, heard = SendDelay(104), ReceiveDelay()
    spoken.packet(3000, 1000)
    heard.playout.add(50_000)
    heard.card.add(40_000)
    assert path(spoken.report(), None, heard.report())["mouth_to_ear"] is None
    spoken.round_trip(10_000)
    spoken.round_trip(4000)
    whole = path(spoken.report(), spoken.network_us, heard.report())
    assert list(whole.values()) == [23.0, 7.5, 2.0, 50.0, 40.0, 122.5]
    lies: dict[str, Any] = {"capture": "soon", "encode": -1, "playout": float("nan")}
    assert path(lies, 1000, None)["mouth_to_ear"] is None


def test_one_line_per_second_shows_both_directions() -> None:
    delay = path({"capture": 20, "encode": 8}, 1000, {"playout": 60, "card": 40})
    side = {"loss_pct": 9.5, "by_source": {"dred": 12, "plc": 1}, "delay_ms": delay}
    state = {"t_s": 1.0, "state": "talking", "problem": "", "muted": False, "ducked": True, "mic_db": -20.0,
             "speaker_db": -96.0, "sent": {**side, "report_age_s": 0.5},
             "received": {**side, "cpu_p99_us": 3900, "silent_s": 0.02}}  # fmt: skip
    out = io.StringIO()
    with TalkDisplay(stream=out) as display:
        display.update(state)
        display.update({**state, "t_s": 1.5})
        display.update({**state, "t_s": 2.0, "muted": True})
        gone = {"sent": {**side, "report_age_s": 4.0}, "received": {**side, "silent_s": 3.0}}
        display.update({**state, "t_s": 3.0, **gone})
    first, second, third = out.getvalue().splitlines()
    assert "loss 9.5 % dred 12 plc 1 129 ms from mouth to ear" in first and "CPU 3.9 ms" in first and " down" in first
    assert "MUTED" in second
    assert "no report for 4 s" in third and "no packet for 3 s" in third and "loss" not in third


def test_systemd_is_told_while_both_halves_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        turns = [0, 0]
        watchdog = Watchdog(lambda: (turns[0], turns[1]))
        for moving in (True, True, False):
            turns[0] += 1
            turns[1] += moving
            assert watchdog.look()
            assert systemd.recv(64) == b"WATCHDOG=1"
        turns[0] += 1
        assert not watchdog.look()
        with pytest.raises(BlockingIOError):
            systemd.recv(64)


def test_echo_is_learned_and_cancelled_and_speech_stays() -> None:
    """A room: the loudspeaker is heard 80 ms later, filtered, at half the level."""
    try:
        canceller = EchoCanceller()
    except CapabilityError as error:
        pytest.skip(str(error))
    rng = np.random.default_rng(1)
    with bundled_clip() as path:
        speech = read_audio(path).pcm
    far, near = speech[: 320 * 600].astype(float), np.zeros(320 * 600)
    near[320 * 500 :] = speech[320 * 700 : 320 * 800]
    room = np.zeros(3200)
    room[1280:] = rng.standard_normal(1920) * np.exp(-np.arange(1920) / 300)
    room *= 0.5 / np.sqrt((room**2).sum())
    echo = np.convolve(far, room)[: len(far)]
    heard = np.clip(echo + near, -32768, 32767).astype(np.int16)
    out = []
    for start in range(0, len(far), 320):
        canceller.played(far[start : start + 320].astype(np.int16))
        out.append(canceller.cancel(heard[start : start + 320]))
    clean = np.concatenate(out).astype(float)
    late = slice(320 * 350, 320 * 500)
    assert 10 * np.log10((echo[late] ** 2).mean() / ((clean[late] ** 2).mean() + 1)) > 10
    both = slice(320 * 505, 320 * 600)
    assert np.corrcoef(clean[both], near[both])[0, 1] > np.corrcoef(heard[both].astype(float), near[both])[0, 1]
    canceller.close()
    assert (canceller.cancel(heard[:320]) == heard[:320]).all()


def test_howling_is_told_with_what_to_do() -> None:
    assert "howl" in advice() and "--half-duplex" in advice() and "module-echo-cancel" in advice()
