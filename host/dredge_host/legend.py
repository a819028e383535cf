# SPDX-License-Identifier: BSD-2-Clause
"""Sources of played packets for display: names and colours in every display, figure and page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from dredge_device import timeline


class Source(NamedTuple):
    """The display of one source of packets.

    text: in a legend; label: on the live display; light, dark: colours of the two themes; bracket: colour on a
    spectrogram; terminal: rich's name of the colour.
    """

    text: str
    label: str
    light: str
    dark: str
    bracket: str
    terminal: str


# In the order of every table. The letters of the wire are in dredge_device.timeline.
SOURCES = {
    "opus": Source("received", "normal", "#aab2be", "#596070", "", "white"),
    "lbrr": Source("low-rate copy in the next packet (LBRR)", "LBRR", "#0a7f5e", "#25c294", "#3fe0b0", "green"),
    "dred": Source("deep redundancy (DRED)", "DRED", "#0b6fc2", "#4aa5ff", "#6cbcff", "blue"),
    "plc": Source("neural concealment (PLC)", "PLC", "#a56a00", "#f3b73c", "#ffcb5c", "yellow"),
    "conceal": Source("classic Opus concealment", "classic", "#c04a14", "#f4804a", "#ff9663", "red"),
    "silence": Source("nothing to play yet", "silence", "#e7e5df", "#2a2c33", "", "dim"),
    "dtx": Source("pause, nothing was sent (DTX)", "pause", "#d9c2f0", "#6b4a8f", "", "dim"),
    "skipped": Source("given up (adaptive playout)", "given up", "#b01e7c", "#f26fbf", "#ff86cd", "red"),
}
RARE = ("dtx", "skipped")  # counted only where they occur
WHOLE = ("opus", "silence", "dtx")  # sources of periods in which no sent packet is missing
LETTERS = {name: timeline.LETTERS[timeline.SOURCES.index(name)] for name in SOURCES}


def counted(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the packets by source in the order of SOURCES; those of RARE only where there are any."""
    return {name: counts.get(name, 0) for name in SOURCES if name not in RARE or counts.get(name)}


def style_sheet() -> str:
    """Return the CSS: the variable of every source in both themes, and the classes of bands, keys and brackets."""
    light = " ".join(f"--{name}: {source.light};" for name, source in SOURCES.items())
    dark = " ".join(f"--{name}: {source.dark};" for name, source in SOURCES.items())
    on_picture = " ".join(f"--on-{name}: {source.bracket};" for name, source in SOURCES.items() if source.bracket)
    rules = [f":root {{ {light} {on_picture} }}", f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"]
    for name, source in SOURCES.items():
        rules += [f".s-{name} {{ fill: var(--{name}); }}", f".k-{name} {{ background: var(--{name}); }}"]
        if source.bracket:
            rules.append(f".marks .b-{name} {{ stroke: var(--on-{name}); }}")
    return "\n".join(rules) + "\n"
