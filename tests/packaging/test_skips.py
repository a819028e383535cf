# SPDX-License-Identifier: BSD-2-Clause
"""Why a test is skipped says what to do about it, or that this machine can do nothing about it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
# Where the reason stands if not behind reason=.
CALLS = {"pytest.skip": 0, "pytest.mark.skipif": None, "pytest.importorskip": None}
# "needs ffmpeg: apt-get install ffmpeg" or "this kernel has no netem".
ADVICE = ("apt-get install ", "dredge extras add ", "pip install ", "make ", "set DREDGE_", "sudo", "on the path", "{}",
          "not below ")  # fmt: skip


def text(node: ast.expr | None) -> str | None:
    """The words of a text or f-string; None for a name that stands for some."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values)
    return None


def reasons(source: str) -> Iterator[tuple[int, str | None]]:
    """(line, reason) of every skip; "" where none is given."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) in CALLS):
            continue
        given = next((k.value for k in node.keywords if k.arg in ("reason", "msg")), None)
        place = CALLS[ast.unparse(node.func)]
        if given is None and place is not None and len(node.args) > place:
            given = node.args[place]
        yield node.lineno, text(given) if given is not None else ""


def helps(reason: str) -> bool:
    needs, _, how = reason.partition(": ")
    return reason.startswith("this ") or (needs.startswith("needs ") and any(word in how for word in ADVICE))


def test_every_skip_says_what_to_do() -> None:
    bad = [
        f"{path.relative_to(TESTS)}:{line}: {reason!r}"
        for path in sorted(TESTS.rglob("*.py"))
        for line, reason in reasons(path.read_text())
        if reason is not None and not helps(reason)
    ]
    assert not bad, "\n".join(bad)


def test_the_guard_sees_each_way_to_skip() -> None:
    source = "pytest.skip('no luck')\npytest.mark.skipif(True, reason='no ffmpeg')\nx = pytest.importorskip('torch')\n"
    assert [reason for _, reason in reasons(source)] == ["no luck", "no ffmpeg", ""]
    assert not any(helps(reason) for reason in ("no luck", "no ffmpeg", "", "needs torch"))
    assert helps("needs ffmpeg: apt-get install ffmpeg") and helps("this kernel has no netem")
