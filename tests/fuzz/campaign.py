#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fuzzes targets one after the other and prints a table; scripts/fuzz.sh --target runs this on sanitised kernels.

What libFuzzer finds worth keeping goes to OUT/NAME/corpus and is taken up again the next time; an input that breaks a
target goes to tests/fuzz/found/NAME, where the test suite replays it. Exit code 1 when there was one.

    python tests/fuzz/campaign.py --target all --seconds 60
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import targets
from target import FOUND, HERE, Target

OUT = HERE.parents[1] / "build" / "fuzz"
SLOWEST_S = 25               # one input; with sanitisers everything takes some ten times longer
MOST_MB = 3000
_EXECUTIONS = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
_COVERAGE = re.compile(r"cov: (\d+) ft: (\d+)")
_WORD = re.compile(r"(\w+\.)*\w*(Error|Exception|Broken)\b|==\d+==\s*ERROR|.*runtime error")
_CASE = re.compile(r"Test unit written to (\S+)")


@dataclass
class Row:
    """What a target's run came to."""

    target: str
    seconds: float
    executions: int
    edges: int
    features: int
    inputs: int               # in the corpus afterwards
    broken: list[str]         # inputs that broke it
    why: str = ""


def fuzz(target: Target, seconds: int, out: Path) -> Row:
    """One target in a process of its own, which may die."""
    corpus, found = out / target.name / "corpus", FOUND / target.name
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    write_seeds(target, out)
    words = [sys.executable, str(HERE / "fuzz_target.py"), target.name, str(corpus)]
    words += [str(folder) for folder in (out / target.name / "seeds", found) if any(folder.iterdir())]
    words += [f"-max_total_time={seconds}", f"-timeout={SLOWEST_S}", f"-rss_limit_mb={MOST_MB}",
              f"-artifact_prefix={found}/", "-print_final_stats=1"]  # fmt: skip
    begin = time.monotonic()
    run = subprocess.run(words, capture_output=True, text=True, errors="replace", env=environment(target))
    said = run.stdout + run.stderr
    (out / target.name / "log.txt").write_text(said)
    if not any(found.iterdir()):
        found.rmdir()
    broken = _CASE.findall(said)
    if run.returncode and not broken:
        broken = [f"none kept; see {out / target.name / 'log.txt'}"]
    edges, features = max(((int(c), int(f)) for c, f in _COVERAGE.findall(said)), default=(0, 0))
    executions = int((_EXECUTIONS.findall(said) or ["0"])[-1])
    spent = round(time.monotonic() - begin, 1)
    return Row(target.name, spent, executions, edges, features, len(list(corpus.iterdir())), broken, _why(said, broken))


def environment(target: Target) -> dict[str, str]:
    """Sanitised kernels for a target that runs them, where scripts/fuzz.sh has built some.

    Python's own allocator would hide over-reads inside its pools; Python itself leaks at exit by design.
    """
    built, runtime = os.environ.get("DREDGE_GUIDED"), os.environ.get("DREDGE_FUZZER")
    if not (target.native and built and runtime):
        return dict(os.environ)
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([built, os.environ.get("PYTHONPATH", "")]),
        "PYTHONMALLOC": "malloc",
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    }


def write_seeds(target: Target, out: Path) -> None:
    """The committed corpus, this version's own seeds, and packets of DREDGE_VECTORS where that is set."""
    folder = out / target.name / "seeds"
    folder.mkdir(parents=True, exist_ok=True)
    contents = [*target.seeds(), *(path.read_bytes() for path in target.files())]
    vectors = os.environ.get("DREDGE_VECTORS")
    if vectors and target.name == "capture":
        contents += [b"\0" + path.read_bytes()[: target.limit - 1] for path in sorted(Path(vectors).glob("*/*.bit"))]
    for index, content in enumerate(contents):
        (folder / f"{index:03d}").write_bytes(content)


def _why(said: str, broken: list[str]) -> str:
    """The line that names the failure."""
    if not broken:
        return ""
    told = [line.strip() for line in said.splitlines() if _WORD.match(line.strip())]
    return (told or ["ended without a word"])[0][:300]


def table(rows: list[Row]) -> list[str]:
    """The rows for people."""
    head = f"{'target':<12}{'s':>7}{'executions':>12}{'edges':>7}{'features':>10}{'inputs':>8}  broken"
    return [head] + [
        f"{r.target:<12}{r.seconds:>7.0f}{r.executions:>12}{r.edges:>7}{r.features:>10}{r.inputs:>8}  {r.why or '-'}"
        for r in rows
    ]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", default="all", metavar="NAME", help="a target, several with commas, or all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--out", type=Path, default=OUT, help="corpora and logs")
    parser.add_argument("--list", action="store_true", help="name the targets and end")
    given = parser.parse_args()
    known = targets.load()
    if given.list:
        print("\n".join(f"{t.name:<12}{t.surface}" for t in known.values()))
        return 0
    names = list(known) if given.target == "all" else given.target.split(",")
    unknown = [name for name in names if name not in known]
    if unknown:
        parser.error(f"target is '{unknown[0]}', expected all or some of {', '.join(known)}")
    rows = []
    for name in names:
        print(f"{name}: {given.seconds} s", file=sys.stderr, flush=True)
        rows.append(fuzz(known[name], given.seconds, given.out))
        with (given.out / "results.jsonl").open("a") as file:
            file.write(json.dumps({"schema": "dredge.fuzz/1", **asdict(rows[-1])}) + "\n")
    print("\n".join(table(rows)))
    return 1 if any(row.broken for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
