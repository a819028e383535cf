# SPDX-License-Identifier: BSD-2-Clause
"""The display of a talk on standard error.

On a terminal it is one line that is redrawn; elsewhere a line per second; in systemd's journal a line whenever the
state changes; or JSON lines.
"""

from __future__ import annotations

import json
import sys
from types import TracebackType
from typing import TextIO

from dredge_device.pi.standard_streams import in_journal, say
from dredge_host.live.screen.figures import SILENT_S
from dredge_host.talk.documents import ReceivedNow, SentNow, TalkState
from dredge_host.talk.result import delay_words
from dredge_host.talk.signal.gate import SILENT_DB

_BAR = 8
_LOUDEST_DB, _QUIETEST_DB = -6.0, -54.0


class TalkDisplay:
    """The display of one talk: give `update` to Talk.run. A context manager: it leaves the cursor below its last line.
    """

    def __init__(self, json_lines: bool = False, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._json = json_lines
        self._live = self._stream.isatty() and not json_lines
        self._journal = stream is None and in_journal() and not json_lines
        self._second = -1
        self._shown: tuple[str, str] | None = None

    def update(self, state: TalkState) -> None:
        """Show the newest figures of Talk.state."""
        about = (state["state"], state["problem"])
        if self._live:
            print(f"\r{line(state)}\x1b[K", end="", file=self._stream, flush=True)
            return
        if about == self._shown and (self._journal or int(state["t_s"]) == self._second):
            return
        self._second, self._shown = int(state["t_s"]), about
        if self._journal:
            say(line(state))
            return
        text = json.dumps({"schema": "dredge.talk-meter/1", **state}) if self._json else line(state)
        print(text, file=self._stream, flush=True)

    def __enter__(self) -> TalkDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            print(file=self._stream, flush=True)


def line(state: TalkState) -> str:
    """Return both directions in one line."""
    mic = "MUTED   " if state["muted"] else _bar(state["mic_db"]) + (" down" if state["ducked"] else "")
    words = [
        f"{state['t_s']:7.1f} s {state['state']}",
        f"mic {mic} {_side(state['sent'], state['sent']['report_age_s'], 'report')}",
        f"ear {_bar(state['speaker_db'])} {_side(state['received'], state['received']['silent_s'], 'packet')}",
    ]
    cpu = state["received"].get("cpu_p99_us")
    if cpu:
        words.append(f"CPU {cpu / 1000:.1f} ms of 20")
    if state["problem"]:
        words.append(state["problem"])
    return " | ".join(words)


def _side(part: SentNow | ReceivedNow, age_s: float | None, what: str) -> str:
    """Return one direction as text; age_s: seconds since the last report, shown in place of old figures.
    """
    if age_s is not None and age_s >= SILENT_S:
        return f"no {what} for {age_s:.0f} s"
    if part["loss_pct"] is None:
        return ""
    sources = part["by_source"] or {}
    filled = " ".join(f"{name} {sources[name]}" for name in ("dred", "lbrr", "plc", "conceal") if sources.get(name))
    return f"loss {part['loss_pct']:.1f} % {filled} {delay_words(part['delay_ms'])}".replace("  ", " ")


def _bar(db: float) -> str:
    share = 0.0 if db <= SILENT_DB else (db - _QUIETEST_DB) / (_LOUDEST_DB - _QUIETEST_DB)
    filled = round(_BAR * min(max(share, 0.0), 1.0))
    return "█" * filled + "·" * (_BAR - filled)
