# SPDX-License-Identifier: BSD-2-Clause
"""The figures of a running stream as a panel of rich."""

from __future__ import annotations

from typing import Any

from dredge_host.legend import SOURCES
from dredge_host.live.screen.figures import Figures

STYLES = {source.label: source.terminal for source in SOURCES.values()}
BAR = 30


def panel(figures: Figures, total_packets: int) -> Any:
    """Return the figures as a rich renderable; the device's are dim while no report comes."""
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    state, counts = figures.state, figures.counts()
    played = sum(counts.values())
    done = f"{played} of {total_packets} packets" if total_packets else f"{played} packets"
    silent = figures.silent_s is not None
    style = "dim" if silent else None
    if silent:
        grid.add_row("device", f"[bold red]{figures.silence_text()}[/]; what it said before that:")
    grid.add_row("played", f"{state.get('t_s') or 0:.1f} s, {done}")
    grid.add_row("loss", f"{figures.value('loss_pct', '.1f')} %", style=style)
    for name, count in counts.items():
        share = count / played if played else 0.0
        grid.add_row(name, f"{_coloured(STYLES[name], share, silent)} {count} ({100 * share:.1f} %)", style=style)
    grid.add_row("delay", f"{figures.value('delay_ms', '.0f')} ms", style=style)
    load = float(state.get("cpu_us") or 0.0) / figures.period_us
    colour = "green" if figures.worst_us <= figures.period_us / 2 else "yellow"
    colour = colour if figures.worst_us <= figures.period_us else "red"
    grid.add_row("CPU", f"{_coloured(colour, load, silent)} {figures.cpu_text()}", style=style)
    if state.get("bitrate_bps"):
        grid.add_row("sent", figures.rate_text())
    if state.get("redundancy_s") is not None:
        grid.add_row("history", f"{state['redundancy_s']:.2f} s in every packet")
    if state.get("fault"):
        grid.add_row("fault", Text(state["fault"], "bold red"))
    if state.get("muted"):
        grid.add_row("muted", "[red]silence is sent, nothing said before[/]")
    return Panel(grid, title="dredge", title_align="left", expand=False)


def _coloured(style: str, share: float, silent: bool) -> str:
    return bar(share) if silent else f"[{style}]{bar(share)}[/]"


def bar(share: float) -> str:
    """Return BAR characters, filled up to this share."""
    filled = round(BAR * min(max(share, 0.0), 1.0))
    return "█" * filled + "·" * (BAR - filled)
