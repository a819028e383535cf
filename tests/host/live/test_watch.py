# SPDX-License-Identifier: BSD-2-Clause
"""Reports of a board, from the board's own reporter behind an in-process link."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner
from waiting import until

from dredge_device import control
from dredge_host.cli import main
from dredge_host.errors import UnreachableError, VersionMismatch
from dredge_host.links import loop, open
from dredge_host.live import watch

sys.path.append(str(Path(__file__).resolve().parents[3] / "firmware/boards"))

from dredge_board.reports import Reporter

FIGURES = {
    "bridge": {"udp_in": 7, "udp_out": 6, "line_busy": 1},
    "line": {"frames": 6, "missed": 2, "damaged": 1, "overlong": 0},
    "budget": {"p99_pct": 3.5},
}


class BoardThread:
    """A board that answers until it is told to stop; reports come as fast as it is polled."""

    def __init__(self, link, reports=100):
        self._link, self._left = link, reports
        about = {"ok": True, "role": "bridge"}
        self._reporter = Reporter("dredge-bridge-report-1", lambda: about, lambda: dict(FIGURES))
        self.heard = []
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        now = 0
        while not self.stop.is_set():
            datagram = self._link.recv(0.01)
            if datagram is not None:
                self.heard += [message.kind for message in control.parse(datagram)]
                for answer in self._reporter.handle(datagram, "peer", now):
                    self._link.send(answer)
            if self._left:
                due = self._reporter.tick(now, lambda now, due: now >= due)
                self._left -= bool(due)
                for report in due:
                    self._link.send(report)
            now += 1000000

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop.set()
        self._thread.join()


def test_info_then_numbered_reports():
    near, far = loop.loop_pair()
    with BoardThread(far) as board:
        seen = watch.Watch(near)
        assert seen.info == {"ok": True, "role": "bridge"}
        numbers = [report["number"] for report in seen.reports(3)]
        assert numbers == list(range(numbers[0], numbers[0] + 3))
        seen.close()
        until(lambda: control.BYE in board.heard)
    assert control.BYE in board.heard


def test_silence_is_unreachable(monkeypatch):
    monkeypatch.setattr(watch, "ANSWER_S", 0.2)
    monkeypatch.setattr(watch, "RETRY_S", 0.05)
    near, _ = loop.loop_pair()
    with pytest.raises(UnreachableError, match="no board answers"):
        watch.Watch(near)


def test_a_board_that_falls_silent_is_noticed(monkeypatch):
    near, far = loop.loop_pair()
    with BoardThread(far, reports=2):
        seen = watch.Watch(near)
        monkeypatch.setattr(watch, "ANSWER_S", 0.5)
        with pytest.raises(UnreachableError, match="stopped reporting"):
            list(seen.reports())


def test_another_protocol_version_is_named():
    near, far = loop.loop_pair()
    message = bytearray(control.build(control.with_document(control.HELLO, 1, {}, control.REPLY)))
    message[12] = control.PROTOCOL_VERSION + 1
    far.send(bytes(message))
    with pytest.raises(VersionMismatch, match="same version"):
        watch.Watch(near)


def test_garbage_is_passed_over():
    near, far = loop.loop_pair()
    for datagram in (b"", b"noise", b"\x80\xcc\x00\x00"):
        far.send(datagram)
    with BoardThread(far):
        assert watch.Watch(near).info["role"] == "bridge"


def test_a_line_for_people():
    text = watch.line({"number": 12, **FIGURES})
    assert text.strip() == "12  in 7 out 6 datagrams, busy 1; line: 6 frames, 3 lost; CPU p99 3.5 % of 20 ms"
    assert "CPU p99 0 %" in watch.line({})
    part = {"packets": 50, "waiting_ms": 80, "missed": 2, "dry": 1, "longer": 3, "shorter": 5}
    assert "80 ms wait, missed 2, dry 1, clock -2 samples" in watch.line({"loudspeaker": part})


def test_command_prints_json(monkeypatch):
    near, far = loop.loop_pair()
    monkeypatch.setattr(open, "open_link", lambda url: near)
    with BoardThread(far):
        result = CliRunner().invoke(main.cli, ["watch", "udp://board:5005", "--count", "2", "--json"])
    document = json.loads(result.stdout)
    assert result.exit_code == 0 and document["schema"] == "dredge.watch/1"
    assert len(document["reports"]) == 2 and document["reports"][0]["bridge"]["udp_in"] == 7
