# SPDX-License-Identifier: BSD-2-Clause
"""The core keeps to what MicroPython has."""

import ast
from pathlib import Path

import pytest

import dredge_device

CORE = sorted(Path(dredge_device.__file__).parent.glob("*.py"))
PORTABLE = [path for path in CORE if path.name != "__main__.py"]
ALLOWED = {"array", "binascii", "json", "micropython", "struct", "dredge_device"}


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_core_is_found():
    assert {"rtp.py", "control.py", "jitter.py", "budget.py", "agent.py"} <= {
        path.name for path in PORTABLE
    }


@pytest.mark.parametrize("path", PORTABLE, ids=lambda path: path.name)
def test_core_imports_only_what_a_board_has(path):
    for name in imports(ast.parse(path.read_text(encoding="utf-8"))):
        assert name.split(".")[0] in ALLOWED, name
        assert not name.startswith("dredge_device.pi"), name


@pytest.mark.parametrize("path", PORTABLE, ids=lambda path: path.name)
def test_core_uses_no_syntax_that_a_board_lacks(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not isinstance(node, (ast.Match, ast.AnnAssign, ast.AsyncFunctionDef, ast.JoinedStr))
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None and not node.args.posonlyargs
            assert all(argument.annotation is None for argument in node.args.args)
        if isinstance(node, ast.Raise):
            assert node.cause is None


@pytest.mark.parametrize("path", sorted(CORE[0].parent.rglob("*.py")), ids=lambda p: p.stem)
def test_files_are_short_and_licensed(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# SPDX-License-Identifier: BSD-2-Clause"
    assert len(lines) <= 400
