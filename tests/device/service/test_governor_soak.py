# SPDX-License-Identifier: BSD-2-Clause
"""The soak in small: a real device process, hosts that come, change and go; and the arithmetic of its verdict."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from device_fakes import Bench

sys.path.append(str(Path(__file__).parents[3] / "scripts"))

import soak
import soakhost
import soakwatch

from dredge_host.live.result import overload_lines

if not Path("/proc/self/statm").exists():
    pytest.skip("this system has no /proc", allow_module_level=True)


def test_a_small_soak_keeps_exact_books(tmp_path, capsys):
    out = tmp_path / "soak.json"
    given = soak.arguments(["--minutes", "0.1", "--streams", "3", "--session", "0.5:1.5", "--sample", "0.5",
                            "--json", str(out)])  # fmt: skip
    code = soak.main(given)
    document = json.loads(out.read_text())
    total = document["totals"]
    assert document["schema"] == "dredge.soak/1" and total["sessions"] >= 3 and total["senders"] > total["sessions"]
    assert total["inexact_sessions"] == total["without_report"] == total["refused"] == total["lost_on_the_way"] == 0
    assert total["packets"] == sum(session["made"] for session in document["sessions"])
    assert total["lost_by_model"] > 0 and total["sources"]["dred"] > 0
    assert document["trend"]["fds"][1] <= document["trend"]["fds"][0] + 3
    assert sum(document["load"]["periods"].values()) > 100
    text = capsys.readouterr().out
    assert "ok   memory" in text and "not judged in less than 10 minutes" in text
    assert code == ("FAIL" in text)  # a thread that builds a receiver may be seen in some of these few samples
    assert "ok   counters: 0 of" in text and "ok   descriptors" in text


def result(**changes):
    trend = {"seconds": 3600.0, "rss_kib": {"last": 60000}, "rss_kib_per_h": 100.0, "rss_kib_per_h_ci95": 50.0,
             "fds": [4, 5], "hosts": 1, "threads": [11, 11]}  # fmt: skip
    total = {"inexact_sessions": 0, "sessions": 9, "without_report": 0, "late_frames_cpu": 0, "packets": 1000}
    for name, value in changes.items():
        (trend if name in trend else total)[name] = value
    return {"trend": trend, "totals": total}


@pytest.mark.parametrize(
    ("fails", "changes"),
    [("memory", {"rss_kib_per_h": 2000.0}), ("descriptors", {"fds": [4, 6]}), ("threads", {"threads": [11, 12]}),
     ("late by CPU", {"late_frames_cpu": 1}), ("counters", {"inexact_sessions": 1}),
     ("counters", {"without_report": 1}), ("counters", {"sessions": 0})],
)  # fmt: skip
def test_everything_that_is_judged_can_fail(fails, changes):
    assert all(passed for _, passed, _ in soak.verdicts(result()))
    assert [what for what, passed, _ in soak.verdicts(result(**changes)) if not passed] == [fails]


def test_noise_is_no_leak_and_a_leak_is():
    times = np.arange(0, 1, 1 / 360)  # an hour in samples of 10 s
    noise = np.random.default_rng(1).normal(0, 40, len(times))
    rise, half = soakwatch.slope(list(times), list(60000 + noise))
    assert abs(rise) < 2 * half < 60
    rise, half = soakwatch.slope(list(times), list(60000 + 1500 * times + noise))
    assert abs(rise - 1500) < 2 * half
    assert soakwatch.slope([0, 1, 2], [1, 3, 5]) == (pytest.approx(2), pytest.approx(0))
    for bad in (([0, 1], [1, 2]), ([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [1, 2])):
        with pytest.raises(ValueError, match="slope:"):
            soakwatch.slope(*bad)


def test_a_process_is_seen_from_outside():
    before = soakwatch.look(os.getpid(), 0)
    with open(os.devnull, encoding="ascii"):
        inside = soakwatch.look(os.getpid(), 1)
    assert inside.fds == before.fds + 1 and inside.rss_kib > 1000 and inside.threads >= 1
    assert inside.cpu_s >= before.cpu_s
    with pytest.raises(OSError, match="No such file"):
        soakwatch.look(2**22 + 1, 0)


def books(**changes):
    session = soakhost.Session(0, 0.0, made=100, sent=80)
    packets = {"sent": 100, "arrived": 80, "missing": 20, "expected": 100, "restarts": 0}
    session.report = {"packets": {**packets, **changes}, "sources": {"silence": 7, "opus": 80, "dred": 20}}
    return session.counts()


def test_books_are_exact_or_not():
    assert books() == {**books(), "exact": True, "lost": 20, "on_the_way": 0}
    for name in ("sent", "arrived", "missing", "expected", "restarts"):
        assert not books(**{name: 1})["exact"]
    assert books(arrived=79)["on_the_way"] == 1


def test_a_sender_that_left_before_it_was_believed_does_not_spoil_the_books():
    table = Bench(playout_ms=40)
    for n in range(20):
        table.send(n)
        table.pull()
    table.send(30000, ssrc=99)  # one packet: on trial
    table.receiver.finish(30000, 960 * 30000)
    while not table.receiver.ended:
        table.pull()
    packets = table.receiver.report()["packets"]
    assert (packets["sent"], packets["arrived"], packets["missing"], packets["restarts"]) == (20, 20, 0, 0)


def test_a_device_that_says_no_ends_the_session():
    host = soakhost.SoakHost(0, "udp://127.0.0.1:9", [b"x"], "0%", (1.0, 2.0), 1)
    host._begin(0.0)
    no = soakhost.control.with_document(soakhost.control.HELLO, host._number, {"ok": False, "error": "full"},
                                        soakhost.control.REPLY)  # fmt: skip
    host._take(no, 1.0)
    assert host.resting and host.refusals == ["full"] and host.ended[0].trouble == "refused: full"
    assert soak.totals(host.ended)["refused"] == 1


def test_the_summary_of_a_stream_tells_what_the_load_took():
    assert overload_lines({}) == overload_lines({"load": {"full": 100, "small": 0}}) == []
    (line,) = overload_lines({"load": {"full": 50, "small": 12, "classic": 0, "closed": 0, "hurried": 3}})
    assert line.endswith("periods at each level: small 12, hurried 3")
