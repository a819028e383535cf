# SPDX-License-Identifier: BSD-2-Clause
"""The report in a real browser, driven through Chromium's debugging pipe."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from dredge_host.report import write_report

BROWSER = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required", "--remote-debugging-pipe",
]  # fmt: skip

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
    pytest.mark.timeout(120),
]


class Browser:
    """The few commands of the debugging protocol that the tests need; events are kept."""

    def __init__(self, profile):
        to_browser, self.out = os.pipe()
        self.inward, from_browser = os.pipe()

        def place():  # Chromium reads commands from file 3 and writes answers to file 4
            high = os.dup(from_browser)
            os.dup2(to_browser, 3)
            os.dup2(high, 4)

        command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(
            command, preexec_fn=place, close_fds=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.count, self.session, self.events = b"", 0, None, []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(t["targetId"] for t in targets if t["type"] == "page")
        answer = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self.session = answer["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def receive(self):
        while b"\0" not in self.buffer:
            piece = os.read(self.inward, 1 << 20)
            assert piece, "the browser closed its pipe"
            self.buffer += piece
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def call(self, method, **params):
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def open(self, path):
        self.call("Page.navigate", url=path.as_uri())
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.receive())

    def run(self, script):
        answer = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key):
        code = {" ": "Space"}.get(key, key)
        for kind in ("keyDown", "keyUp"):
            text = {"text": key} if kind == "keyDown" and len(key) == 1 else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=code, **text)

    def close(self):
        try:
            self.call("Browser.close")
        except (AssertionError, OSError):
            self.process.kill()
        self.process.wait(20)
        os.close(self.out)
        os.close(self.inward)


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
