# SPDX-License-Identifier: BSD-2-Clause
"""Host tool -> wire -> ESP-NOW bridge ~ air ~ ESP-NOW bridge -> wire -> agent; both boards are the real interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

import boards
import interpreters
import pytest
from ports import free_port

from dredge_host.links.agent_process import AgentProcess
from dredge_host.live.watch import line

sys.path.append(str(interpreters.ROOT / "tests/device"))
from cable import Cable

SPEECH = interpreters.ROOT / "tests/data/speech_short.flac"
SECONDS = 4


@pytest.fixture
def command():
    return interpreters.need(interpreters.native())


def mac(port):
    return f"02:00:00:00:{port >> 8:02x}:{port & 255:02x}"


def through_the_air(command, tmp_path, lost_permille, peers, *options):
    """(JSON result, report of the near radio, report of the far one) of four seconds of `dredge stream`."""
    ports = [free_port(), free_port()]
    for folder in ("near", "far", "a", "b"):
        (tmp_path / folder).mkdir()
    ends = []
    with Cable(tmp_path / "a", baud=921600) as here, Cable(tmp_path / "b", baud=921600) as there:
        for name, cable, own, other in (("near", here, *ports), ("far", there, *reversed(ports))):
            settings = {"program": "radio", "wires": {"DREDGE_RADIO": f"{own}:{other}:{lost_permille}:{7 + len(ends)}"}}
            if peers:
                settings["peer"] = mac(other)
            ends.append(boards.Board(command, tmp_path / name, cable.ends[1 if name == "near" else 0], **settings))
        near, far = ends
        agent_url = f"serial://{there.ends[1]}?baud=921600"
        with near, far, AgentProcess(listen=agent_url, options=("--once",)):
            done = subprocess.run(
                [sys.executable, "-m", "dredge_host", "stream", str(SPEECH), "--redundancy", "1.0", "--to",
                 f"serial://{here.ends[0]}?baud=921600", "--seconds", str(SECONDS), "--json", *options],
                capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout), boards.last_report(near), boards.last_report(far)


def test_a_radio_that_repeats_nothing_loses_frames_and_dred_fills_them(command, tmp_path):
    """8 of 100 frames are lost, to everybody. At 80 kb/s a packet with 1 s of redundancy takes two frames."""
    result, near, far = through_the_air(command, tmp_path, 80, False, "--bitrate", "80000")
    frames = result["frames"]["by_source"]
    assert sum(frames.values()) == SECONDS * 50
    report = result["device_report"]
    given_up = report["packets"]["late"] + report["sources"]["skipped"]  # where this machine stood still
    assert frames["dred"] + given_up > 0
    assert frames["dred"] + frames["lbrr"] + given_up > max(5, 0.8 * (sum(frames.values()) - frames["opus"]))
    here, over_there = near["radio"], far["radio"]
    # Every loss is in one of the counters.
    assert here["frames_out"] > here["datagrams_out"] > SECONDS * 50
    assert over_there["frames_in"] < here["frames_out"]
    lost = over_there["datagrams_missed"] + over_there["datagrams_cut"]
    assert 5 < lost <= here["datagrams_out"] - over_there["datagrams_in"]
    assert here["unanswered"] == 0
    assert "datagrams lost" in line(far)


def test_a_peer_acknowledges_and_so_hardly_a_frame_is_lost(command, tmp_path):
    result, near, far = through_the_air(command, tmp_path, 80, True, "--redundancy", "0.2")
    assert sum(result["frames"]["by_source"].values()) == SECONDS * 50
    assert far["radio"]["datagrams_in"] > 0.95 * near["radio"]["datagrams_out"]
    assert far["radio"]["foreign"] == 0
