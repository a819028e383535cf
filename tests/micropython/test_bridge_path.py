# SPDX-License-Identifier: BSD-2-Clause
"""Host tool -> bridge -> serial cable -> bridge -> agent, and back: everything real but the cable and the radio."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys

import boards
import interpreters
import pytest
import soundfile
from ports import free_port
from waiting import LONGEST_S, until

from dredge_device.framing import Framer
from dredge_device.pi.transport.serial_port import SerialLine
from dredge_host.errors import UNREACHABLE, UnreachableError
from dredge_host.links.agent_process import AgentProcess
from dredge_host.links.open import open_link
from dredge_host.live.session import Session
from dredge_host.live.watch import Watch, line

sys.path.append(str(interpreters.ROOT / "tests/device"))
from cable import Cable, Faults

SPEECH = interpreters.ROOT / "tests/data/speech_short.flac"
SECONDS = 3
# `dredge` with more patience than people have: a busy machine may not run the interpreters of the boards for seconds.
PATIENT = """
from dredge_host.cli.main import main
from dredge_host.live import session, stream
session.GREETING_S = stream.FINAL_REPORT_S = 60.0
main()
"""


@pytest.fixture
def command():
    return interpreters.need(interpreters.native())


def stream(url, folder):
    """`dredge stream` of three seconds; the JSON result."""
    loss = ["--loss", "gilbert:rate=20%,burst=4", "--seed", "3", "--redundancy", "1"]
    for _ in range(3):  # a device repeats its report for seconds only, and a busy machine may run no board meanwhile
        done = subprocess.run(
            [sys.executable, "-c", PATIENT, "stream", str(SPEECH), "--redundancy", "1.0", "--to", url,
             "--seconds", str(SECONDS), "--json", *loss],
            capture_output=True, text=True, timeout=240, check=False, cwd=folder,
        )  # fmt: skip
        if done.returncode != UNREACHABLE:
            break
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_whole_session_crosses_two_bridges(command, tmp_path):
    out = tmp_path / "out.wav"
    with Cable(tmp_path, baud=921600) as cable, AgentProcess(out=out) as agent:
        peer = agent.url.removeprefix("udp://")
        with (
            boards.Board(command, tmp_path / "near", cable.ends[0], program="bridge") as near,
            boards.Board(command, tmp_path / "far", cable.ends[1], program="bridge", peer=peer) as far,
        ):
            result = stream(near.url, tmp_path)
            first, second = boards.last_report(near), boards.last_report(far)
    packets = SECONDS * 50
    assert result["frames"]["total"] == sum(result["frames"]["by_source"].values()) == packets
    assert result["frames"]["by_source"]["dred"] > 0
    assert soundfile.info(out).frames > 0
    for report in (first, second):
        assert report["schema"] == "dredge-bridge-report-1"
        assert (report["line"]["damaged"], report["line"]["missed"]) == (0, 0)
        # A machine that is too busy to empty the terminal makes the line busy; nothing goes uncounted then either.
        bridge = report["bridge"]
        assert bridge["udp_in"] == bridge["line_out"] + bridge["line_busy"]
    # What one bridge put onto the line, the other took from it.
    assert first["bridge"]["line_bytes_out"] >= second["bridge"]["line_bytes_in"] > 0
    assert first["bridge"]["line_out"] == second["bridge"]["udp_out"] > packets // 2
    assert second["bridge"]["line_out"] >= first["bridge"]["udp_out"] > 0
    assert first["budget"]["frames"] > packets
    assert "in " in line(first) and "CPU p99" in line(first)


def test_a_second_command_is_served_at_once(command, tmp_path):
    """The goodbye of the first frees the bridge: ten seconds of silence were needed once."""
    with Cable(tmp_path, baud=921600) as cable, AgentProcess(options=()) as agent:
        peer = agent.url.removeprefix("udp://")
        with (
            boards.Board(command, tmp_path / "near", cable.ends[0], program="bridge") as near,
            boards.Board(command, tmp_path / "far", cable.ends[1], program="bridge", peer=peer),
        ):
            for _ in range(2):
                result = stream(near.url, tmp_path)
                assert sum(result["frames"]["by_source"].values()) == SECONDS * 50
                assert result["device_report"] is not None


def test_another_host_is_told_and_then_served_without_a_pause(command, tmp_path):
    """Nobody is ever told that nobody listens there, neither during a session nor right after its goodbye."""
    with Cable(tmp_path, baud=921600) as cable, AgentProcess(options=()) as agent:
        peer = agent.url.removeprefix("udp://")
        with (
            boards.Board(command, tmp_path / "near", cable.ends[0], program="bridge") as near,
            boards.Board(command, tmp_path / "far", cable.ends[1], program="bridge", peer=peer),
        ):
            first, second = open_link(near.url), open_link(near.url)
            session = Session(first)
            session.greet()
            with pytest.raises(UnreachableError, match="another host is using this bridge"):
                Session(second).greet()
            session.goodbye(None, 3.0)
            first.close()
            assert Session(second).greet()["role"] == "device"
            second.close()


def test_a_bridge_that_was_reset_keeps_its_port_and_so_its_session(command, tmp_path):
    """The far bridge calls from its own port: the agent sees no stranger after a reset."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent, Cable(tmp_path) as cable:
        agent.bind(("127.0.0.1", 0))
        agent.settimeout(60)
        port, seen = free_port(), []
        peer = f"127.0.0.1:{agent.getsockname()[1]}"
        framer = Framer()
        for _ in range(2):
            with (
                boards.Board(command, tmp_path / "far", cable.ends[1], program="bridge", peer=peer, port=port),
                open(cable.ends[0], "wb", buffering=0) as line,
            ):
                line.write(framer.frame(b"speech"))
                seen.append(agent.recvfrom(100)[1][1])
    assert seen == [port, port]


