# SPDX-License-Identifier: BSD-2-Clause
"""Every claim of the threat model names a test, and the test is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/reference/threat-model.md"
TEXT = PAGE.read_text()
NAMED = re.findall(r"(tests/[\w/]+\.py)::(\w+)", TEXT)


@cache
def functions(file: str) -> set[str]:
    """Names of the tests in a file, those of classes too."""
    nodes = ast.walk(ast.parse((ROOT / file).read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_the_named_test_exists(file, name):
    assert name in functions(file)


def test_every_row_of_a_table_of_claims_names_one():
    tables = re.findall(r"^\| claim \| shown by \|\n\|[-|]+\|\n((?:\|.*\|\n)+)", TEXT, re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()]
    assert len(tables) == 7 and len(rows) >= 50
    assert [row for row in rows if not re.search(r"\| tests/[\w/]+\.py::\w+ \|$", row)] == []


def test_a_test_that_is_not_there_would_be_noticed():
    assert "test_nothing" not in functions("tests/packaging/test_threat_model.py")
    assert "test_the_named_test_exists" in functions("tests/packaging/test_threat_model.py")


@pytest.mark.parametrize("page", ["threat-model.md", "supply-chain.md"])
def test_links_and_named_files_exist(page):
    text = (PAGE.parent / page).read_text()
    for target in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (PAGE.parent / target).exists(), target
    for name in re.findall(r"`((?:scripts|locks|host|tests)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name
