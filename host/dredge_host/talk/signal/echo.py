# SPDX-License-Identifier: BSD-2-Clause
"""Echo cancellation: an open microphone picks up the loudspeaker, so that the other end would hear itself."""

from __future__ import annotations

import os
import shutil
import subprocess

_ADVICE = (
    "an open microphone hears the loudspeaker: the other end hears itself, and two such ends howl; use headphones, "
    "--half-duplex or --ptt key"
)
_HOW = "or an echo canceller: pactl load-module module-echo-cancel (PulseAudio, PipeWire)"


def advice() -> str:
    """Return advice about echo, for the report."""
    return f"{_ADVICE}, {_HOW}"


def use_canceller() -> str:
    """Use the sound server's echo canceller for the default microphone and loudspeaker, if it has one.

    Returns the outcome, or advice. It must be called before the first card is opened.
    """
    source, sink = _named("sources"), _named("sinks")
    if source is None:
        return advice()
    os.environ["PULSE_SOURCE"] = source
    if sink is not None:
        os.environ["PULSE_SINK"] = sink
    return f"echo is cancelled by the sound server ({source})"


def _named(kind: str) -> str | None:
    """Return the source or sink of an echo canceller (module-echo-cancel of PulseAudio or PipeWire)."""
    if shutil.which("pactl") is None:
        return None
    try:
        done = subprocess.run(["pactl", "list", "short", kind], capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    found = [row[1] for row in rows if len(row) > 1 and "echo-cancel" in row[1] and not row[1].endswith(".monitor")]
    return found[0] if found else None
