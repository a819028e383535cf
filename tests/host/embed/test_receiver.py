# SPDX-License-Identifier: BSD-2-Clause
"""The receiver that threads share, and the duplex end for asyncio."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from waiting import LONGEST_S

from dredge_host import Duplex, Receiver, Sender
from dredge_host.errors import UsageError

TONE = (8000 * np.sin(np.arange(16000) * 2 * np.pi * 400 / 16000)).astype(np.int16)


def made(count: int) -> list[bytes]:
    sender = Sender(redundancy_s=0.0)
    return [sender.push(TONE[320 * (n % 50) :][:320]).data for n in range(count)]


def test_many_threads_push_while_one_pulls() -> None:
    """Every packet is counted once, whoever brought it."""
    packets = made(400)
    receiver = Receiver("fixed:60", "opus")
    threads = [
        threading.Thread(target=lambda part=part: [receiver.push(p, 1000 + 0.02 * n) for n, p in part])
        for part in (list(enumerate(packets))[start::4] for start in range(4))
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        receiver.pull()
        receiver.report()
    receiver.pull()
    counts = receiver.report()["packets"]
    names = ("received", "late", "beyond", "duplicate", "on_trial")
    assert sum(counts[name] for name in names) == 400, counts


def test_pieces_of_any_length_are_the_same_speech() -> None:
    now = [0.0]
    whole, cut = (Receiver("fixed:40", "opus", clock=lambda: now[0]) for _ in range(2))
    for n, packet in enumerate(made(40)):
        for receiver in (whole, cut):
            receiver.push(packet, 0.02 * n)
    pulled, read = [], []
    for n in range(100):
        now[0] = 0.02 * n
        pulled.append(whole.pull())
        read.append(cut.read(320 + (16 if n % 2 else -16)))
    assert (np.concatenate(pulled) == np.concatenate(read)).all() and np.concatenate(pulled).any()


def test_a_push_never_waits_for_a_pull() -> None:
    inside, pushed = threading.Event(), threading.Event()

    class Slow:
        def push(self, datagram: bytes, now_us: int) -> None: ...

        def pull(self) -> object:
            inside.set()
            assert pushed.wait(LONGEST_S), "the pushes wait for this pull"
            return type("Played", (), {"pcm": TONE[:320]})()

    receiver = Receiver(pipeline=Slow())  # type: ignore[arg-type]
    pulled: list[np.ndarray] = []
    thread = threading.Thread(target=lambda: pulled.append(receiver.pull()))
    thread.start()
    assert inside.wait(LONGEST_S)
    for _ in range(100):
        receiver.push(b"x")
    assert not pulled
    pushed.set()
    thread.join()
    assert len(pulled) == 1


def test_wrong_options_are_named() -> None:
    with pytest.raises(UsageError, match="playout is 'soon'"):
        Receiver("soon")
    with pytest.raises(ValueError, match="conceal is 'magic'"):
        Receiver(conceal="magic")


def test_duplex_answers_whoever_calls() -> None:
    async def talk() -> tuple[set[str], set[str]]:
        def parts() -> dict[str, object]:
            return {"sender": Sender(redundancy_s=0.0), "receiver": Receiver("fixed:60", "opus")}

        local = ("127.0.0.1", 0)
        async with Duplex(None, local, **parts()) as one, Duplex(one.address, local, **parts()) as two:
            heard: tuple[set[str], set[str]] = (set(), set())
            for n in range(60):
                for end, sources in zip((two, one), heard, strict=True):
                    await end.send(TONE[320 * (n % 50) :][:320])
                    sources.add((await end.receive()).source)
            assert one.remote == two.address
            return heard

    assert all("opus" in sources for sources in asyncio.run(talk()))


def test_what_a_receiver_cannot_do_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="playout is '200', expected fixed"):
        Receiver(200)  # type: ignore[arg-type]
    receiver = Receiver("fixed:40", "opus")
    for samples in (-1, 10**10):
        with pytest.raises(UsageError, match="expected 0 to 960000"):
            receiver.read(samples)
