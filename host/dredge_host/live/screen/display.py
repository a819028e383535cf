# SPDX-License-Identifier: BSD-2-Clause
"""The live display of a stream on standard error; results go to standard output.

On a terminal it is a panel that redraws itself; elsewhere, or without rich, one line per second. All numbers come in
through `update`; nothing here reads a clock, so that a replay shows the same as the run.
"""

from __future__ import annotations

import json
import os
import sys
from types import TracebackType
from typing import Any, TextIO

from dredge_host.live.documents import LiveFigures
from dredge_host.live.screen.figures import Figures
from dredge_host.live.screen.panel import panel


class Display:
    """Live display of one stream, or of several in turn.

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
        self.json_lines = json_lines
        self.figures = Figures(period_us)
        self._second = -1
        self._live = None if json_lines else self._open_panel()

    def update(self, state: LiveFigures) -> None:
        """Take the newest figures; keys that are absent keep their last value.

        t_s, loss_pct, by_source (packets so far, by source), delay_ms, cpu_us (the slowest packet of
        the last report), cpu_p99_us, bitrate_bps (total now), split_bps (the same by part),
        redundancy_s, muted, report_age_s (since the device's last report), fault (of the device's output).
        """
        self.figures.take(state)
        if self._live is not None:
            self._live.update(self._panel())
            return
        second = int(self.figures.state.get("t_s") or 0)
        if second != self._second:
            self._second = second
            self._print_line()

    def restart(self) -> None:
        """Forget what was shown, since another stream begins."""
        self.figures.restart()
        self._second = -1
        if self._live is not None:
            self._live.update(self._panel())

    def close(self) -> None:
        """Leave the last state on the screen; safe to call twice."""
        if self._live is not None:
            live, self._live = self._live, None
            live.update(self._panel())
            live.stop()
        elif self.figures.state and self._second >= 0:
            self._print_line()
            self._second = -1
            self.figures.restart()

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _print_line(self) -> None:
        text = json.dumps(self.figures.record()) if self.json_lines else self.figures.line()
        print(text, file=self.stream, flush=True)

    def _panel(self) -> Any:
        return panel(self.figures, self.total_packets)

    def _open_panel(self) -> Any:
        """Return a running rich display, or None where only lines can be shown."""
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
