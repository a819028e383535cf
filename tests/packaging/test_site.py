# SPDX-License-Identifier: BSD-2-Clause
"""The documents build as a site without a warning, with the interfaces and the options in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

for package in ("mkdocs", "material", "mkdocstrings_handlers.python"):
    pytest.importorskip(package, reason="needs mkdocs: dredge extras add docs")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)], cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_document_is_a_page_and_in_the_navigation(site):
    home = (site / "index.html").read_text()
    for page in ROOT.glob("docs/*/*.md"):
        at = page.relative_to(ROOT / "docs").with_suffix("")
        assert (site / at / "index.html").is_file()
        assert f'href="{at}/"' in home, at


def test_interfaces_come_from_docstrings(site):
    text = (site / "reference/api/index.html").read_text()
    for name in ("dredge_host.sending.sender.Sender.push", "dredge_device.rtp", "dredge_models.dred"):
        assert f'id="{name}' in text, name
    assert "Samples by which decoded speech is later than the input" in text


def test_every_verb_has_its_help_text(site):
    text = (site / "reference/options/index.html").read_text()
    for verb in ("dredge-agent", "dredge-stream", "dredge-models-import", "dredge-report-card"):
        assert f'id="{verb}"' in text, verb
    assert "fixed:&lt;ms&gt;" in text and "Examples" in text


def test_the_site_asks_no_other_machine_for_anything(site):
    for page in site.rglob("*.html"):
        asked = re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="(https?://[^"]+)"', page.read_text())
        assert [url for url in asked if "canonical" not in url] == [], page.name
