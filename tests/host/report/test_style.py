# SPDX-License-Identifier: BSD-2-Clause
"""Colours of the report's style sheet: text is readable in both themes, sources can be told from the ground."""

import re

import pytest

from dredge_host.charts.spectrogram import palette
from dredge_host.legend import SOURCES, WHOLE, style_sheet
from dredge_host.report.shell import asset

CSS = asset("report.css") + style_sheet()
THEMES = ("light", "dark", "print")
# Every pair of text and ground that the sheet uses.
TEXT = [("ink", "back"), ("ink", "card"), ("soft", "back"), ("soft", "card"), ("good", "card"), ("bad", "card"),
        ("card", "good"), ("card", "bad"), ("card", "accent"), ("bad", "back")]  # fmt: skip
GROUNDS = ("back", "card")


def variables(block):
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))


def theme(name):
    blocks = re.findall(r"(@media \([^{]*\) \{|@media print \{)?\s*:root \{(.*?)\}", CSS, re.DOTALL)
    colours = {}
    for media, block in blocks:
        if not media or (name != "light" and name in media):
            colours |= variables(block)
    return colours


def luminance(colour):
    """Relative luminance (WCAG 2.2)."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_computed_as_defined():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


def test_themes_differ():
    assert theme("light")["back"] == "#fbfaf8" and theme("dark")["back"] == "#131418"
    assert theme("print")["back"] == "#ffffff"


@pytest.mark.parametrize("name", THEMES)
@pytest.mark.parametrize(("text", "ground"), TEXT)
def test_text_is_readable(name, text, ground):
    colours = theme(name)
    assert contrast(colours[text], colours[ground]) >= 4.5


@pytest.mark.parametrize("name", ["light", "dark"])
def test_drawings_stand_out(name):
    colours = theme(name)
    for thing in ("chart", "bad", "accent", *(s for s in SOURCES if s not in WHOLE)):
        for ground in GROUNDS:
            assert contrast(colours[thing], colours[ground]) >= 3, (thing, ground)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_sources_can_be_told_from_each_other(name):
    colours = {s: theme(name)[s] for s in SOURCES}
    rgb = {s: [int(c[i : i + 2], 16) for i in (1, 3, 5)] for s, c in colours.items()}
    for a in SOURCES:
        for b in SOURCES:
            if a < b:
                assert sum(abs(x - y) for x, y in zip(rgb[a], rgb[b], strict=True)) > 60, (a, b)


def test_brackets_stand_out_on_the_darker_half_of_a_spectrogram():
    middle = "#" + "".join(f"{v:02x}" for v in palette()[128])
    for name, colour in variables(CSS).items():
        if name.startswith("on-") and name != "on-picture":
            assert contrast(colour, variables(CSS)["on-picture"]) >= 7 and contrast(colour, middle) >= 3, name


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_has_its_colour_in_band_key_and_bracket(source):
    assert f".s-{source} {{ fill: var(--{source}); }}" in CSS
    assert f".k-{source} {{ background: var(--{source}); }}" in CSS
    if source not in WHOLE:
        assert f".marks .b-{source} {{ stroke: var(--on-{source}); }}" in CSS


def test_motion_print_and_focus_are_provided_for():
    assert "@media (prefers-reduced-motion: reduce)" in CSS and "@media print" in CSS
    assert re.search(r":focus-visible \{ outline: 3px", CSS) and "outline: none" not in CSS


def test_every_variable_that_is_used_is_defined():
    used = set(re.findall(r"var\(--([\w-]+)\)", CSS))
    assert used <= set(theme("light")), used - set(theme("light"))
