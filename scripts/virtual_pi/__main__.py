# SPDX-License-Identifier: BSD-2-Clause
"""The real agent on a virtual Raspberry Pi whose clock counts instructions: what it does at which speed.

Without arguments: a table over speeds, models and losses. With --mips, --model or --loss: just those; one run and
--json give one line of JSON. Speeds are millions of instructions per second: 500 stands for a Pi Zero 2 W, 700 a 3B+,
1000 to 2000 a Pi 4 (docs/reference/virtual-pi.md). Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from debian import DebianError

from dredge_host.errors import UsageError
from dredge_host.sending.loss import parse_loss
from dredge_host.settings import parse_playout
from virtual_pi import board, table
from virtual_pi.board import BoardError
from virtual_pi.boot_image.layers import folder
from virtual_pi.boot_image.prepare import prepare
from virtual_pi.boot_image.wheel import BuildError
from virtual_pi.figures import Cell
from virtual_pi.goals import missed
from virtual_pi.row_file import RowFile
from virtual_pi.runner import Runner

EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_NO_USERLAND = 0, 1, 2, 3


def options(arguments: list[str]) -> argparse.Namespace:
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("test-pi", description=__doc__, formatter_class=as_written)
    listed = "several separated by blanks"
    parser.add_argument("--mips", type=float, nargs="+", metavar="N", help=f"million instructions per second; {listed}")
    parser.add_argument("--model", nargs="+", metavar="NAME", help=f"what `dredge agent --vocoder` takes; {listed}")
    parser.add_argument("--loss", nargs="+", metavar="SPEC", help="a loss as `dredge stream --loss` takes it")
    parser.add_argument("--talk", action="store_true", help="two duplex streams (`dredge talk`) instead")
    parser.add_argument("--playout", help="fixed:<ms> or adaptive (default: fixed:1000; of a talk: adaptive)")
    parser.add_argument("--cpu", choices=board.CPUS, default="cortex-a53", help="default: %(default)s")
    parser.add_argument("--seconds", type=float, help="of speech (default: 25; with --short: 12)")
    parser.add_argument("--seed", type=int, default=3, help="of the loss (default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="run N times; exit code 1 if two differ")
    parser.add_argument("--short", action="store_true", help="what continuous integration runs: three runs")
    parser.add_argument("--check", action="store_true", help="exit code 1 if a goal (docs/reference) is missed")
    parser.add_argument("--json", action="store_true", help="one line of JSON per run")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="boards at the same time; no figure changes")
    parser.add_argument("--rows", type=Path, metavar="FILE", help="where rows are kept (default: in the cache folder)")
    parser.add_argument("--anew", action="store_true", help="run what was run with this code before, too")
    parser.add_argument("--wheel", type=Path, help="an arm64 wheel; default: build it")
    return parser.parse_args(arguments)


def cells(given: argparse.Namespace) -> list[Cell]:
    """Return the cells to run. Raises UsageError."""
    chosen = {name: getattr(given, name) for name in ("cpu", "seconds", "seed", "playout")}
    others = {name: value for name, value in chosen.items() if value is not None}
    if others.get("seconds", 1) <= 0 or given.jobs < 1 or given.repeat < 1:
        raise UsageError("--seconds, --jobs and --repeat must be above 0")
    if given.short:
        return table.short_cells(**others)
    speeds, models, losses = given.mips or table.SPEEDS, given.model or table.MODELS, given.loss or [table.BURSTS]
    if given.talk:
        wanted = table.talk_cells(given.mips or [table.TALK_SPEED], models, losses, **others)
    elif given.mips or given.model or given.loss:
        wanted = [Cell(mips, model, loss, **others) for loss in losses for mips in speeds for model in models]
    else:
        wanted = table.every_cell(**others)
        wanted += table.talk_cells([table.TALK_SPEED], table.MODELS, [table.BURSTS], **others)
    for cell in wanted:
        checked(cell)
    return wanted


def checked(cell: Cell) -> None:
    """Raise UsageError for what no board could run."""
    parse_loss(cell.loss, cell.seed)
    parse_playout(cell.playout)
    try:
        board.rate(cell.mips)
    except ValueError as error:
        raise UsageError(str(error)) from None


def differing(rows: list[dict[str, Any]], times: int) -> list[str]:
    """Return sentences about cells whose repetitions do not agree."""
    said = []
    for first in range(0, len(rows), times):
        for other in rows[first + 1 : first + times]:
            names = [name for name in other if other[name] != rows[first][name]]
            if names:
                said.append(f"two runs of the same cell differ in {', '.join(names)}: {rows[first]} and {other}")
    return said


def main(arguments: list[str]) -> int:
    """Run the command line; return 0: done; 1: a run failed, a goal was missed, or no wheel; 2: wrong options; 3: no
    userland.
    """
    given = options(arguments)
    try:
        wanted = [cell for cell in cells(given) for _ in range(given.repeat)]
        boot = prepare(given.wheel)
    except UsageError as error:
        return complain(str(error), EXIT_USAGE)
    except BuildError as error:
        return complain(str(error), EXIT_FAILED)
    except (DebianError, OSError) as error:
        return complain(f"no Debian arm64 system can be had for the virtual board: {error}", EXIT_NO_USERLAND)
    try:
        file = RowFile(given.rows or folder() / "rows.jsonl", boot.code)
        rows = show(Runner(boot, file, given.anew or given.repeat > 1).all(wanted, given.jobs), given.json)
    except UsageError as error:
        return complain(str(error), EXIT_USAGE)
    except BoardError as error:
        return complain(str(error), EXIT_FAILED)
    complaints = differing(rows, given.repeat)
    if given.check:
        complaints += [sentence for row in rows for sentence in missed(row)]
    return complain("; ".join(complaints), EXIT_FAILED) if complaints else EXIT_OK


def show(results: Iterable[dict[str, Any]], as_json: bool) -> list[dict[str, Any]]:
    """Print the results one by one as they come, as JSON or as the rows of a table, and return them."""
    rows: list[dict[str, Any]] = []
    for row in results:
        if not rows and not as_json:
            print("\n".join(table.head()))
        rows.append(row)
        print(json.dumps(row) if as_json else table.line(row), flush=True)
    return rows


def complain(text: str, code: int) -> int:
    print(f"test-pi: {text}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
