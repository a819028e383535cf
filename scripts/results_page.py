#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fills the generated sections of docs/notes/results.md and README.md, and draws the figures, from docs/notes/data.

scripts/results_page.py                            pages and figures from docs/notes/data
scripts/results_page.py --evaluate RESULT.json     take a new result of dredge evaluate into docs/notes/data first
scripts/results_page.py --words RESULT.json        the same, of one that counted words (slow, so of fewer clips)
scripts/results_page.py --light-loss L.json            the same for dredge evaluate --light-loss
scripts/results_page.py --bitrate B.json --delay D.json --encoder-cost C.json    the same for dredge figures --json
scripts/results_page.py --check                    exit with 1 when a page is not what docs/notes/data gives
"""

from __future__ import annotations

import argparse
import datetime
import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dredge_device.pi.output.files import write_text
from dredge_host.errors import InputError, exit_code, sentence
from dredge_host.evaluation.results import markdown_tables as tables
from dredge_host.evaluation.results.document import EVALUATE, read_document
from dredge_host.evaluation.running import lightloss
from dredge_host.figures import bitrate, bitratedraw, delay, encodercost, quality, scenario, scenariodraw
from dredge_host.figures.plots import gap_by_burst, gap_won_back, quality_against_bitrate
from dredge_host.figures.style import write_svg
from dredge_host.report.shell import plain
from dredge_host.sending.audio import bundled_clip, read_audio

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs/notes"
IN_README = ("gap_won_back", "pesq", "estoi")
SCHEMAS = {
    "evaluate": EVALUATE,
    "words": EVALUATE,
    "light-loss": lightloss.SCHEMA,
    "bitrate": bitrate.SCHEMA,
    "encoder-cost": encodercost.SCHEMA,
    "delay": delay.SCHEMA,
}
KEPT = ("schema", "measured", "plan", "environment", "word_reference", "plcmos_noise_sd", "summary", "strata",
        "loss_rates", "policies", "timing")  # fmt: skip
GROUP_KEYS = ("method", "clips", "cells", "loss_pct", "plcmos", "gap_won_back")
MAX_BYTES = 100_000
SECTION = re.compile(r"(<!-- (?P<name>[a-z-]+): generated -->\n).*?(<!-- (?P=name): end -->)", re.DOTALL)
Results = Mapping[str, Mapping[str, Any]]


def sections(results: Results) -> dict[str, str]:
    """Return the Markdown of every generated section, by name."""
    run, words, rates = results["evaluate"], results["words"], results["bitrate"]
    source = (
        "" if rates["from"] == bitrate.BUNDLED else f" --speech $DREDGE_SPEECH/{rates['from']} --clips {rates['clips']}"
    )
    lost, light = results["delay"], results["light-loss"]
    return {
        "quality-command": _evaluation(run, "results.json"),
        "quality-run": tables.provenance(run),
        "quality": tables.summary(run),
        "goals": tables.verdicts(run),
        "strata": tables.by_group(run, "strata"),
        "loss-rates": tables.by_group(run, "loss_rates"),
        "beside": tables.beside(run),
        "light-loss-command": _code(_light_loss(light)),
        "light-loss": lightloss.markdown(light),
        "words-command": f"{_evaluation(words, 'words.json')}\n\n{tables.provenance(words)}",
        "words": tables.intelligibility(words),
        "seams": tables.seams(run),
        "evaluation-time": tables.timing(run),
        "bitrate-command": _code(f"dredge figures bitrate{source} --out figures"),
        "bitrate": f"{rates['clips']} clips, {rates['seconds']:.0f} s.\n\n{bitratedraw.markdown(rates)}",
        "encoder-cost": encodercost.markdown(results["encoder-cost"]),
        "delay": f"Seed {lost['seed']}, {lost['seconds']:g} s of speech.\n\n{delay.markdown(lost)}",
    }


def readme_sections(results: Results) -> dict[str, str]:
    """Return the Markdown of README's generated section, by name."""
    run = results["evaluate"]
    clips, traces, lost = len(run["plan"]["clips"]), len(run["plan"]["strata"]), run["summary"][-1]["loss_pct"]
    heard = f"{clips} clips of speakers it never heard, {traces} loss traces each"
    return {"quality": f"{heard}, {lost:.0f} % of the packets lost in bursts:\n\n{tables.beside(run, IN_README)}"}


def pages(results: Results) -> dict[Path, dict[str, str]]:
    """Return the pages that have generated sections, with the text of each section by name."""
    return {DOCS / "results.md": sections(results), ROOT / "README.md": readme_sections(results)}


