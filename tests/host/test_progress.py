# SPDX-License-Identifier: BSD-2-Clause
"""What people see of long work, on a terminal and elsewhere."""

import io

import pytest

from dredge_host.progress import EVERY_S, Bar, _span


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_elsewhere_a_line_now_and_then():
    clock, out = Clock(), io.StringIO()
    with Bar("evaluate", 100, "cells", found=20, stream=out, clock=clock) as bar:
        for _ in range(10):
            clock.now += EVERY_S / 2
            bar.step()
    lines = out.getvalue().splitlines()
    assert len(lines) == 6  # every second step, and the end
    assert lines[0] == "evaluate: 22 of 100 cells, 2.5 s each, about 3 min left"
    assert lines[-1].startswith("evaluate: 30 of 100 cells")


def test_the_end_says_how_long_it_took():
    clock, out = Clock(), io.StringIO()
    with Bar("evaluate", 4, "clips", stream=out, clock=clock) as bar:
        clock.now += 2.0
        bar.reach(4, 4, 2.0)
    assert out.getvalue() == "evaluate: 4 of 4 clips, 2.0/s, took 2 s\n"


def test_nothing_done_nothing_said():
    out = io.StringIO()
    with Bar("evaluate", 4, "cells", found=4, stream=out):
        pass
    assert out.getvalue() == ""


def test_before_the_first_there_is_no_time_left_to_tell():
    assert Bar("evaluate", 4, "cells", stream=io.StringIO(), clock=Clock()).text() == "0 of 4 cells"


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    clock, out = Clock(), Terminal()
    with Bar("evaluate", 4, "cells", stream=out, clock=clock) as bar:
        clock.now += 1.0
        bar.step(2)
    assert "2 of 4 cells, 2.0/s, about 1 s left" in out.getvalue()


SPANS = [(0.4, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h")]


@pytest.mark.parametrize(("seconds", "text"), SPANS)
def test_spans(seconds, text):
    assert _span(seconds) == text
