# SPDX-License-Identifier: BSD-2-Clause
"""The page about an evaluation in a real browser: it sorts, filters, fits and asks for nothing."""

import pytest
from browser import NEEDS_BROWSER, Browser
from evaluation_documents import document

from dredge_host.report.evaluation.page import write_evaluation_report

pytestmark = NEEDS_BROWSER
COLUMN = "[...document.querySelectorAll('#table tbody tr')].map(r => r.cells[%d].textContent)"
SHOWN = "[...document.querySelectorAll('#cells tbody tr')].filter(r => !r.hidden)"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    path = write_evaluation_report(folder / "page.html", document(clips=5))
    browser = Browser(folder / "profile")
    browser.open(path)
    yield browser
    browser.close()


def choose(page, name, value):
    page.run(f"{name}.value = '{value}'; {name}.dispatchEvent(new Event('change'))")


def test_loads_without_errors_or_requests(page):
    assert not [e for e in page.events if e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded")]
    asked = [e["params"]["request"]["url"] for e in page.events if e["method"] == "Network.requestWillBeSent"]
    assert len(asked) == 1 and asked[0].startswith("file:")


def test_a_column_sorts_both_ways_and_says_so(page):
    click = "document.querySelectorAll('#table th button')[1].click()"
    page.run(click)
    up = page.run(COLUMN % 1)
    assert up == sorted(up) and up[0].startswith("2.30")
    assert page.run("document.querySelectorAll('#table thead th')[1].ariaSort") == "ascending"
    page.run(click)
    assert page.run(COLUMN % 1) == up[::-1]
    assert page.run("document.querySelectorAll('#table thead th')[1].ariaSort") == "descending"


def test_negative_numbers_sort_as_numbers_and_nothing_goes_last(page):
    for last in ("no loss", "classic Opus concealment"):
        page.run("document.querySelectorAll('#table th button')[2].click()")
        assert last in page.run(COLUMN % 0)[-2:]
    page.run("document.querySelectorAll('#table th button')[2].click()")
    assert page.run(COLUMN % 2)[0].startswith("−71")


def test_a_table_sorts_by_keyboard(page):
    page.run("document.querySelector('#table th button').focus()")
    page.press(" ")
    names = page.run(COLUMN % 0)
    assert page.run("document.querySelectorAll('#table thead th')[0].ariaSort") == "ascending"
    assert names[0] == "classic Opus concealment" and names[-1] == "silence"


def test_cells_begin_with_dred_and_follow_the_filters(page):
    assert page.run("method.value") == "dred"
    assert page.run("shown.textContent") == "15 cells"
    choose(page, "stratum", "long")
    assert page.run(SHOWN + ".map(r => r.dataset.stratum + r.dataset.method)") == ["longdred"] * 5
    choose(page, "method", "")
    assert page.run("shown.textContent") == "50 cells"
    choose(page, "stratum", "")


def test_the_worst_cell_stands_first(page):
    choose(page, "method", "plc")
    values = page.run(SHOWN + ".map(r => parseFloat(r.cells[5].dataset.value))")
    assert values == sorted(values)


def test_colour_keys_are_small(page):
    sizes = page.run("[...document.querySelectorAll('.legend svg')].map(s => s.getBoundingClientRect().width)")
    assert len(sizes) == 5 and all(5 < size < 20 for size in sizes)


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_screen(page, width):
    page.call(
        "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
    )  # fmt: skip
    assert page.run("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_bar_can_be_seen_in_both_themes(page, theme):
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
    card = page.run("getComputedStyle(document.querySelector('section')).backgroundColor")
    fills = page.run("[...document.querySelectorAll('.bars rect, .bars circle')].map(r => getComputedStyle(r).fill)")
    assert card not in fills and "rgb(0, 0, 0)" not in fills
    assert len(set(fills)) > 10
    text = page.run("getComputedStyle(document.querySelector('.bars text:not(.tick)')).fill")
    assert text == page.run("getComputedStyle(document.body).color")
