#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the TFLite runtime does with mutated graphs, each in a process of its own: without our check, and behind it.

    python tests/fuzz/measure_tflite.py --count 1000
"""

from __future__ import annotations

import argparse
import os
import random
import signal
from collections import Counter

import targets
from target import Plan, mutated

from dredge_models.tflite import check as tflite_check

SLOW_S = 10


def end_of(run, content: bytes) -> str:  # type: ignore[no-untyped-def]
    """How a process that runs a file ends: "ran", "refused", or the signal that killed it."""
    child = os.fork()
    if child == 0:
        signal.alarm(SLOW_S)
        try:
            os._exit(0 if run(b"\0" + content) else 1)
        except Exception:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return "refused" if os.WEXITSTATUS(status) else "ran"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    target = targets.load()["tflite"]
    import targets_tflite

    rng, seeds, check = random.Random(given.seed), target.seeds(), tflite_check.check
    contents = [targets_tflite._content(Plan(mutated(rng, rng.choice(seeds)))) for _ in range(given.count)]
    for name, replacement in (("without the check", lambda content: None), ("behind the check", check)):
        tflite_check.check = replacement
        ends = Counter(end_of(target.run, content) for content in contents)
        print(f"{name}: " + ", ".join(f"{count} {what}" for what, count in sorted(ends.items())))


if __name__ == "__main__":
    main()
