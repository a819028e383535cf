# SPDX-License-Identifier: BSD-2-Clause
"""Links of the documents lead somewhere: to a file of the repository, and to a heading that the page has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")


def links(page: Path) -> list[tuple[Path, str]]:
    """(file, anchor) of every link to the repository; the anchor is empty where there is none."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [(page.parent / file if file else page, anchor) for file, anchor in LINK.findall(text)]


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page):
    found = links(page)
    assert [str(file) for file, _ in found if not file.exists()] == []
    assert [(file.name, anchor) for file, anchor in found if anchor and anchor not in anchors(file)] == []


def test_every_page_is_on_a_shelf():
    shelves = {page.parent.name for page in PAGES if ROOT / "docs" in page.parents and page.name != "index.md"}
    assert shelves == {"guide", "reference", "notes"}


def test_a_dead_link_would_be_noticed(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One heading\n\n[a](#one-heading), [b](#none), [c](missing.md)\n")
    found = links(page)
    assert [file.exists() for file, _ in found] == [True, True, False]
    assert [anchor in anchors(page) for _, anchor in found[:2]] == [True, False]