def test_wifi_that_comes_late_goes_and_comes_back(command, tmp_path):
    folder = tmp_path / "board"
    folder.mkdir()
    (folder / "wifi").write_text("down")
    with boards.Board(command, folder, program="probe", wait=False, wifi={"ssid": "home", "password": "x"}) as board:
        until(lambda: (folder / "wifi.tries").exists())
        assert (folder / "wifi.power").read_text() == "0"  # no power save: it bunches datagrams
        (folder / "wifi").write_text("up")
        board.wait_for_greeting()
        tries = int((folder / "wifi.tries").read_text())
        (folder / "wifi").write_text("down")
        until(lambda: int((folder / "wifi.tries").read_text() or 0) > tries)
        (folder / "wifi").write_text("up")
        result = stream(board.url, tmp_path)
        assert sum(result["frames"]["by_source"].values()) == SECONDS * 50


def test_a_line_with_faults_loses_packets_and_counts_them(command, tmp_path):
    with Cable(tmp_path, faults=Faults(flipped=2e-4, dropped=1e-4), seed=4) as cable, AgentProcess() as agent:
        peer = agent.url.removeprefix("udp://")
        with (
            boards.Board(command, tmp_path / "near", cable.ends[0], program="bridge") as near,
            boards.Board(command, tmp_path / "far", cable.ends[1], program="bridge", peer=peer) as far,
        ):
            result = stream(near.url, tmp_path)
            wire = boards.last_report(far)["line"]
    assert wire["damaged"] > 0 and wire["missed"] > 0
    assert wire["frames"] > 50
    assert result["frames"]["by_source"]["opus"] < SECONDS * 50


def test_probe_reports_what_could_have_been_recovered(command, tmp_path):
    with boards.Board(command, tmp_path / "board", program="probe") as probe:
        assert "probe" in probe.greeting
        result = stream(probe.url, tmp_path)
        assert probe.is_running()
    frames = result["frames"]["by_source"]
    lost = sum(frames.values()) - frames["opus"]
    assert sum(frames.values()) == SECONDS * 50
    report, packets = result["device_report"], result["device_report"]["packets"]
    # Where this machine is busy, late packets make the bursts longer, and the goodbye comes after the end.
    assert frames["dred"] > 0.8 * lost > 0 or packets["late"]
    after_the_end = packets["expected"] - SECONDS * 50
    assert report["dred"]["span_ms"][1] == 1040
    assert packets["lost"] == lost + after_the_end
    # What came late is lost and in no gap, nor is a gap that only the goodbye ended.
    assert lost - packets["late"] <= sum(gap[0] * gap[1] for gap in report["gaps"]) <= packets["lost"]


def test_a_line_that_is_too_slow_drops_the_newest_and_says_so(command, tmp_path):
    """38,400 baud carry 3.8 kB/s, the stream has 8 to 10: a UART takes no more than its buffer has room for."""
    with Cable(tmp_path, baud=38400) as cable, AgentProcess() as agent:
        peer = agent.url.removeprefix("udp://")
        with (
            boards.Board(command, tmp_path / "near", cable.ends[0], program="bridge", uart={"baud": 38400}) as near,
            boards.Board(command, tmp_path / "far", cable.ends[1], program="bridge", peer=peer,
                         uart={"baud": 38400}) as far,
        ):  # fmt: skip
            result = stream(near.url, tmp_path)
            here, there = boards.last_report(near), boards.last_report(far)
    bridge = here["bridge"]
    assert bridge["line_busy"] > 20
    assert bridge["udp_in"] == bridge["line_out"] + bridge["line_busy"]
    # What the line took came through whole, and what it did not take is lost, not damaged.
    assert (there["line"]["damaged"], there["line"]["missed"]) == (0, 0)
    assert result["frames"]["by_source"]["opus"] < SECONDS * 50
    assert f"busy {bridge['line_busy']}" in line(here)


