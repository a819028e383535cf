# SPDX-License-Identifier: BSD-2-Clause
"""The page of JSON documents knows every schema of the code, and the fields of those that are quickly made."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from dredge_host.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/json.md").read_text()
SOURCES = [path for folder in ("host", "firmware", "scripts") for path in (ROOT / folder).rglob("*.py")]
NAMED = re.compile(r'"(dredge\.[a-z.-]+)/[0-9]+"')


def test_every_schema_of_the_code_is_on_the_page():
    schemas = {name for path in SOURCES for name in NAMED.findall(path.read_text())}
    assert len(schemas) > 30
    assert sorted(name for name in schemas if f"`{name}`" not in PAGE) == []


@pytest.mark.parametrize(
    "words", [["simulate", "a.wav", "b.wav", "--no-quality"], ["models", "list"], ["extras"], ["devices"], ["doctor"]]
)
def test_the_fields_of_a_document_are_on_the_page(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soundfile.write("a.wav", (3000 * np.sin(np.arange(8000) / 9)).astype(np.int16), 16000)
    document = json.loads(CliRunner().invoke(cli, [*words, "--json"]).stdout)
    row = next(line for line in PAGE.splitlines() if f"`{document['schema'].partition('/')[0]}`" in line)
    assert [field for field in document if field != "schema" and f"`{field}`" not in row] == []
