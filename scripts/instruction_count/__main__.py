# SPDX-License-Identifier: BSD-2-Clause
"""Executed instructions of the whole receive path per 20 ms, by class of period, on an emulated arm64 processor.

The real receiver (RTP datagram in, 320 samples out, 1 s of playout delay) runs under qemu-user with a plugin that
counts: the bundled speech at 20 % loss in bursts and with gaps of 1 s, filled from DRED; the same bursts from the
predictor alone (plc) and from libopus (classic). The figures do not depend on what else this machine does. Prints a
table in million instructions, or --json (docs/reference/virtual-pi.md).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from debian import DebianError
from virtual_pi import board
from virtual_pi.boot_image.wheel import BuildError, code_of

from instruction_count.breakdown import breakdown
from instruction_count.cases import CASES, cases_of
from instruction_count.emulated import count, land
from instruction_count.table import lines

MODELS = ("standard", "small")
EXIT_OK, EXIT_FAILED, EXIT_NO_USERLAND = 0, 1, 3


def options(arguments: list[str]) -> argparse.Namespace:
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("count-pi", description=__doc__, formatter_class=as_written)
    parser.add_argument("--model", nargs="+", default=list(MODELS), metavar="NAME", help="default: both")
    parser.add_argument("--cpu", choices=board.CPUS, default="cortex-a53", help="default: %(default)s")
    parser.add_argument("--case", nargs="+", choices=CASES, default=list(CASES), help="default: all")
    parser.add_argument("--beside", type=Path, metavar="FILE", help="an earlier --json, shown beside")
    parser.add_argument("--json", action="store_true", help="everything as JSON")
    parser.add_argument("--wheel", type=Path, help="an arm64 wheel; default: build it")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the command line; return 0: counted; 1: no wheel, or the program failed; 3: no userland."""
    given = options(arguments)
    try:
        there, wheel = land(given.wheel)
    except BuildError as error:
        return complain(str(error), EXIT_FAILED)
    except (DebianError, OSError) as error:
        return complain(f"no Debian arm64 userland can be had: {error}", EXIT_NO_USERLAND)
    try:
        earlier = json.loads(given.beside.read_text())["models"] if given.beside else {}
        result = counts(given.cpu, given.model, given.case, (there, wheel))
    except (BuildError, DebianError, OSError, ValueError, KeyError) as error:
        return complain(str(error), EXIT_FAILED)
    print(json.dumps(result) if given.json else "\n".join(lines(result["models"], earlier)))
    return EXIT_OK


def counts(
    cpu: str, models: Sequence[str], names: Sequence[str] = CASES, place: tuple[Path, Path] | None = None
) -> dict[str, Any]:
    """Return what --json prints. place: userland and wheel, else they are made. Raises BuildError,
    DebianError or OSError."""
    there, wheel = place or land(None)
    cases = cases_of(names)
    found = count(there, wheel, cpu, models, cases)
    return {"cpu": cpu, "kernels": found.level, "code": code_of(wheel), "models": breakdown(found, cases)}


def complain(text: str, code: int) -> int:
    print(f"count-pi: {text}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
