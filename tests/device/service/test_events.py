# SPDX-License-Identifier: BSD-2-Clause
"""What the agent says on standard error: one line per event, fewer with --quiet, with severities in the journal."""

import os
import re
import signal
import subprocess
import sys

from device_host import Host, start_agent
from waiting import LONGEST_S

from dredge_device import control, rtp
from dredge_device.pi.service.notices import Notices
from dredge_device.pi.service.session_log import losses, summary
from dredge_device.pi.standard_streams import in_journal
from dredge_kernels import opus

SSRC = 0xBEEF


def report(expected, lost, late=0, **sources):
    packets = {"expected": expected, "lost": lost, "received": expected - lost, "sent": expected, "missing": lost}
    return {"packets": packets, "sources": sources, "queue": {"late_periods": late}}


def test_losses_are_those_since_the_line_before():
    before, now = report(100, 3, dred=3), report(600, 20, late=2, dred=15, plc=5, opus=580)
    assert losses(before, now) == "17 of 500 packets lost, played: dred 12, plc 5; 2 periods not ready in time"
    assert losses(now, now) == "" and losses({}, report(50, 0, opus=50)) == ""
    tardy = {**now, "packets": {**now["packets"], "late": 4}}
    assert losses(before, tardy).startswith("17 of 500 packets lost, 4 late, played: dred 12, plc 5;")


def test_what_never_came_is_not_lost_until_more_comes():
    """A sender that stands still for five seconds: the device conceals 250 periods, one packet is missing."""
    before, now = report(100, 0, opus=100), report(600, 250, opus=350, plc=249, dred=1)
    now["packets"].update(sent=350, missing=1)
    assert losses(before, now) == "1 of 250 packets lost, played: dred 1, plc 249; nothing came for 5 s"
    now["packets"].update(missing=0)
    assert losses(before, now) == "nothing came for 5 s"


def test_the_last_line_names_the_file_and_what_went_wrong_with_it():
    output = {"file": "a.wav", "error": "disk full"}
    text = summary(("::1", 9), "", {**report(50, 1, opus=49, dred=1), "output": output})
    assert text.startswith("stream from [::1]:9 ended (goodbye): 1.0 s, 49 packets, 1 lost; played: opus 49, dred 1; ")
    assert text.endswith("; written: a.wav; output: disk full")


def test_a_stream_that_ends_without_goodbye_is_as_long_as_it_was():
    text = summary(("::1", 9), "silence", report(150, 36, opus=113, dred=36, plc=99, skipped=1))
    assert "ended (silence): 3.0 s, 114 packets, 36 lost; played: opus 113, dred 36, plc 99, skipped 1, 99 of " in text
    assert text.endswith(", 99 of them after the last packet (2.0 s)")
    assert "after the last" not in summary(("::1", 9), "silence", report(50, 1, opus=49, dred=1))


def test_many_late_packets_come_with_advice():
    final = report(150, 0, opus=121, plc=29)
    few, many = ({**final, "packets": {**final["packets"], "late": late}} for late in (3, 29))
    assert summary(("::1", 9), "", few).endswith("; 3 late")
    assert summary(("::1", 9), "", many).endswith("; 29 late, a longer --playout would keep them")


def test_quiet_keeps_warnings():
    lines = []
    notices = Notices(lines.append, quiet=True)
    notices.note("ready")
    notices.stream("began")
    notices.warn("full", "full")
    assert lines == ["full"]


def session(host, lost=(), count=60):
    """One whole session; the losses are the host's."""
    encoder = opus.OpusEncoder(bitrate=24000)
    data = _packets(encoder, count)
    host.ask(control.HELLO, {"role": "host"})
    host.ask(control.CONFIGURE, {"playout_ms": 800, "conceal": "opus", "ssrc": SSRC, "first_sequence": 0})
    for number, payload in enumerate(data):
        if number not in lost:
            host.socket.send(rtp.build(number, 960 * number, SSRC, payload))
        host.listen(0.02)
    host.ask(control.BYE, {"last_sequence": count - 1})
    host.listen(LONGEST_S, lambda: any("output" in r for r in host.reports))


def _packets(encoder, count):
    import numpy as np

    tone = np.rint(5000 * np.sin(np.arange(320 * count) / 9)).astype(np.int16).reshape(count, 320)
    return [encoder.encode(piece) for piece in tone]


def said_by(tmp_path, *options, **popen):
    """Standard error of an agent that served one session and then got SIGTERM."""
    process, address = start_agent("--conceal", "opus", "--out", str(tmp_path / "heard.wav"), *options, **popen)
    host = Host(address)
    try:
        session(host, lost={10, 11, 30})
        process.send_signal(signal.SIGTERM)
        return process.communicate(timeout=60)[1], host.socket.getsockname()[1]
    finally:
        host.close()
        process.kill()
        process.wait()


def test_a_session_is_four_lines_without_colours(tmp_path):
    text, port = said_by(tmp_path)
    ready, began, ended, stopped = text.splitlines()
    assert ready.startswith("dredge agent: ready at udp://127.0.0.1:") and "for this machine, 1 at a time" in ready
    kind = "Opus, type 111, 20 ms, SSRC 0x0000beef, playout fixed:800, losses by opus"
    assert began == f"dredge agent: stream from 127.0.0.1:{port} began ({kind})"
    said = re.escape(f"dredge agent: stream from 127.0.0.1:{port} ended (goodbye): ")
    length = re.match(rf"{said}(\S+) s, 57 packets, 3 lost; played: opus ", ended)
    assert length is not None and float(length[1]) >= 1.2, ended  # longer where this machine brought the goodbye late
    assert f"; written: {tmp_path / 'heard.wav'}" in ended
    assert stopped == "dredge agent: stopped by SIGTERM"
    assert "\x1b" not in text


def test_quiet_says_nothing_where_nothing_is_wrong(tmp_path):
    assert said_by(tmp_path, "--quiet")[0] == ""


PROGRAM = """
import os, sys
found = os.fstat(2)
os.environ["JOURNAL_STREAM"] = f"{found.st_dev}:{found.st_ino}"
os.execv(sys.executable, [sys.executable, "-m", "dredge_device", *sys.argv[1:]])
"""


def test_in_the_journal_lines_carry_their_severity():
    """Standard error is a pipe whose device and inode are those of $JOURNAL_STREAM, as systemd would have it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    words = ["--listen", "udp://127.0.0.1:0", "--conceal", "opus", "--seconds", "0.1"]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, env=environment,
                          timeout=60, check=True)  # fmt: skip
    ready, left = done.stderr.splitlines()
    assert ready.startswith("<6>ready at udp://127.0.0.1:") and left == "<6>done"
    words = ["--listen", "udp://0.0.0.0:0"]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, env=environment,
                          timeout=60, check=False)  # fmt: skip
    assert done.returncode == 2 and done.stderr.startswith("<3>") and done.stderr.count("\n") == 1


def test_an_inherited_variable_alone_is_no_journal(monkeypatch):
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    assert not in_journal()
