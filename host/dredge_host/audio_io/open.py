# SPDX-License-Identifier: BSD-2-Clause
"""Sources of live speech by name."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from dredge_device.pi.output.open import is_board
from dredge_device.units import SAMPLE_RATE
from dredge_host.audio_io.source import Source
from dredge_host.errors import UsageError

GRAMMAR = """FILE              WAV, FLAC, OGG, in real time
mic[:NAME]        a microphone (dredge devices lists them)
-                 standard input: raw mono int16, little-endian, --rate; or a WAV stream
pipe:COMMAND      the same from what a command prints
FIFO              the same from a named pipe
udp-pcm://:PORT   a MicroPython board with a microphone, which sends here
board://DEV       the same on a serial port or USB (?baud=N)
null              silence"""
COMMAND = "pipe:"


def is_live(text: str) -> bool:
    """Return True for a source of live speech; False for files and silence."""
    named = text in ("-", "mic") or text.startswith((COMMAND, "mic:"))
    return named or is_board(text) or Path(text).is_fifo()


def open_source(text: str, rate: int = SAMPLE_RATE, repeat: bool = False) -> Source:
    """Return the source of a text (see GRAMMAR); rate: of raw samples; repeat: a file starts again at its end.

    Raises InputError for a file that cannot be read, CapabilityError for a missing microphone, UsageError and
    UnreachableError for a board's URL.
    """
    if text == "null":
        from dredge_host.audio_io.file import silence

        return silence()
    kind, _, name = text.partition(":")
    if kind == "mic":
        from dredge_host.audio_io.microphone import Microphone

        return Microphone(name)
    if is_board(text):
        from dredge_host.audio_io.board import BoardSource

        return BoardSource(text)
    from dredge_host.audio_io.pipe import PipeSource

    if text == "-":
        return PipeSource("stdin", lambda: sys.stdin.buffer, rate)
    if text.startswith(COMMAND):
        command = text.removeprefix(COMMAND)
        if not command.strip():
            raise UsageError(f"'{text}': expected pipe:COMMAND, for example 'pipe:arecord -t raw -f S16_LE -r 16000'")
        process = subprocess.Popen(["/bin/sh", "-c", command], stdout=subprocess.PIPE, start_new_session=True)
        assert process.stdout is not None
        output = process.stdout
        return PipeSource(f"command {shlex.quote(command)}", lambda: output, rate, process)
    if Path(text).is_fifo():
        return PipeSource(text, lambda: open(text, "rb"), rate, reopen=True)
    from dredge_host.audio_io.file import read_file

    return read_file(text, repeat)