def fill(page: str, texts: Mapping[str, str]) -> str:
    """Return the page with its marked sections replaced. Raises InputError when marks and texts do not match."""
    marked = {found["name"] for found in SECTION.finditer(page)}
    if marked != set(texts):
        wrong = ", ".join(sorted(marked ^ set(texts)))
        raise InputError(f"sections: the page and its generator must have the same ones; only one of them has {wrong}")
    return SECTION.sub(lambda found: f"{found[1]}\n{texts[found['name']]}\n\n{found[3]}", page)


def stripped(document: Mapping[str, Any], measured: str) -> dict[str, Any]:
    """Return the part of a result that the page needs: no cells, of the groups only quality; with the day it was
    measured.
    """
    document = {**document, "measured": measured}
    if document["schema"] != EVALUATE:
        return document
    kept = {key: document[key] for key in KEPT if key in document}
    for key in ("strata", "loss_rates"):
        tables = kept.get(key) or {}
        kept[key] = {
            name: [{k: row[k] for k in GROUP_KEYS if k in row} for row in rows] for name, rows in tables.items()
        }
    return kept


def take(name: str, source: Path, docs: Path = DOCS) -> None:
    """Keep a result in docs/notes/data. Raises InputError for a wrong schema or a result too large to be committed."""
    day = datetime.date.fromtimestamp(source.stat().st_mtime).isoformat() if source.is_file() else ""
    kept = stripped(read_document(source, SCHEMAS[name]), day)
    text = json.dumps(plain(kept), indent=1, ensure_ascii=False) + "\n"
    if len(text.encode()) > MAX_BYTES:
        raise InputError(f"{source}: {len(text)} bytes are left of it, docs/notes/data takes up to {MAX_BYTES}")
    (docs / "data").mkdir(exist_ok=True)
    write_text(docs / "data" / f"{name}.json", text)


def read_results(docs: Path = DOCS) -> dict[str, dict[str, Any]]:
    """Return the kept results by name. Raises InputError when one is missing."""
    return {name: read_document(docs / "data" / f"{name}.json", schema) for name, schema in SCHEMAS.items()}


def draw(results: Results, docs: Path = DOCS) -> list[Path]:
    """Draw the figures of the page, docs/notes/images/figure-*.svg; the scenario is simulated, the others are of kept
    data.
    """
    with bundled_clip() as clip:
        played = scenario.measure(read_audio(clip).pcm)
    run = results["evaluate"]
    figures: dict[str, tuple[Callable[[Any, Mapping[str, Any]], None], Mapping[str, Any]]] = {
        "quality": (quality.draw, run),
        "gap-won-back": (gap_won_back, run),
        "gap-by-burst": (gap_by_burst, run),
        "quality-against-bitrate": (quality_against_bitrate, run),
        "bitrate": (bitratedraw.draw, results["bitrate"]),
        "encoder-cost": (encodercost.draw, results["encoder-cost"]),
        "delay": (delay.draw, results["delay"]),
        "scenario": (scenariodraw.draw, played),
    }
    return [write_svg(docs / "images" / f"figure-{name}.svg", *drawing) for name, drawing in figures.items()]


def _evaluation(run: Mapping[str, Any], out: str) -> str:
    """Return the command that makes a kept evaluation again."""
    return _code(f"{tables.command(run, '$DREDGE_SPEECH/' + run['plan']['folder'])} --out {out}")


def _light_loss(run: Mapping[str, Any]) -> str:
    """Return the command that makes a kept comparison of what to send again."""
    words = f"dredge evaluate $DREDGE_SPEECH/{run['folder']} --light-loss --clips {len(run['clips'])}"
    return f"{words} --seconds {run['seconds_each']:g} --pesq --no-words --out light-loss.json"


def _code(text: str) -> str:
    return f"```\n{text}\n```"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in SCHEMAS:
        parser.add_argument(f"--{name}", type=Path, metavar="JSON", help=f"take this result as data/{name}.json")
    parser.add_argument("--check", action="store_true", help="change nothing, say whether the page is up to date")
    given = vars(parser.parse_args())
    for name in SCHEMAS:
        source = given[name.replace("-", "_")]
        if source and not given["check"]:
            take(name, source)
    results, stale = read_results(), []
    for page, texts in pages(results).items():
        before = page.read_text(encoding="utf-8")
        after = fill(before, texts)
        if after != before:
            stale.append(str(page.relative_to(ROOT)))
            if not given["check"]:
                write_text(page, after)
    if given["check"]:
        print(f"{' and '.join(stale)}: not what docs/notes/data gives" if stale else "up to date")
        return int(bool(stale))
    for path in (*pages(results), *draw(results)):
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Exception as error:
        code = exit_code(error)
        if code is None:
            raise
        print(f"results_page: {sentence(error)}", file=sys.stderr)
        sys.exit(code)
