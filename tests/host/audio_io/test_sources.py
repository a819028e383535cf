# SPDX-License-Identifier: BSD-2-Clause
"""Sources of live speech: files, pipes of recorders and of programs that are ahead of time, FIFOs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dredge_host.audio_io.open import is_live, open_source
from dredge_host.audio_io.source import pieces
from dredge_host.errors import InputError, UsageError

RAMP = np.arange(3200, dtype=np.int16)


def everything(text: str, count: int | None = None, **options: object) -> np.ndarray:
    source = open_source(text, **options)  # type: ignore[arg-type]
    try:
        return np.concatenate([np.zeros(0, np.int16), *pieces(source, count)])
    finally:
        source.close()


def test_a_file_takes_as_long_as_it_lasts(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", RAMP, 16000)
    begin = time.monotonic()
    assert (everything(str(tmp_path / "a.wav")) == RAMP).all()
    assert time.monotonic() - begin >= 0.18


def test_a_file_is_repeated_when_asked(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", RAMP[:640], 16000)
    assert (everything(str(tmp_path / "a.wav"), 4, repeat=True) == np.tile(RAMP[:640], 2)).all()


def test_null_is_silence() -> None:
    assert not everything("null", 3).any()


def test_raw_samples_of_a_command_come_unchanged_and_in_real_time(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(np.tile(RAMP, 10).astype("<i2").tobytes())
    begin = time.monotonic()
    heard = everything(f"pipe:cat {tmp_path / 'raw'}")
    heard = heard[np.flatnonzero(heard)[0] - 1 :]  # silence until the command has started
    assert (heard[:32000] == np.tile(RAMP, 10)[: len(heard[:32000])]).all() and len(heard) >= 31680
    assert time.monotonic() - begin >= 1.4  # the command is ahead of time, the source is not


def test_a_wav_header_in_a_pipe_is_recognised(tmp_path: Path) -> None:
    stereo = np.stack([RAMP, RAMP], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 48000)
    source = open_source(f"pipe:cat {tmp_path / 'a.wav'}")
    heard = np.concatenate(list(pieces(source)))
    heard = heard[np.flatnonzero(heard > 100)[0] :]
    assert source.report()["rate"] == 48000
    assert 700 < len(heard) <= 1280 and abs(int(np.diff(heard[:600]).mean()) - 3) <= 1  # 3 of its samples are one


@pytest.mark.parametrize("rest", [b"data\0\0\0\0", b"fmt ", b"junk\xff\xff\xff\x7f"])
def test_a_wav_header_that_cannot_be_used_is_named(tmp_path: Path, rest: bytes) -> None:
    (tmp_path / "a").write_bytes(b"RIFF\0\0\0\0WAVE" + rest)
    with pytest.raises(InputError, match="the WAV stream"):
        everything(f"pipe:cat {tmp_path / 'a'}", 20)


def test_float_samples_are_refused_with_what_to_do(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", RAMP, 16000, subtype="FLOAT")
    with pytest.raises(InputError, match="pcm_s16le"):
        everything(f"pipe:cat {tmp_path / 'a.wav'}", 20)


@pytest.mark.parametrize(("command", "words"), [("exit 3", "and ended with exit code 3"), ("true", "no samples")])
def test_a_command_without_a_sample_is_an_error(command: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        everything(f"pipe:{command}")


def test_a_command_that_closes_its_output_and_goes_on_is_not_waited_for() -> None:
    with pytest.raises(InputError, match="no samples;"):
        everything("pipe:exec >&-; exec sleep 1000")


def test_a_pipe_needs_a_command() -> None:
    with pytest.raises(UsageError, match="expected pipe:COMMAND"):
        open_source("pipe: ")


def test_a_recorder_that_pauses_is_silence(tmp_path: Path) -> None:
    (tmp_path / "recorder.py").write_text(
        "import sys, time\nfor level in (1, 2):\n    sys.stdout.buffer.write(bytes([level]) * 1280)\n"
        "    sys.stdout.buffer.flush()\n    time.sleep(0.4)\n"
    )
    heard = everything(f"pipe:{sys.executable} {tmp_path / 'recorder.py'}")
    values = heard[np.flatnonzero(np.diff(heard, prepend=-1))].tolist()
    assert [value for value in values if value] == [0x0101, 0x0202] and values[-1] == 0
    assert (heard == 0x0101).sum() == (heard == 0x0202).sum() == 640


def test_a_fifo_waits_for_its_writers(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f")
    assert is_live(str(tmp_path / "f")) and is_live("mic:USB") and is_live("-") and not is_live("a.wav")

    def write(level: int) -> None:
        (tmp_path / "f").write_bytes(np.full(640, level, "<i2").tobytes())

    writer = threading.Thread(target=lambda: [write(1), write(2)])
    source = open_source(str(tmp_path / "f"))
    writer.start()
    seen: list[int] = []
    for piece in pieces(source, 200):
        seen += [int(piece[0])]
        if 2 in seen:
            break
    writer.join()
    source.close()
    assert 1 in seen and 2 in seen


def test_standard_input_of_the_command(tmp_path: Path) -> None:
    code = (
        "from dredge_host.audio_io.open import open_source\nfrom dredge_host.audio_io.source import pieces\n"
        "print(len(list(pieces(open_source('-', 8000)))))"
    )
    done = subprocess.run([sys.executable, "-c", code], input=bytes(2 * 8000), capture_output=True, timeout=60)
    assert int(done.stdout) >= 49, done.stderr


def test_stream_sends_what_comes_through_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(np.tile(RAMP, 10).astype("<i2").tobytes())
    words = [sys.executable, "-m", "dredge_host", "stream", "-", "--to", "loop://", "--seconds", "1", "--json"]
    with (tmp_path / "raw").open("rb") as raw:
        options = ["--conceal", "opus", "--playout", "fixed:60"]
        done = subprocess.run([*words, *options], stdin=raw, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["packets"] == 50 and result["stream"]["accounting"]["complete"]
    assert result["source"]["kind"] == "stdin"


def test_simulate_records_a_command_and_plays_into_another(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(np.tile(RAMP, 5).astype("<i2").tobytes())
    words = [f"pipe:cat {tmp_path / 'raw'}", f"pipe:cat > {tmp_path / 'heard'}", "--seconds", "0.5"]
    words += ["--conceal", "opus", "--no-quality"]
    done = subprocess.run([sys.executable, "-m", "dredge_host", "simulate", *words, "--json"], capture_output=True,
                          text=True, timeout=60)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["packets"] in (25, 26)  # the codec's look-ahead is pushed out by one more
    assert (tmp_path / "heard").stat().st_size >= 2 * 8000
    done = subprocess.run([sys.executable, "-m", "dredge_host", "simulate", "mic", "a.wav"], capture_output=True,
                          text=True, timeout=60)  # fmt: skip
    assert done.returncode == 2 and "--seconds" in done.stderr


def test_a_command_that_does_not_take_the_whole_result_is_an_error(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(3 * 16000, np.int16), 16000)
    words = [str(tmp_path / "a.wav"), "pipe:exit 3", "--conceal", "opus"]
    words = [sys.executable, "-m", "dredge_host", "simulate", *words, "--no-quality"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "pipe:exit 3: 'exit 3' reads no more" in done.stderr
