# SPDX-License-Identifier: BSD-2-Clause
"""The figures of a running stream, the age of the device's part of them, and their output as text and JSON."""

from __future__ import annotations

from dredge_host.legend import SOURCES
from dredge_host.live.documents import LiveFigures

SILENT_S = 2.0  # a device reports every second; after a longer silence its figures are old
ALWAYS = ("opus", "lbrr", "dred", "plc")  # sources that have a row even at 0


class Figures:
    """The newest value of every figure. period_us: CPU budget of one packet."""

    def __init__(self, period_us: float = 20000) -> None:
        self.period_us = period_us
        self.restart()

    def restart(self) -> None:
        """Forget everything: another stream begins."""
        self.state: LiveFigures = {}
        self.worst_us = 0.0

    def take(self, state: LiveFigures) -> None:
        """Take the newest figures; see Display.update."""
        self.state.update(state)
        self.worst_us = max(self.worst_us, float(state.get("cpu_us") or 0.0))

    @property
    def silent_s(self) -> float | None:
        """Seconds since the device's last report where they are too many, else None."""
        age = self.state.get("report_age_s")
        return age if age is not None and age >= SILENT_S else None

    def record(self) -> dict[str, object]:
        """Return the figures as a JSON object; device_silent: the device's part of them is old."""
        silent = self.silent_s is not None
        return {"schema": "dredge.meter/1", **self.state, "cpu_worst_us": self.worst_us, "device_silent": silent}

    def line(self) -> str:
        """Return the figures as one line of text."""
        time = f"{self.state.get('t_s') or 0:6.1f} s"
        told = [f"loss {self.value('loss_pct', '.1f')} %"]
        told += [f"{name} {count}" for name, count in self.counts().items()]
        told += [f"delay {self.value('delay_ms', '.0f')} ms", f"CPU per packet {self.cpu_text()}"]
        words = [time, *(["no report yet"] if self._unreported() else told)]
        if self.silent_s is not None:
            known = self.state.get("loss_pct") is not None
            words = [time, self.silence_text(), *(["before that:", *told] if known else [])]
        if self.state.get("bitrate_bps"):
            words.append(self.rate_text())
        if self.state.get("fault"):
            words.append(self.state["fault"])
        if self.state.get("muted"):
            words.append("MUTED")
        return "  ".join(words)

    def _unreported(self) -> bool:
        told = (self.state.get(key) for key in ("loss_pct", "by_source", "delay_ms", "cpu_us"))
        return "report_age_s" in self.state and all(value is None for value in told)

    def silence_text(self) -> str:
        """Return the time since the device's last report, as text."""
        return f"no report for {self.silent_s or 0.0:.0f} s"

    def value(self, key: str, form: str) -> str:
        """Return one figure as text, a dash while it is unknown."""
        value = self.state.get(key)
        return "-" if value is None else format(value, form)

    def cpu_text(self) -> str:
        """Return the slowest packet of the last report, and of all, as text; a dash while none was played."""
        if self.state.get("cpu_us") is None:
            return "-"
        now = float(self.state["cpu_us"])
        return f"{now / 1000:.1f} of {self.period_us / 1000:g} ms, worst {self.worst_us / 1000:.1f} ms"

    def rate_text(self) -> str:
        """Return the bit rate as text, with its parts where they are known."""
        text = f"{self.state['bitrate_bps'] / 1000:.1f} kb/s"
        split = {name: rate for name, rate in (self.state.get("split_bps") or {}).items() if rate}
        if split:
            text += " (" + ", ".join(f"{name} {rate / 1000:.1f}" for name, rate in split.items()) + ")"
        return text

    def counts(self) -> dict[str, int]:
        """Return the packets so far, by the label of their source."""
        given = dict(self.state.get("by_source") or {})
        shown = {name: int(given.get(name) or 0) for name in SOURCES if name != "silence"}
        return {SOURCES[name].label: count for name, count in shown.items() if count or name in ALWAYS}
