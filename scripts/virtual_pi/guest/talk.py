# SPDX-License-Identifier: BSD-2-Clause
"""Two duplex streams: both ends of a `dredge talk` on this board, each says the bundled speech and hears the other."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from importlib import resources
from typing import Any

from usage import processor_s, pss_kb

LISTEN = "udp://127.0.0.1:5004"
LONGEST_S = 60.0  # a talk that does not end by itself


def start(settings: dict[str, Any], seed: int, *words: str) -> subprocess.Popen[str]:
    """Start one end; its result is the JSON on its standard output."""
    speech = str(resources.files("dredge_host") / "assets/demo_speech.flac")
    command = [sys.executable, "-m", "dredge_host", "talk", *words, "--mic", speech, "--speaker", "null", "--json"]
    command += ["--vocoder", settings["model"], "--playout", settings["playout"]]
    command += ["--loss", settings["loss"], "--seed", str(seed)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(end: subprocess.Popen[str], seconds: float) -> tuple[str, str]:
    """Return what an end wrote to its standard output and error; one that does not end in this time is killed."""
    try:
        return end.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        end.kill()
        return end.communicate()


def run(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the reports and usage of both ends. settings: model, playout, loss, seconds, seed (second end: + 1)."""
    begun = time.monotonic()
    ends = [start(settings, settings["seed"], "--listen", LISTEN, "--once")]
    assert ends[0].stderr is not None
    said = ends[0].stderr.readline().strip()
    ready_s = time.monotonic() - begun
    if "listening" not in said:
        sys.exit(f"the first end of the talk said '{said}'")
    ends.append(start(settings, settings["seed"] + 1, LISTEN, "--seconds", str(settings["seconds"])))
    time.sleep(settings["seconds"] / 2)
    pss = [pss_kb(end.pid) for end in ends]
    used, wall = sum(processor_s(end.pid) for end in ends), time.monotonic()
    time.sleep(settings["seconds"] / 4)
    used, wall = sum(processor_s(end.pid) for end in ends) - used, time.monotonic() - wall
    results, errors = zip(*[finish(end, LONGEST_S + settings["seconds"]) for end in reversed(ends)], strict=True)
    if any(end.returncode for end in ends):
        sys.exit(f"the ends of the talk ended with {[end.returncode for end in ends]}: {errors}")
    return {
        "ready_s": round(ready_s, 3), "pss_kb": pss[0], "pss_playing_kb": pss[0],
        "cpu_pct": round(100 * used / wall, 2), "ends": [json.loads(result) for result in reversed(results)],
    }  # fmt: skip
