#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""One fuzz target under libFuzzer: our Python gives coverage through atheris, the kernels through their own counters
when they were compiled with them (scripts/fuzz.sh --target does that).

    python tests/fuzz/fuzz_target.py NAME [libFuzzer's options, corpus folders]
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

import atheris
import targets
from target import Target, mutated

PACKAGES = ["dredge_kernels", "dredge_models", "dredge_device", "dredge_host", "dpkt"]


def mutator(target: Target) -> Callable[[bytes, int, int], bytes]:
    """libFuzzer's own mutations, and every fourth time ours, which know the target's words."""

    def mutate(data: bytes, limit: int, seed: int) -> bytes:
        if seed % 4:
            return bytes(atheris.Mutate(data, limit))
        return mutated(random.Random(seed), data, target.words)[:limit]

    return mutate


def main(arguments: list[str]) -> None:
    """Never returns: libFuzzer ends the process."""
    name = arguments[1]
    with atheris.instrument_imports(include=PACKAGES):
        target = targets.load()[name]

    def one(data: bytes) -> None:
        target.run(data)

    words = [arguments[0], f"-max_len={target.limit}", *arguments[2:]]
    atheris.Setup(words, one, custom_mutator=mutator(target))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
