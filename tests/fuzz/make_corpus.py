#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes tests/fuzz/corpus: the seeds of every target, and the most telling short inputs that campaigns have kept.

An input of a campaign is taken when it reaches lines of our Python that no shorter one has reached.

    python tests/fuzz/make_corpus.py [--campaigns build/fuzz]
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import targets
from target import CORPUS, Target

LONGEST = 600                # bytes of an input that is taken
MOST = 12                    # of them for one target
OURS = ("dredge_device", "dredge_host", "dredge_models", "dredge_kernels")

Lines = set[tuple[str, int]]


def lines_of(target: Target, data: bytes) -> Lines:
    """The lines of our packages that an input runs through; empty when it breaks the target."""
    seen: Lines = set()

    def local(frame: FrameType, event: str, argument: Any) -> Any:
        seen.add((frame.f_code.co_filename, frame.f_lineno))
        return local

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        return local if any(name in frame.f_code.co_filename for name in OURS) else None

    sys.settrace(trace)
    try:
        target.run(data)
    except Exception:
        return set()
    finally:
        sys.settrace(None)
    return seen


def chosen(target: Target, campaigns: Path | None) -> list[bytes]:
    """Seeds, then short inputs that add lines to what is covered."""
    seeds = target.seeds()
    covered: Lines = set().union(*(lines_of(target, seed) for seed in seeds))
    kept: list[bytes] = []
    if campaigns is None:
        return seeds
    files = sorted((campaigns / target.name / "corpus").glob("*"), key=lambda p: (p.stat().st_size, p.name))
    for path in files:
        if path.stat().st_size > LONGEST or len(kept) == MOST:
            break
        fresh = lines_of(target, path.read_bytes()) - covered
        if fresh:
            covered |= fresh
            kept.append(path.read_bytes())
    return [*seeds, *kept]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--campaigns", type=Path, help="the folder that campaign.py wrote to")
    parser.add_argument("--target", help="only this one")
    given = parser.parse_args()
    for target in targets.load().values():
        if given.target not in (None, target.name):
            continue
        folder = CORPUS / target.name
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            path.unlink()
        for data in chosen(target, given.campaigns):
            (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)


if __name__ == "__main__":
    main()
