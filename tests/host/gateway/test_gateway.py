# SPDX-License-Identifier: BSD-2-Clause
"""A headless Chromium with its fake microphone talks with a far end over a lossy leg."""

from __future__ import annotations

import asyncio
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from browser import NEEDS_BROWSER, Browser
from click.testing import CliRunner
from ports import free_port
from talk_ends import ends
from waiting import until

pytest.importorskip("aiortc", reason="needs aiortc and aiohttp: dredge extras add gateway")
pytest.importorskip("aiohttp", reason="needs aiortc and aiohttp: dredge extras add gateway")

from dredge_host.cli.main import cli
from dredge_host.errors import UnreachableError
from dredge_host.gateway.media import BrowserSource
from dredge_host.gateway.server import Gateway
from dredge_host.sending.audio import bundled_clip, read_audio
from dredge_host.settings import Settings
from dredge_host.talk.options import TalkOptions

LOSSY = Settings(adaptive=True, loss="10%", redundancy_s=1.0)


@contextmanager
def gateway(options: TalkOptions) -> Iterator[Gateway]:
    """One that serves in a thread of its own."""
    ready: list[Any] = []
    begun, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        try:
            async with Gateway(("127.0.0.1", 0), None, options) as one:
                ready.append(one)
                begun.set()
                await stop.wait()
        except BaseException as error:
            ready.append(error)
            begun.set()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    begun.wait(60)
    try:
        if isinstance(ready[0], BaseException):
            raise ready[0]
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(60)


def envelope(pcm: np.ndarray) -> np.ndarray:
    """Level of every 20 ms, on a scale that quiet and loud words share."""
    pieces = pcm[: len(pcm) // 320 * 320].astype(float).reshape(-1, 320)
    return np.log10(np.sqrt((pieces**2).mean(axis=1)) + 30)


def likeness(original: np.ndarray, heard: np.ndarray) -> float:
    """Mean correlation of the envelopes of half seconds, one after the other: playout may be stretched by 120 ms from
    one to the next, and the beginning is where it fits best."""
    wanted, found = envelope(original), envelope(heard)
    pieces = [wanted[start : start + 25] for start in range(0, len(wanted) - 25, 25)]

    def follow(at: int) -> float:
        scores = []
        for piece in pieces:
            near = [(np.corrcoef(piece, found[k : k + 25])[0, 1], k) for k in range(max(0, at - 6), at + 7)]
            score, k = max(near)
            scores.append(score)
            at = k + 25
        return float(np.mean(scores))

    return max(follow(at) for at in range(len(found) - len(wanted) - 6 * len(pieces) - 25))


@pytest.mark.parametrize("unused", [pytest.param(None, marks=NEEDS_BROWSER)])
def test_a_browser_is_heard_and_hears(tmp_path: Path, unused: None) -> None:
    with bundled_clip() as path:
        speech = read_audio(path).pcm
    soundfile.write(tmp_path / "microphone.wav", np.repeat(speech[: 16000 * 8], 3), 48000)
    port = free_port()
    far = TalkOptions(None, f"udp://127.0.0.1:{port}", settings=LOSSY)
    near = TalkOptions(f"udp://127.0.0.1:{port}", settings=LOSSY)
    with ends(far, speech=speech[16000 * 2 : 16000 * 10]) as (end,), gateway(near) as one:
        browser = Browser(tmp_path / "profile", "--use-fake-ui-for-media-stream",
                          "--use-fake-device-for-media-stream",
                          f"--use-file-for-fake-audio-capture={tmp_path / 'microphone.wav'}")  # fmt: skip
        try:
            browser.visit(f"{one.url}&plain")
            until(lambda: browser.run("document.readyState") == "complete")
            browser.run("at('talk').click()")
            until(lambda: browser.run("at('said').textContent") == "connected")
            begun = len(end.hears.heard)
            until(lambda: len(end.hears.heard) > begun + 50 * 12)
            told = browser.run("call.getStats().then((s) => [...s.values()].filter((r) => r.type === 'inbound-rtp')"
                               ".map((r) => [r.totalAudioEnergy, r.packetsReceived]))")  # fmt: skip
            until(lambda: "% lost" in browser.run("at('heard').textContent"))
        finally:
            browser.close()
        heard = np.concatenate([pcm for _, pcm in end.hears.heard[begun:]])
        report = end.talk._receiving.figures
    assert report["sources"]["dred"] > 0
    assert likeness(speech[16000:80000], heard) > 0.7, likeness(speech[160000:224000], heard)
    assert told[0][0] > 0 and told[0][1] > 200  # the far end's speech has arrived


def test_only_the_printed_address_opens_the_page() -> None:
    with gateway(TalkOptions(None, f"udp://127.0.0.1:{free_port()}", settings=Settings(conceal="opus"))) as one:
        page = urllib.request.urlopen(one.url, timeout=60).read()
        assert b"getUserMedia" in page
        for wrong in (one.url.partition("?")[0], one.url[:-1], one.url.replace("/?", "/state?") + "x"):
            with pytest.raises(urllib.error.HTTPError, match="403"):
                urllib.request.urlopen(wrong, timeout=60)
        offer = urllib.request.Request(one.url.replace("/?", "/offer?"), data=b"{}")
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(offer, timeout=60)


def test_a_port_that_is_taken_is_named() -> None:
    options = TalkOptions(None, f"udp://127.0.0.1:{free_port()}", settings=Settings(conceal="opus"))
    with gateway(options) as one:
        taken = ("127.0.0.1", int(one.url.partition("?")[0].rpartition(":")[2].strip("/")))

        async def second() -> None:
            again = TalkOptions(None, f"udp://127.0.0.1:{free_port()}", settings=Settings(conceal="opus"))
            async with Gateway(taken, None, again):
                pass

        with pytest.raises(UnreachableError, match=str(taken[1])):
            asyncio.run(second())


def test_without_a_browser_there_is_silence_in_real_time() -> None:
    source = BrowserSource()
    assert not np.concatenate([source.read() for _ in range(5)]).any()
    assert source.report()["silent_ms"] == 100


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--http", "0.0.0.0:8443"], "--cert"),
        (["--http", "here"], "expected HOST:PORT"),
        (["--cert", __file__], "go together"),
    ],
)
def test_what_cannot_work_is_said(words: list[str], said: str) -> None:
    done = CliRunner().invoke(cli, ["gateway", "udp://127.0.0.1:1", *words])
    assert done.exit_code == 2 and said in done.output
