# SPDX-License-Identifier: BSD-2-Clause
"""What a person watches while a stream runs; on standard error, results go to standard output.

On a terminal a panel that redraws itself; elsewhere, or without rich, one line per second. All
numbers come in through `update`; nothing here reads a clock, so a replay shows what the run did.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

from dredge_host.legend import SOURCES

ALWAYS = ("opus", "lbrr", "dred", "plc")  # sources that have a row even at 0
STYLES = {source.label: source.terminal for source in SOURCES.values()}
BAR = 30


class Display:
    """Live display of one stream.

    total_packets: how long the stream is, 0 when unknown; period_us: CPU budget of one packet;
    json_lines: one JSON object per second instead of text. A context manager; else close it.
    """

    def __init__(
        self,
        total_packets: int,
        period_us: float = 20000,
        json_lines: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.total_packets = total_packets
        self.period_us = period_us
        self.json_lines = json_lines
        self.worst_us = 0.0
        self._state: dict[str, Any] = {}
        self._second = -1
        self._live = None if json_lines else self._open_panel()

    def update(self, state: Mapping[str, Any]) -> None:
        """Takes the newest figures; keys that are absent keep their last value.

        t_s, loss_pct, by_source (packets so far, by source), delay_ms, cpu_us (the slowest packet of
        the last report), cpu_p99_us, bitrate_bps (total now), split_bps (the same by part),
        redundancy_s, muted.
        """
        self._state.update(state)
        self.worst_us = max(self.worst_us, float(state.get("cpu_us") or 0.0))
        if self._live is not None:
            self._live.update(self._panel())
            return
        second = int(self._state.get("t_s") or 0)
        if second != self._second:
            self._second = second
            self._print_line()

    def close(self) -> None:
        """Leaves the last state on the screen; safe to call twice."""
        if self._live is not None:
            live, self._live = self._live, None
            live.update(self._panel())
            live.stop()
        elif self._state and self._second >= 0:
            self._print_line()
            self._second = -1
            self._state = {}

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- lines ---

    def line(self) -> str:
        """The figures as one line of text."""
        counts = self._counts()
        parts = [
            f"{self._state.get('t_s') or 0:6.1f} s",
            f"loss {self._value('loss_pct', '.1f')} %",
        ]
        parts += [f"{name} {count}" for name, count in counts.items()]
        parts.append(f"delay {self._value('delay_ms', '.0f')} ms")
        parts.append(f"CPU {self._cpu_text()}")
        if self._state.get("bitrate_bps"):
            parts.append(self._rate_text())
        if self._state.get("muted"):
            parts.append("MUTED")
        return "  ".join(parts)

    def _rate_text(self) -> str:
        """Total, and what it is made of where that is known."""
        text = f"{self._state['bitrate_bps'] / 1000:.1f} kb/s"
        split = {name: rate for name, rate in (self._state.get("split_bps") or {}).items() if rate}
        if split:
            text += " (" + ", ".join(f"{name} {rate / 1000:.1f}" for name, rate in split.items()) + ")"
        return text

    def _print_line(self) -> None:
        if self.json_lines:
            record = {"schema": "dredge.meter/1", **self._state, "cpu_worst_us": self.worst_us}
            print(json.dumps(record), file=self.stream, flush=True)
        else:
            print(self.line(), file=self.stream, flush=True)

    def _value(self, key: str, form: str) -> str:
        value = self._state.get(key)
        return "-" if value is None else format(value, form)

    def _cpu_text(self) -> str:
        now = float(self._state.get("cpu_us") or 0.0)
        return (
            f"{now / 1000:.1f} of {self.period_us / 1000:g} ms, worst {self.worst_us / 1000:.1f} ms"
        )

    def _counts(self) -> dict[str, int]:
        given = dict(self._state.get("by_source") or {})
        shown = {name: int(given.get(name) or 0) for name in SOURCES if name != "silence"}
        return {SOURCES[name].label: count for name, count in shown.items() if count or name in ALWAYS}

    # --- panel ---

    def _open_panel(self) -> Any:
        """A running rich display, or None where only lines make sense."""
        if not self.stream.isatty() or os.environ.get("TERM", "") == "dumb":
            return None
        try:
            from rich.console import Console
            from rich.live import Live
        except ModuleNotFoundError:
            return None
        console = Console(file=self.stream, force_terminal=True, highlight=False)
        live = Live(self._panel(), console=console, refresh_per_second=5)
        live.start()
        return live

    def _panel(self) -> Any:
        from rich.panel import Panel
        from rich.table import Table

        grid = Table.grid(padding=(0, 2))
        counts = self._counts()
        played = sum(counts.values())
        done = (
            f"{played} of {self.total_packets} packets"
            if self.total_packets
            else f"{played} packets"
        )
        grid.add_row("played", f"{self._state.get('t_s') or 0:.1f} s, {done}")
        grid.add_row("loss", f"{self._value('loss_pct', '.1f')} %")
        for name, count in counts.items():
            share = count / played if played else 0.0
            bar = f"[{STYLES[name]}]{_bar(share)}[/]"
            grid.add_row(name, f"{bar} {count} ({100 * share:.1f} %)")
        grid.add_row("delay", f"{self._value('delay_ms', '.0f')} ms")
        load = float(self._state.get("cpu_us") or 0.0) / self.period_us
        style = "green" if self.worst_us <= self.period_us / 2 else "yellow"
        style = style if self.worst_us <= self.period_us else "red"
        grid.add_row("CPU", f"[{style}]{_bar(load)}[/] {self._cpu_text()}")
        if self._state.get("bitrate_bps"):
            grid.add_row("sent", self._rate_text())
        if self._state.get("redundancy_s") is not None:
            grid.add_row("history", f"{self._state['redundancy_s']:.2f} s in every packet")
        if self._state.get("muted"):
            grid.add_row("muted", "[red]silence is sent, nothing said before[/]")
        return Panel(grid, title="dredge", title_align="left", expand=False)


def _bar(share: float) -> str:
    filled = round(BAR * min(max(share, 0.0), 1.0))
    return "█" * filled + "·" * (BAR - filled)
