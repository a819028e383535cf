# SPDX-License-Identifier: BSD-2-Clause
"""The documents build as a site without a warning, with the interfaces and the options in it."""

from __future__ import annotations

import html
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
    plain = html.unescape(re.sub(r"<[^>]+>", "", text))
    assert re.search(r"Sender\(\s*bitrate:\s*int\s*=\s*24000", plain)  # a class has its arguments with their defaults
    assert re.search(r"Settings\([^)]*loss_pct:\s*int\s*=\s*20", plain)
    assert "RTP packets (RFC 3550 section 5.1) and the running sequence number" in plain  # a comment


def test_no_interface_is_empty(site):
    """Every module, class and function on the page has a text below its heading."""
    text = (site / "reference/api/index.html").read_text()
    found = re.findall(r'<div class="doc doc-object doc-(\w+)">\s*<h\d id="([\w.]+)"', text)
    bodies = dict(zip((name for _, name in found), re.split(r'<div class="doc doc-object ', text)[1:], strict=True))
    kinds = {name: kind for kind, name in found}
    empty = [name for name, body in bodies.items() if kinds[name] != "attribute" and "<p>" not in body]
    assert len(bodies) > 100 and not empty, empty


def test_every_verb_has_its_help_text(site):
    text = (site / "reference/options/index.html").read_text()
    for verb in ("dredge-agent", "dredge-stream", "dredge-models-import", "dredge-report-card"):
        assert f'id="{verb}"' in text, verb
    assert "fixed:&lt;ms&gt;" in text and "Examples" in text


def test_the_site_asks_no_other_machine_for_anything(site):
    for page in site.rglob("*.html"):
        asked = re.findall(r'<(?:script|link|img)[^>]* (?:src|href)="(https?://[^"]+)"', page.read_text())
        assert [url for url in asked if "canonical" not in url] == [], page.name
