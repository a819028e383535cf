# SPDX-License-Identifier: BSD-2-Clause
"""The report in a real browser, driven through Chromium's debugging pipe."""

import numpy as np
import pytest
import soundfile
from browser import NEEDS_BROWSER, Browser

from dredge_host.report import write_report

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report of a small made-up run, 6 s, open in the browser."""
    folder = tmp_path_factory.mktemp("report")
    time = np.arange(6 * 16000) / 16000
    wavs = {}
    for name, hertz in (("original", 220), ("dred", 330), ("plc", 440)):
        wavs[name] = folder / f"{name}.wav"
        tone = (3000 * np.sin(2 * np.pi * hertz * time)).astype(np.int16)
        soundfile.write(wavs[name], tone, 16000)
    rows = [[i, "dred" if 50 <= i < 65 else "opus", 400.0, 900.0 + i] for i in range(300)]
    path = write_report(folder / "report.html", {"timeline": rows}, wavs)
    browser = Browser(folder / "profile")
    browser.open(path)
    yield browser
    browser.close()


def test_loads_without_errors_or_requests(page):
    kinds = [e["method"] for e in page.events]
    assert "Runtime.exceptionThrown" not in kinds
    logged = [e["params"]["entry"]["text"] for e in page.events if e["method"] == "Log.entryAdded"]
    assert logged == []
    asked = [
        e["params"]["request"]["url"]
        for e in page.events
        if e["method"] == "Network.requestWillBeSent"
    ]
    assert asked and all(url.startswith(("file:", "data:", "about:")) for url in asked)


def test_all_pictures_decode(page):
    widths = page.run("[...document.images].map(i => i.naturalWidth)")
    assert widths == [300, 300, 300]  # one column per packet


def test_keys_switch_without_losing_position(page):
    page.press(" ")
    at = page.run("new Promise(r => setTimeout(() => r(+seek.value), 900))")
    if at == 0:
        pytest.skip("this machine's browser has no clock for audio")
    page.press("2")
    after = page.run("[document.querySelector('.lane.heard').dataset.signal, +seek.value]")
    assert after[0] == "dred"
    assert at <= after[1] < at + 1.5
    page.press(" ")
    assert page.run("play.textContent") == "Play"
    stopped = page.run("+seek.value")
    page.press("ArrowRight")
    assert page.run("+seek.value") == pytest.approx(min(stopped + 1.0, 6.0), abs=0.03)


def test_clicking_the_time_axis_seeks(page):
    box = page.run(
        "(() => {const b = document.querySelector('.axis').getBoundingClientRect();"
        "return [b.left, b.width, document.querySelector('.strip').getBoundingClientRect().top]})()"
    )
    for kind in ("mousePressed", "mouseReleased"):
        page.call(
            "Input.dispatchMouseEvent", type=kind, x=box[0] + box[1] / 4, y=box[2] + 4,
            button="left", clickCount=1,
        )  # fmt: skip
    assert page.run("+seek.value") == pytest.approx(1.5, abs=0.05)


def test_readout_names_the_source(page):
    page.run(
        "(() => {const a = document.querySelector('.axis'), b = a.getBoundingClientRect();"
        "a.dispatchEvent(new PointerEvent('pointermove', {clientX: b.left + b.width * 55.5 / 300,"
        "clientY: b.top + 5, bubbles: true}))})()"
    )
    assert page.run("readout.textContent") == "1.10 s, packet 55: dred, 400 ms delay, 0.95 ms CPU"


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_screen(page, width):
    page.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1,
        mobile=width < 500,
    )  # fmt: skip
    assert page.run("document.documentElement.scrollWidth") <= width


def test_dark_theme_follows_the_system(page):
    def back(theme):
        features = [{"name": "prefers-color-scheme", "value": theme}]
        page.call("Emulation.setEmulatedMedia", features=features)
        return page.run("getComputedStyle(document.body).backgroundColor")

    assert back("light") == "rgb(251, 250, 248)"
    assert back("dark") == "rgb(19, 20, 24)"
