# SPDX-License-Identifier: BSD-2-Clause
"""A small made-up run as a page for the tests in a browser, and what they ask of every page."""

import numpy as np
import pytest
import soundfile

from dredge_host.report import write_report

SECONDS = 6.0
GAPS = ((1.0, 1.3), (3.0, 3.1), (4.0, 4.02))  # seconds
CONTROLS = {"button", "radio", "slider", "checkbox", "combobox", "DisclosureTriangle", "link", "textbox"}


def report(folder, **result):
    """Writes the page of 6 s with three gaps and three tones, the last at half the level; returns its path."""
    time = np.arange(int(SECONDS * 16000)) / 16000
    wavs = {}
    for name, hertz, level in (("original", 220, 3000), ("dred", 330, 3000), ("plc", 440, 1500)):
        wavs[name] = folder / f"{name}.wav"
        soundfile.write(wavs[name], (level * np.sin(2 * np.pi * hertz * time)).astype(np.int16), 16000)
    lost = {n for start, end in GAPS for n in range(round(start * 50), round(end * 50))}
    rows = [[i, "dred" if i in lost else "opus", 400.0, 900.0 + i] for i in range(300)]
    return write_report(folder / "report.html", {"timeline": rows, **result}, wavs)


def problems(page):
    """What the browser complained about."""
    thrown = [e["params"] for e in page.events if e["method"] == "Runtime.exceptionThrown"]
    return thrown + [e["params"]["entry"] for e in page.events if e["method"] == "Log.entryAdded"]


def needs_sound(page):
    """Skips where the browser has no clock for audio, as on machines without any sound device at all."""
    page.clock = getattr(page, "clock", None) or page.run(
        "(async () => {const c = new AudioContext(); await c.resume();"
        "await new Promise(r => setTimeout(r, 500)); const t = c.currentTime; await c.close(); return t})()"
    )
    if not page.clock:
        pytest.skip("this machine's browser has no clock for audio")


def start(page):
    """Starts the players and waits until time goes on."""
    page.press(" ")
    page.run(
        "new Promise(r => {const from = +seek.value; const t = setInterval(() => {"
        "if (play.textContent === 'Pause' && +seek.value !== from) {clearInterval(t); r()}}, 10)})"
    )


def moment(page):
    """(position of the players as a fresh picture shows it, time), both in seconds."""
    drawn = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    return page.run(f"{drawn}.then(() => [+seek.value, performance.now() / 1000])")


def names_of_controls(page):
    """(role, accessible name) of every control that assistive technology sees."""
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    return [
        (node["role"]["value"], node.get("name", {}).get("value", "").strip())
        for node in nodes
        if not node.get("ignored") and node["role"]["value"] in CONTROLS
    ]
