# SPDX-License-Identifier: BSD-2-Clause
"""Times on the way of the speech are integer microseconds; other units begin where documents or people read them."""

import ast
import re

import pytest
from test_imports import MODULES

# The way of a packet and of its speech: whole packages, and what drives or measures them on the host.
INNER = ("dredge_device.", "dredge_host.offline.player", "dredge_host.talk.", "dredge_host.audio_io.",
         "dredge_host.gateway.", "dredge_host.links.")  # fmt: skip
MEANS = {"dredge_device.pi.calibration.costs"}  # costs of periods on average: fractions of a microsecond
# JSON has milliseconds and means.
DOCUMENTS = {"dredge_device.pi.schema.documents", "dredge_device.pi.schema.report", "dredge_host.talk.documents",
             "dredge_host.audio_io.source"}  # fmt: skip
# Seconds are for durations that somebody chooses: waits of the standard library, options of the command line.
MEASURED = re.compile(r"(^|_)(delay|trip|late|backlog|buffered|jitter|network|reserve|queued|arrived)_(ms|s)$")


def _annotated(tree):
    """(name, annotation) of every field, argument, assignment and function of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            yield ast.unparse(node.target), ast.unparse(node.annotation)
        elif isinstance(node, ast.arg) and node.annotation is not None:
            yield node.arg, ast.unparse(node.annotation)
        elif isinstance(node, ast.FunctionDef) and node.returns is not None:
            yield node.name, ast.unparse(node.returns)


def fractions(source):
    """Names in a source that hold a measured time as a fraction of milliseconds or seconds, or microseconds as one."""
    found = set()
    for name, kind in _annotated(ast.parse(source)):
        short = name.rpartition(".")[2]
        if "float" in kind and "Callable" not in kind and (short.endswith(("_ms", "_us")) or MEASURED.search(short)):
            found.add(short)
    return found


@pytest.mark.parametrize(
    ("source", "found"),
    [("class A:\n    delay_ms: float", {"delay_ms"}), ("def f(round_trip_s: float | None): ...", {"round_trip_s"}),
     ("def delay_us() -> float: ...", {"delay_us"}), ("delay_us: int = 0\nwait_s: float = 1.0", set())],
)  # fmt: skip
def test_a_fraction_is_found(source, found):
    assert fractions(source) == found


def test_times_inside_are_whole_microseconds():
    inner = {name: path for name, path in MODULES.items() if name.startswith(INNER) and name not in MEANS | DOCUMENTS}
    found = {name: names for name, path in inner.items() if (names := fractions(path.read_text(encoding="utf-8")))}
    assert found == {}
