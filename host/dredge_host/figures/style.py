# SPDX-License-Identifier: BSD-2-Clause
"""The style of the figures, and their SVG files: text stays text, and equal data give equal bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dredge_device.pi.output.files import write_bytes
from dredge_host.errors import need

INK, SOFT, LINE, BAD = "#1c1d22", "#5d606b", "#dcdad4", "#a5231c"
OUTSIDE = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "frameon": False}

_RC: dict[Any, Any] = {
    "svg.hashsalt": "dredge",  # element names are hashes: fixed ones
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}

Draw = Callable[[Any, Mapping[str, Any]], None]


def check_plotting() -> None:
    """Raise CapabilityError when matplotlib is missing: before minutes of measuring, not after."""
    need("matplotlib", "a figure", "report")


def svg(draw: Draw, document: Mapping[str, Any]) -> bytes:
    """Return the drawing of `draw(figure, document)` as SVG. Raises CapabilityError without matplotlib."""
    check_plotting()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    stream = io.BytesIO()
    with rc_context(_RC):
        figure = Figure(layout="constrained", facecolor="white")
        draw(figure, document)
        _settle(figure)
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": "dredge figures"})
    return stream.getvalue()


def _settle(figure: Any) -> None:
    """Lay out once and round the positions: the solver differs in the last digits, and names are hashes of them."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position([round(value, 5) for value in axes.get_position().bounds])


def write_svg(path: str | Path, draw: Draw, document: Mapping[str, Any]) -> Path:
    """Write the drawing as a file that is complete or absent, and return its path."""
    return write_bytes(path, svg(draw, document))
