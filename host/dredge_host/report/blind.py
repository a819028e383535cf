# SPDX-License-Identifier: BSD-2-Clause
"""The panel of the blind test (ABX)."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from dredge_host.report.signals import Signal

_HEAR = (("a", "Hear A"), ("x", "Hear X"), ("b", "Hear B"))
_ANSWERS = (
    ("x-is-a", "shift a", "X is A"),
    ("x-is-b", "shift b", "X is B"),
    ("abx-end", "e", "End and show the score"),
)


def panel(signals: Sequence[Signal], pair: tuple[str, str]) -> str:
    """Return the panel as HTML; pair: the signals that A and B are at first.

    Before the end of the test it reveals neither which signal X is nor the listener's score.
    """
    hear = "".join(
        f'<button type="button" id="hear-{key}" aria-pressed="false">'
        f'<kbd aria-hidden="true">{key}</kbd> {words}</button>'
        for key, words in _HEAR
    )
    answers = "".join(
        f'<button type="button" id="{name}"><kbd aria-hidden="true">{key}</kbd> {words}</button>'
        for name, key, words in _ANSWERS
    )
    return (
        '<details id="blind" hidden><summary>Blind test (ABX)</summary>'
        '<p class="hint">X is A or B, drawn anew for every trial, all equally loud. Say which as often as you like; '
        "the score is shown only when you end the test. The trial run is three questions that tell you at once and do "
        "not count.</p>"
        f'<div class="tools" id="abx-setup"><label>A <select id="abx-a">{_options(signals, pair[0])}</select></label>'
        f'<label>B <select id="abx-b">{_options(signals, pair[1])}</select></label>'
        '<button type="button" id="abx-practice">Trial run</button>'
        '<button type="button" id="abx-start">Start the test</button></div>'
        '<div id="abx-run" role="group" aria-label="Blind test" hidden>'
        f'<div class="tools" role="group" aria-label="Hear">{hear}</div>'
        f'<div class="tools" role="group" aria-label="Answer">{answers}</div>'
        '<p id="abx-trial" role="status"></p></div><p id="abx-score" role="status"></p></details>'
    )


def _options(signals: Sequence[Signal], chosen: str) -> str:
    selected = {chosen: " selected"}
    return "".join(
        f'<option value="{escape(s.name, quote=True)}"{selected.get(s.name, "")}>{escape(s.label)}</option>'
        for s in signals
    )
