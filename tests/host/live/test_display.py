# SPDX-License-Identifier: BSD-2-Clause
"""The live display: a panel on a terminal, a line per second elsewhere, JSON on request."""

import builtins
import io
import json

import pytest

from dredge_host.live.screen.display import Display
from dredge_host.live.screen.panel import BAR, bar

STATE = {
    "t_s": 0.5,
    "loss_pct": 18.75,
    "by_source": {"opus": 13, "lbrr": 1, "dred": 5, "plc": 1},
    "delay_ms": 1000.2,
    "cpu_us": 4200,
    "bitrate_bps": 55300,
}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def test_a_line_holds_every_figure():
    out = io.StringIO()
    display = Display(100, stream=out)
    display.update(STATE)
    assert out.getvalue() == (
        "   0.5 s  loss 18.8 %  normal 13  LBRR 1  DRED 5  PLC 1  delay 1000 ms  "
        "CPU per packet 4.2 of 20 ms, worst 4.2 ms  55.3 kb/s\n"
    )


def test_one_line_per_second_and_a_last_one():
    out = io.StringIO()
    with Display(200, stream=out) as display:
        for packet in range(200):
            display.update({**STATE, "t_s": packet * 0.02})
    lines = out.getvalue().splitlines()
    assert [line.split(" s")[0].strip() for line in lines] == ["0.0", "1.0", "2.0", "3.0", "4.0"]


def test_closing_twice_or_unused_prints_nothing_more():
    out = io.StringIO()
    display = Display(1, stream=out)
    display.close()
    assert out.getvalue() == ""
    display.update(STATE)
    display.close()
    before = out.getvalue()
    display.close()
    assert out.getvalue() == before


def test_worst_frame_is_remembered_between_lines():
    out = io.StringIO()
    display = Display(3, stream=out)
    for t, cpu in ((0.0, 1000), (0.5, 19500), (1.0, 2000)):
        display.update({"t_s": t, "cpu_us": cpu})
    assert "CPU per packet 2.0 of 20 ms, worst 19.5 ms" in out.getvalue().splitlines()[-1]


def test_absent_keys_keep_their_value_and_nothing_is_needed():
    out = io.StringIO()
    display = Display(0, stream=out)
    display.update({})
    assert "loss - %" in out.getvalue() and "kb/s" not in out.getvalue()
    display.update({"t_s": 1.0, "loss_pct": 5.0})
    display.update({"t_s": 2.0})
    assert "loss 5.0 %" in out.getvalue().splitlines()[-1]


def test_classic_concealment_is_shown_when_it_was_used():
    out = io.StringIO()
    Display(0, stream=out).update({"by_source": {"opus": 2, "conceal": 3}})
    assert "classic 3" in out.getvalue()


def test_json_lines():
    out = Terminal()
    with Display(10, json_lines=True, stream=out) as display:
        display.update(STATE)
        display.update({"t_s": 1.2, "cpu_us": 100})
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [r["t_s"] for r in records] == [0.5, 1.2, 1.2]
    assert records[1]["by_source"] == STATE["by_source"]
    assert records[1]["cpu_worst_us"] == 4200
    assert {r["schema"] for r in records} == {"dredge.meter/1"}


def test_panel_on_a_terminal():
    out = Terminal()
    with Display(100, stream=out) as display:
        display.update(STATE)
    text = out.getvalue()
    for part in ("dredge", "20 of 100 packets", "18.8 %", "DRED", "5 (25.0 %)", "worst 4.2 ms"):
        assert part in text, part
    assert "\x1b[34m" in text  # blue


def test_no_color_is_respected(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    with Display(100, stream=out) as display:
        display.update(STATE)
    assert "\x1b[34m" not in out.getvalue()
    assert "5 (25.0 %)" in out.getvalue()


def test_lines_on_a_terminal_without_rich(monkeypatch):
    real = builtins.__import__

    def without_rich(name, *args, **kwargs):
        if name.split(".")[0] == "rich":
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_rich)
    out = Terminal()
    with Display(100, stream=out) as display:
        display.update(STATE)
    assert "DRED 5" in out.getvalue() and "\x1b" not in out.getvalue()


def test_dumb_terminals_get_lines(monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    out = Terminal()
    Display(100, stream=out).update(STATE)
    assert "\x1b" not in out.getvalue() and "DRED 5" in out.getvalue()


def test_interrupt_restores_the_terminal():
    out = Terminal()
    with pytest.raises(KeyboardInterrupt), Display(100, stream=out) as display:
        display.update(STATE)
        raise KeyboardInterrupt
    assert out.getvalue().rstrip().endswith("\x1b[?25h")  # cursor visible again


@pytest.mark.parametrize(
    ("share", "filled"), [(-1, 0), (0, 0), (0.5, BAR // 2), (1, BAR), (9, BAR)]
)
def test_bars_stay_inside_their_frame(share, filled):
    assert bar(share).count("█") == filled
    assert len(bar(share)) == BAR
