# SPDX-License-Identifier: BSD-2-Clause
"""Runs on the emulated processor: the real receiver, period by period, with a mark around each (counter.c).

    guest.py CASES OUT

CASES: what instruction_count.cases pickled. OUT: JSON with the names of the classes in the order of their numbers, the
level of the kernels, and where every library lies. A period is all that happens from the arrival of its datagram until
the 320 samples that are played then are there.
"""

from __future__ import annotations

import ctypes
import json
import pickle
import sys
import time
from pathlib import Path
from typing import Any

MARK = 24301  # as in qemu_plugin.h
MOST_CLASSES = 63  # what counter.c has room for
EMPTY = "empty"  # nothing between two marks
OTHER = "other"  # filled from something else than the case is about

_syscall = ctypes.CDLL(None).syscall
_mark, _none = ctypes.c_long(MARK), ctypes.c_long(0)


class Numbers(dict[Any, ctypes.c_long]):
    """Numbers of classes, from 1 on, in the order in which they are met."""

    def __missing__(self, key: Any) -> ctypes.c_long:
        if len(self) == MOST_CLASSES:
            raise OverflowError(f"more than {MOST_CLASSES} classes of periods")
        self[key] = ctypes.c_long(len(self) + 1)
        return self[key]


def receive(numbers: Numbers, case: dict[str, Any], model: str) -> None:
    """Play one stream with a receiver of that vocoder; a class is (model, case, source, source before)."""
    from dredge_device.pi.receiver import Receiver
    from dredge_device.units import PACKET_US

    now_us = 0
    receiver = Receiver(1000, case["conceal"], False, lambda: now_us, time.thread_time_ns, vocoder=model)
    name, quality, warm_up, before = case["name"], case["quality"], case["warm_up"], "opus"
    for index, (datagram, lost) in enumerate(zip(case["data"], case["lost"], strict=True)):
        now_us = index * PACKET_US
        _syscall(_mark, _none)
        if not lost:
            receiver.push(datagram, now_us)
        source = receiver.pull(quality).source
        _syscall(_mark, numbers[model, name, source, before] if index >= warm_up else _none)
        before = source


def main(cases: str, out: str) -> None:
    from dredge_kernels.lpcnet import simd_level

    given = pickle.loads(Path(cases).read_bytes())
    numbers = Numbers()
    before = "opus"
    for _ in range(20):
        _syscall(_mark, _none)
        _syscall(_mark, numbers["", EMPTY, before, before])
    for model in given["models"]:
        for case in given["cases"]:
            receive(numbers, case, model)
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    libraries = [[*(int(end, 16) for end in words[0].split("-")), words[5]] for words in maps if len(words) > 5]
    Path(out).write_text(json.dumps({"classes": list(numbers), "level": simd_level(), "libraries": libraries}))


if __name__ == "__main__":
    main(*sys.argv[1:])