def test_a_bridge_that_does_not_get_its_turn_loses_bytes_as_a_uart_does(command, tmp_path):
    """What comes while the buffer of 2048 bytes is full is gone; the frames around it are found again."""
    framer = Framer()
    with Cable(tmp_path) as cable, boards.Board(
        command, tmp_path / "near", cable.ends[0], program="bridge", wires={"DREDGE_UART_LOSES": "1"}
    ) as near, open(cable.ends[1], "wb", buffering=0) as line:  # fmt: skip

        def read_on(found):
            """Writes a small frame; returns when the board has read more than it had found before."""
            line.write(framer.frame(bytes(100)))
            return until(lambda: max(found, boards.last_report(near)["line"]["frames"]) - found) + found

        frames = 0
        for _ in range(2):
            frames = read_on(frames)
            near.pause_with(lambda: [line.write(framer.frame(bytes(range(1, 201)))) for _ in range(15)])
            frames = read_on(frames)
        wire = boards.last_report(near)["line"]
    assert wire["damaged"] >= 1 and wire["missed"] >= 2
    assert wire["frames"] >= 2 + 2 * (2048 // 210)


def test_datagrams_over_the_limit_are_counted_and_not_cut(command, tmp_path):
    with Cable(tmp_path, baud=921600) as cable, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as host:
        far = SerialLine(f"serial://{cable.ends[1]}?baud=921600")
        with contextlib.closing(far), boards.Board(command, tmp_path / "near", cable.ends[0], program="bridge") as near:
            host.connect(("127.0.0.1", near.port))
            heard = []
            for size in (2049, 9000, 2048, 1600):
                host.send(bytes(size))
                if size <= 2048:  # the line takes the next one when this one has passed
                    heard.append(far.recv(LONGEST_S))
            report = boards.last_report(near)["bridge"]
    assert [len(datagram) for datagram in heard] == [2048, 1600]
    assert report["too_long"] == 2


def test_check_has_a_verdict_for_a_probe(command, tmp_path):
    with boards.Board(command, tmp_path / "board", program="probe") as probe:
        done = subprocess.run(
            [sys.executable, "-m", "dredge_host", "check", "--to", probe.url, "--seconds", "2", "--json"],
            capture_output=True, text=True, timeout=200, check=False, cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    result = json.loads(done.stdout)
    assert result["device"]["role"] == "probe" and len(result["patterns"]) == 4
    for pattern in result["patterns"]:
        assert pattern["arrived"] is not None and pattern["sent"] >= pattern["arrived"] > 0
        assert not [reason for reason in pattern["reasons"] if "never came" in reason or "periods" in reason]
    gaps = result["patterns"][2]
    assert gaps["coverable"] > 0 and gaps["recoverable"] > 0


def test_a_bridge_says_who_it_is(command, tmp_path):
    with Cable(tmp_path) as cable, boards.Board(command, tmp_path / "one", cable.ends[0], program="bridge") as board:
        link = open_link(board.reports_url)
        watch = Watch(link)
        assert watch.info["role"] == "bridge" and watch.info["baud"] == 921600
        numbers = [report["number"] for report in watch.reports(2)]
        assert numbers[1] == numbers[0] + 1
        watch.close()
        link.close()


def test_nobody_there_is_said(monkeypatch):
    monkeypatch.setattr("dredge_host.live.watch.ANSWER_S", 0.3)
    with pytest.raises(UnreachableError):
        Watch(open_link(f"udp://127.0.0.1:{free_port()}"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"program": "kettle"}, "program is 'kettle', expected bridge or probe or microphone"),
        ({"program": "probe", "port": 70000}, "port is 70000, expected 1 to 65535"),
        ({"program": "radio", "peer": "somewhere"}, "peer is 'somewhere', expected a MAC address"),
        ({"program": "bridge", "peer": "somewhere"}, "peer is 'somewhere', expected HOST:PORT"),
    ],
)
def test_wrong_settings_are_named(command, tmp_path, settings, words):
    (tmp_path / "dredge.json").write_text(json.dumps(settings))
    path = f"{boards.FAKES}:{interpreters.FIRMWARE}:{interpreters.FIRMWARE / 'boards'}:.frozen"
    done = subprocess.run([*command, str(boards.MAIN)], cwd=tmp_path, env={"MICROPYPATH": path}, capture_output=True,
                          text=True, timeout=120, check=False)  # fmt: skip
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
