# SPDX-License-Identifier: BSD-2-Clause
"""What speaks: vocoder and postfilter on any features and samples, while another thread writes into their arrays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from target import Plan, Target, check, piece

from dredge_kernels.lpcnet import CONTEXT, HOP, Lpcnet
from dredge_kernels.postfilter import Postfilter
from dredge_models.vocoder import weights

MOST = 12          # frames of an input
ODD = np.array([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-40, 4.0, 0.0], np.float32)


@contextmanager
def written(array: NDArray[np.float32]) -> Iterator[None]:
    """The array while a second thread puts odd values into it and takes them out again."""
    stop, before = threading.Event(), array.copy()

    def write() -> None:
        turn = 0
        while not stop.is_set():
            array.reshape(-1)[7 * turn % array.size] = ODD[turn % len(ODD)]
            if turn % 3 == 0:
                array[:] = before
            turn += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _rows(plan: Plan) -> NDArray[np.float32]:
    """float32 [n, 20] of the plan's bytes: small numbers, or their bits as they are."""
    count, raw = 1 + plan.below(MOST), plan.below(2)
    data = plan.piece().ljust(80 * count, b"\0")[: 80 * count]
    if raw:
        return np.frombuffer(data, np.float32).reshape(count, 20).copy()
    return (np.frombuffer(data[: 20 * count].ljust(20 * count, b"\0"), np.int8).astype(np.float32) / 16).reshape(-1, 20)


def run_voice(data: bytes) -> bool:
    """Features as they come, alone and written at the same time: refused, or samples of int16."""
    plan = Plan(data)
    shared, rows = plan.below(2), _rows(plan)
    voice = Lpcnet(weights("small"))
    try:
        if shared:
            with written(rows):
                pcm = voice.synthesise(rows)
        else:
            pcm = voice.synthesise(rows)
    except ValueError:
        return False
    check(pcm.dtype == np.int16 and len(pcm) == (len(rows) - 2 * CONTEXT) * HOP, "not 10 ms of int16 for each frame")
    return True


def run_postfilter(data: bytes) -> bool:
    """Samples and features as they come, alone and written at the same time: refused, or as many samples."""
    plan = Plan(data)
    shared, last, rows = plan.below(2), plan.number(2) - 32768, _rows(plan)
    pcm = np.resize(np.frombuffer(plan.piece() + b"\0\0\0", np.uint8).astype(np.int16) * 257, len(rows) * 160)
    postfilter = Postfilter()
    postfilter.reset(last)
    try:
        if shared:
            with written(rows):
                out = postfilter.process(pcm, rows)
        else:
            out = postfilter.process(pcm, rows)
    except ValueError:
        return False
    check(out.dtype == np.int16 and out.shape == pcm.shape, "another number of samples than was given")
    return True


def _seeds(before: bytes, after: bytes) -> list[bytes]:
    calm = bytes([2, 255, 3, 250, 0, 1] * 30)
    odd = np.resize(ODD, 160).tobytes()
    return [
        bytes([shared]) + before + bytes([7, raw]) + piece(content) + after
        for shared, raw, content in ((0, 0, calm), (1, 0, calm), (0, 1, bytes(640)), (1, 1, bytes(640)), (0, 1, odd))
    ]


def seeds_voice() -> list[bytes]:
    return _seeds(b"", b"")


def seeds_postfilter() -> list[bytes]:
    return _seeds(b"\x80\0", piece(bytes(range(0, 250, 3))))


TARGETS = (
    Target("voice", "LPCNet on any features, while another thread writes them", run_voice, seeds_voice, limit=1200,
           repeat=15, native=True),
    Target("postfilter", "postfilter on any features and samples, while another thread writes them", run_postfilter,
           seeds_postfilter, limit=1500, repeat=40, native=True),
)  # fmt: skip
