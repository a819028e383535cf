# SPDX-License-Identifier: BSD-2-Clause
"""The rate-distortion figures as a table in docs/notes/models.md and a plot in docs/notes/images."""

import os
from dataclasses import dataclass
from pathlib import Path

from models.training.rdovae_points import MEASURES, Point, relative

BEGIN, END = "<!-- rdovae_curve: written by models.training.rdovae_curve -->", "<!-- end of rdovae_curve -->"
LABELS = {"cepstral": "band levels, dB RMS", "pitch": "pitch, semitones", "correlation": "correlation",
          "weighted": "training's distortion"}


@dataclass(frozen=True)
class Case:
    """Curves of all models over the same features, the first model being ours."""

    title: str
    seconds: int
    curves: dict[str, list[Point]]


def table(case: Case) -> str:
    """Return our figures per level as Markdown, in brackets their share of the other model's at the same rate."""
    names = list(case.curves)
    ours = case.curves[names[0]]
    shares = relative(ours, case.curves[names[1]]) if len(names) > 1 else None
    lines = ["| level | bit/s | " + " | ".join(LABELS[m] for m in MEASURES) + " |", "|---" * (2 + len(MEASURES)) + "|"]
    for i, p in enumerate(ours):
        cells = []
        for name in MEASURES:
            text = f"{getattr(p, name):.3g}"
            if shares is not None:
                share = shares[i][name]
                text += f" ({share:.2f})" if share == share else " (–)"
            cells.append(text)
        lines.append(f"| {p.level} | {p.rate:.0f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def other_table(case: Case) -> str:
    """Return the second model's own figures as Markdown."""
    name, points = list(case.curves.items())[1]
    lines = [f"{name} itself:", "", "| level | bit/s | " + " | ".join(LABELS[m] for m in MEASURES) + " |",
             "|---" * (2 + len(MEASURES)) + "|"]
    lines += [f"| {p.level} | {p.rate:.0f} | " + " | ".join(f"{getattr(p, m):.3g}" for m in MEASURES) + " |"
              for p in points if p.level % 3 == 0]
    return "\n".join(lines)


def text(cases: list[Case]) -> str:
    """Return the whole generated part of docs/notes/models.md."""
    parts = [BEGIN, "", "![rate against distortion](images/rdovae_curve.svg)", ""]
    for case in cases:
        other = list(case.curves)[1:]
        bracket = f"; in brackets our error over that of {other[0]} at the same rate" if other else ""
        parts += [f"**{case.title}**, {case.seconds} s{bracket}:", "", table(case), ""]
        if other:
            parts += [other_table(case), ""]
    return "\n".join([*parts, END])


def plot(cases: list[Case], path: Path) -> None:
    """Draw one panel per measure (the weighted one left out) and case."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "dredge"      # the same file for the same figures
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(cases), 3, figsize=(11, 3.4 * len(cases)), squeeze=False)
    for row, case in zip(axes, cases, strict=True):
        for axis, name in zip(row, MEASURES[:3], strict=True):
            for (model, points), mark in zip(case.curves.items(), ("o-", "x--"), strict=False):
                axis.plot([p.rate for p in points], [getattr(p, name) for p in points], mark, markersize=3, label=model)
            axis.set(xlabel="bit/s", ylabel=LABELS[name], title=case.title, ylim=(0, None))
            axis.grid(alpha=0.3)
            axis.legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.svg")
    figure.savefig(part, metadata={"Date": None})
    pyplot.close(figure)
    os.replace(part, path)


def write(cases: list[Case], docs: Path) -> str:
    """Write table and plot to the documents; return the text. ValueError if models.md has no place for it."""
    page = docs / "models.md"
    content = page.read_text(encoding="utf-8")
    if BEGIN not in content or END not in content:
        raise ValueError(f"{page}: expected the lines {BEGIN!r} and {END!r}")
    before, rest = content.split(BEGIN, 1)
    new = text(cases)
    plot(cases, docs / "images" / "rdovae_curve.svg")
    part = page.with_suffix(".part")
    part.write_text(before + new + rest.split(END, 1)[1], encoding="utf-8")
    os.replace(part, page)
    return new
