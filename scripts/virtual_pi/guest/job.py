# SPDX-License-Identifier: BSD-2-Clause
"""Runs on the virtual board: does what settings.json beside it says, prints what came of it as one JSON line.

    job.py [seed]      seed: give the kernel random numbers first (needs root)
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import struct
import sys
from pathlib import Path
from typing import Any

_ADD_ENTROPY = 0x40085203  # RNDADDENTROPY of random(4)


def seed_kernel() -> None:
    """Give the kernel random numbers that are always the same.

    Nothing else on this board feeds it, so the first reader (numpy) would spin for a second of jitter.
    """
    with open("/dev/random", "wb", buffering=0) as device:
        fcntl.ioctl(device, _ADD_ENTROPY, struct.pack("ii64s", 512, 64, bytes(range(64))))


def main() -> dict[str, Any]:
    settings = json.loads(Path(__file__).with_name("settings.json").read_text())
    about: dict[str, Any] = importlib.import_module(settings["job"]).run(settings)
    return {**about, "kernel": os.uname().release, "python": sys.version.split()[0]}


if __name__ == "__main__":
    if sys.argv[1:] == ["seed"]:
        seed_kernel()
    print("PI-JSON " + json.dumps(main()), flush=True)
