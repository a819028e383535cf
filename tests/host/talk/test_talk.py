# SPDX-License-Identifier: BSD-2-Clause
"""Two ends that talk over real sockets: calls, goodbyes, keys, mutes, ends that vanish."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from cable import Cable
from ports import free_port
from talk_ends import End, ends, plain
from waiting import LONGEST_S, until

from dredge_device import control
from dredge_host.errors import UnreachableError, UsageError
from dredge_host.sending.audio import bundled_clip, read_audio
from dredge_host.talk.options import TalkOptions

TONE = (8000 * np.sin(np.arange(16000) * 2 * np.pi * 400 / 16000)).astype(np.int16)


def pair(**fields: object) -> tuple[TalkOptions, TalkOptions]:
    """One end that waits, one that calls."""
    port = free_port()
    waits = TalkOptions(None, f"udp://127.0.0.1:{port}", settings=plain(), **fields)  # type: ignore[arg-type]
    calls = TalkOptions(f"udp://127.0.0.1:{port}", settings=plain(), **fields)  # type: ignore[arg-type]
    return waits, calls


def pitch(pcm: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(pcm.astype(float))))) * 16000 / len(pcm)


def test_an_end_that_waits_and_one_that_calls_hear_each_other() -> None:
    with ends(*pair(), speech=TONE) as (waits, calls):
        until(lambda: len(waits.hears.heard) > 100 and len(calls.hears.heard) > 100)
        results = [calls.finish(), waits.finish()]
    for result, end in zip(results, (calls, waits), strict=True):
        assert pitch(end.hears.pcm[-16000:]) == pytest.approx(400, abs=2)
        assert result["sent"]["accounting"]["complete"] and result["calls"] == 1
        assert result["received"]["by_source"]["opus"] > 40 and result["received"]["packets"]["missing"] == 0
        assert None not in result["received"]["delay_ms"].values()


def test_both_may_call_at_once_and_seconds_end_it() -> None:
    one, two = free_port(), free_port()
    options = [
        TalkOptions(f"udp://127.0.0.1:{there}", f"udp://127.0.0.1:{here}", settings=plain(loss="20%"), seconds=1.5)
        for there, here in ((one, two), (two, one))
    ]
    with ends(*options, speech=TONE) as both:
        for end in both:
            result = end.wait()
            books = result["sent"]["accounting"]
            assert books["complete"] and books["made"] > books["dropped_by_model"] > 0


def test_with_the_same_key_they_talk_and_with_another_they_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, digits in (("a", "11" * 32), ("b", "22" * 32)):
        (tmp_path / name).write_text(digits)
    waits, calls = pair(key_file=str(tmp_path / "a"))
    with ends(waits, calls, speech=TONE) as both:
        until(lambda: all(len(end.hears.heard) > 40 for end in both))
        assert all(end.finish()["sent"]["accounting"]["complete"] for end in reversed(both))
    waits, _ = pair(key_file=str(tmp_path / "a"))
    assert waits.listen is not None
    calls = TalkOptions(waits.listen, settings=plain(), key_file=str(tmp_path / "b"), seconds=1.0)
    with ends(waits, calls, speech=TONE) as (listener, caller):
        with pytest.raises(UnreachableError):
            caller.wait()
        assert not listener.hears.heard
    assert "has another key than this end" in capsys.readouterr().err


def test_a_caller_that_has_no_key_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key").write_text("11" * 32)
    waits, _ = pair(key_file=str(tmp_path / "key"))
    calls = TalkOptions(waits.listen, settings=plain(), seconds=1.0)
    with ends(waits, calls, speech=TONE) as (_, caller), pytest.raises(UnreachableError):
        caller.wait()
    assert "give it the --key-file of this end" in capsys.readouterr().err


def test_an_end_that_calls_says_whom_it_does_not_hear(capsys: pytest.CaptureFixture[str]) -> None:
    called, own = (f"udp://127.0.0.1:{free_port()}" for _ in range(2))
    calls = TalkOptions(called, listen=own, settings=plain(), seconds=2.0)
    other = TalkOptions(own, settings=plain(), seconds=1.0)
    with ends(calls, other, speech=TONE) as (_, stranger), pytest.raises(UnreachableError):
        stranger.wait()
    assert f"this end calls {called.removeprefix('udp://')}" in capsys.readouterr().err


def test_nobody_is_an_error_after_the_given_time() -> None:
    options = TalkOptions(f"udp://127.0.0.1:{free_port()}", settings=plain(), seconds=0.5)
    with ends(options) as (alone,), pytest.raises(UnreachableError, match="nobody answered"):
        alone.wait()


def test_an_end_that_comes_back_is_talked_to_again() -> None:
    one, two = free_port(), free_port()
    here = TalkOptions(f"udp://127.0.0.1:{two}", f"udp://127.0.0.1:{one}", settings=plain())
    there = TalkOptions(f"udp://127.0.0.1:{one}", f"udp://127.0.0.1:{two}", settings=plain())
    with ends(here, speech=TONE) as (stays,):
        for visit in (1, 2):
            comes = End(there, TONE)
            until(lambda comes=comes: len(comes.hears.heard) > 40)
            assert comes.finish()["sent"]["accounting"]["complete"]
            until(lambda visit=visit: stays.talk._receiving.sessions_ended == visit)
        assert stays.finish()["calls"] == 2  # an end that leaves does not answer another call


def test_an_end_that_vanishes_without_a_word_is_called_until_it_is_back() -> None:
    one, two = free_port(), free_port()
    here = TalkOptions(f"udp://127.0.0.1:{two}", f"udp://127.0.0.1:{one}", settings=plain())
    there = TalkOptions(f"udp://127.0.0.1:{one}", f"udp://127.0.0.1:{two}", settings=plain())
    with ends(here, speech=TONE) as (stays,):
        dies = End(there, TONE)
        until(lambda: len(dies.hears.heard) > 20)
        dies.talk._shared.stopping.set()  # from here on nothing is received, nothing more is said
        dies.finish()
        until(lambda: stays.talk._receiving.peer is None)
        comes = End(there, TONE)
        until(lambda: len(comes.hears.heard) > 20)
        heard = len(stays.hears.heard)
        until(lambda: len(stays.hears.heard) > heard + 20)
        comes.finish()


def test_a_serial_line_carries_both_directions(tmp_path: Path) -> None:
    cable = Cable(tmp_path, baud=921600)
    try:
        options = [TalkOptions(f"serial://{end}?baud=921600", settings=plain()) for end in cable.ends]
        with ends(*options, speech=TONE) as both:
            until(lambda: all(np.abs(end.hears.pcm[-8000:-6400]).max(initial=0) > 4000 for end in both))
            for end in both:
                assert pitch(end.hears.pcm[-6400:]) == pytest.approx(400, abs=3)
                assert end.finish()["sent"]["accounting"]["complete"]
    finally:
        cable.close()


def test_who_waits_answers_the_next_caller_from_another_port() -> None:
    waits, calls = pair()
    with ends(waits, speech=TONE) as (server,):
        for _ in range(2):
            caller = End(calls, TONE)
            until(lambda caller=caller: len(caller.hears.heard) > 20)
            caller.finish()
        until(lambda: server.talk._receiving.sessions_ended == 2)


def test_once_ends_with_the_goodbye_of_the_other_end() -> None:
    waits, calls = pair(once=True)
    with ends(waits, calls, speech=TONE) as (server, caller):
        until(lambda: len(server.hears.heard) > 20)
        caller.finish()
        assert server.wait()["received"]["sessions"] == 1


def test_muted_is_silent_and_nothing_said_before_goes_out() -> None:
    with ends(*pair(), speech=TONE) as (waits, calls):
        until(lambda: len(waits.hears.heard) > 40)
        calls.talk.muted = True
        until(lambda: not any(pcm.any() and abs(pcm).max() > 50 for _, pcm in waits.hears.heard[-15:]))
        assert calls.talk.state()["muted"]
        calls.talk.muted = False
        until(lambda: np.abs(waits.hears.pcm[-320:]).max() > 4000)


def test_volume_is_what_is_heard() -> None:
    with ends(*pair(), speech=TONE) as (waits, calls):
        until(lambda: len(waits.hears.heard) > 40)
        waits.talk.volume = 0.25
        until(lambda: 1500 < np.abs(waits.hears.pcm[-1600:]).max() < 2500)
        del calls


def test_a_stranger_is_not_heard_by_who_has_called_somebody() -> None:
    waits, calls = pair()
    with ends(waits, calls, speech=TONE) as (_, caller):
        until(lambda: len(caller.hears.heard) > 20)
        port = int(caller.talk.address.rpartition(":")[2])
        stranger = End(TalkOptions(f"udp://127.0.0.1:{port}", settings=plain(), seconds=0.6), TONE)
        with pytest.raises(UnreachableError):
            stranger.wait()
        assert caller.talk._shared.strangers > 0 and not stranger.hears.heard


def test_a_forged_call_makes_an_open_end_send_no_more_than_it_got() -> None:
    port = free_port()
    options = TalkOptions(None, f"udp://0.0.0.0:{port}", settings=plain(), allow_remote=True)
    hello = control.build(control.with_document(control.HELLO, 1, {"role": "host", "padding": "." * 1000}))
    with ends(options, speech=TONE), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
        forger.bind(("127.0.0.1", 0))
        forger.settimeout(LONGEST_S)
        forger.sendto(hello, ("127.0.0.1", port))
        got = len(forger.recv(4096))
        forger.settimeout(2.5)
        with contextlib.suppress(TimeoutError):
            while True:
                got += len(forger.recv(4096))
    assert 0 < got <= len(hello)


def test_an_open_end_is_talked_to_by_who_is_really_there() -> None:
    port = free_port()
    waits = TalkOptions(None, f"udp://0.0.0.0:{port}", settings=plain(), allow_remote=True)
    with ends(waits, TalkOptions(f"udp://127.0.0.1:{port}", settings=plain()), speech=TONE) as both:
        until(lambda: all(np.abs(end.hears.pcm[-320:]).max(initial=0) > 4000 for end in both))


def ipv6_here() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not ipv6_here(), reason="this machine has no IPv6 loopback")
@pytest.mark.parametrize(
    ("listens", "called"),
    [("[::1]", "[::1]"), ("localhost", "[::1]"), ("localhost", "127.0.0.1"), ("", "[::1]"), ("", "127.0.0.1"),
     ("[::]", "127.0.0.1"), ("[::]", "localhost")],
)  # fmt: skip
def test_either_kind_of_address_is_talked_to(listens: str, called: str) -> None:
    port, speech = free_port(), TONE
    waits = TalkOptions(None, f"udp://{listens}:{port}", settings=plain(), allow_remote=True)
    with ends(waits, TalkOptions(f"udp://{called}:{port}", settings=plain()), speech=speech) as both:
        until(lambda: all(np.abs(end.hears.pcm[-320:]).max(initial=0) > 4000 for end in both))


@pytest.mark.skipif(not ipv6_here(), reason="this machine has no IPv6 loopback")
def test_an_end_for_both_kinds_calls_either() -> None:
    one, two = free_port(), free_port()
    waits = TalkOptions(None, f"udp://127.0.0.1:{one}", settings=plain())
    calls = TalkOptions(f"udp://127.0.0.1:{one}", f"udp://[::]:{two}", settings=plain(), allow_remote=True)
    with ends(waits, calls, speech=TONE) as both:
        until(lambda: all(np.abs(end.hears.pcm[-320:]).max(initial=0) > 4000 for end in both))
        assert both[1].talk._shared.strangers == 0


def test_no_way_to_the_other_end_is_said_in_a_sentence() -> None:
    with pytest.raises(UnreachableError, match="IPv4 or IPv6"):
        End(TalkOptions("udp://[::1]:9", "udp://127.0.0.1:0", settings=plain()))


def test_who_talks_begins_with_numbers_that_nobody_can_guess() -> None:
    """RFC 3550 section 5.1: SSRC, first sequence number and timestamp of two talks differ."""
    begun = []
    for _ in range(2):
        waits, calls = pair()
        with ends(waits, calls, speech=TONE) as (waiting, _):
            until(lambda waiting=waiting: waiting.talk._receiving.figures.get("stream", {}).get("ssrc") is not None)
            begun.append(waiting.talk._receiving.figures["stream"])
    assert begun[0]["ssrc"] != begun[1]["ssrc"] and begun[0]["sequence"] != begun[1]["sequence"]


def test_the_delay_that_is_reported_is_the_one_that_is_there() -> None:
    """A click every second, from the source that gave it to the sink that took it."""
    clicks = np.zeros(16000, np.int16)
    clicks[160:200] = 20000
    reports: list[float] = []
    with ends(*pair(), speech=clicks) as (waits, calls):

        def told() -> bool:
            delay = waits.talk.state()["received"]["delay_ms"]["mouth_to_ear"]
            reports.extend([] if delay is None else [delay])
            return len(waits.hears.heard) > 260 and bool(reports)

        until(told)
        given = [when for when, pcm in calls.says.given if pcm.max() > 10000]
        taken = [when for when, pcm in waits.hears.heard if np.abs(pcm).max() > 4000]
    trips = [min(1000 * (there - here) for there in taken if there > here) for here in given[:-1]]
    measured = 20 + float(np.median(trips))  # the packet's own 20 ms, which the source waited for
    jitter = max(trips) - min(trips)  # of this machine: a few milliseconds unless it is busy
    swings = float(np.ptp(np.percentile(reports, [25, 75])))  # of the adaptive playout, for the same reason
    assert abs(float(np.median(reports)) - measured) < 30 + jitter + swings, (reports, trips)


def test_speech_is_rendered_ahead_of_the_loudspeaker_and_played_at_its_time() -> None:
    """A period that takes long is late for nobody: others are finished before their time, as far as the delay allows.
    """
    port, patient = free_port(), plain(adaptive=False, playout_ms=400)
    waits = TalkOptions(None, f"udp://127.0.0.1:{port}", settings=patient)
    calls = TalkOptions(f"udp://127.0.0.1:{port}", settings=patient)
    with ends(waits, calls, speech=TONE) as (waiting, calling):
        until(lambda: len(waiting.hears.heard) > 150)
        calling.finish()
        heard = waiting.finish()["received"]
    assert heard["queue"]["length"]["most"] >= 10 and heard["queue"]["periods"] >= 100
    assert heard["delay_ms"]["playout"] > 370
    assert len(heard["timeline"]["sources"]) >= 100
    gaps = np.diff([when for when, _ in waiting.hears.heard[20:150]])
    assert np.mean(gaps) > 0.01  # and not all at once


def test_the_command_between_two_processes(tmp_path: Path) -> None:
    with bundled_clip() as path:
        speech = read_audio(path).pcm[: 16000 * 5]
    soundfile.write(tmp_path / "a.wav", speech, 16000)
    one, two = free_port(), free_port()
    begun = []
    for there, here, sink in ((one, two, "b.wav"), (two, one, "c.wav")):
        words = [sys.executable, "-m", "dredge_host", "talk", f"udp://127.0.0.1:{there}", "--listen"]
        words += [f"udp://127.0.0.1:{here}", "--mic", str(tmp_path / "a.wav"), "--speaker", str(tmp_path / sink)]
        words += ["--loss", "gilbert:rate=10%,burst=5", "--json", "--json-lines"]
        with (tmp_path / f"{sink}.said").open("w") as said:
            begun.append(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=said, text=True))

    def filled(sources: dict[str, int]) -> int:
        return sources.get("dred", 0) + sources.get("plc", 0) + sources.get("conceal", 0)

    def has_filled(sink: str) -> bool:
        """What this end has said shows a loss that it filled."""
        lines = (tmp_path / f"{sink}.said").read_text().splitlines()
        states = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        told = [state["received"] for state in states if state.get("received")]
        return any(filled(part["by_source"] or {}) and part["delay_ms"]["mouth_to_ear"] for part in told)

    try:
        for sink in ("b.wav", "c.wav"):
            until(lambda sink=sink: has_filled(sink))
    finally:
        begun[0].send_signal(signal.SIGINT)
        outs = [begun[0].communicate(timeout=LONGEST_S)[0]]
        begun[1].send_signal(signal.SIGINT)
        outs.append(begun[1].communicate(timeout=LONGEST_S)[0])
    assert json.loads(outs[0])["sent"]["accounting"]["complete"], "the other end is there and answers its goodbye"
    for process, out, sink in zip(begun, outs, ("b.wav", "c.wav"), strict=True):
        said = (tmp_path / f"{sink}.said").read_text()
        assert process.returncode == 130, said
        result = json.loads(out)
        assert result["schema"] == "dredge.talk/1" and result["sent"]["accounting"]["made"] > 0, said
        assert filled(result["received"]["by_source"]) > 0 and result["received"]["delay_ms"]["mouth_to_ear"] > 40
        heard, rate = soundfile.read(tmp_path / sink)
        assert rate == 16000 and np.abs(heard).max() > 0.05


def test_ctrl_c_hangs_up_and_prints_the_result() -> None:
    """A talk without --seconds ends in no other way."""
    port = free_port()
    talk = [sys.executable, "-m", "dredge_host", "talk", "--mic", "null", "--speaker", "null", "--json"]
    waits = subprocess.Popen([*talk, "--listen", f"udp://127.0.0.1:{port}", "--once"], stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True)  # fmt: skip
    calls = subprocess.Popen([*talk, f"udp://127.0.0.1:{port}", "--json-lines"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)  # fmt: skip
    assert calls.stderr is not None
    assert any('"state": "talking"' in line for line in calls.stderr)
    calls.send_signal(signal.SIGINT)
    out, err = calls.communicate(timeout=60)
    other, _ = waits.communicate(timeout=60)
    assert (calls.returncode, waits.returncode) == (130, 0), err
    assert json.loads(out)["calls"] == json.loads(other)["received"]["sessions"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nobody to talk to"),
        (["udp://127.0.0.1:1", "--ptt", "pedal"], "expected key or gpio:N"),
        (["--listen", "udp://0.0.0.0:0"], "--key-file"),
        (["udp://127.0.0.1:1", "--mic", "none.wav"], "no such audio file"),
        (["udp://127.0.0.1:1", "--mic", "null", "--speaker", "x.mp3"], "expected null"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(words: list[str], said: str) -> None:
    command = [sys.executable, "-m", "dredge_host", "talk", "--mic", "null", "--speaker", "null", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    lines = [line for line in done.stderr.splitlines() if line.startswith("dredge: ")]
    assert done.returncode == 2 and len(lines) == 1 and said in lines[0], done.stderr


def test_options_are_checked() -> None:
    with pytest.raises(UsageError, match="volume"):
        TalkOptions("udp://a:1", volume=17)


def test_memory_does_not_grow_with_the_talk() -> None:
    """What grows by the packet would be seen in these."""
    with ends(*pair(), speech=TONE) as (waits, calls):
        until(lambda: len(waits.hears.heard) > 100)
        assert len(calls.talk._sending._loss.history) < 50  # a packet is being sent while this is read
        assert calls.talk._shared.answers.qsize() < 50 and len(calls.talk._shared.questions) < 50


def test_what_is_shown_may_be_asked_for_at_any_time() -> None:
    with ends(*pair(), speech=TONE) as (waits, calls):
        until(lambda: len(waits.hears.heard) > 20)
        heard = len(waits.hears.heard)
        while len(waits.hears.heard) < heard + 100:
            assert waits.talk.state()["state"] and calls.talk.state()["state"]
        assert waits.error is None and calls.error is None
