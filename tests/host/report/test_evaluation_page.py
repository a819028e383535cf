# SPDX-License-Identifier: BSD-2-Clause
"""The page about an evaluation: its sections, tables and charts as text."""

import json
import re
from html.parser import HTMLParser

import pytest
from evaluation_documents import METHODS, around, document
from hypothesis import given
from hypothesis import strategies as st

from dredge_device.pi.output.files import OutputError
from dredge_host.charts.bars import Bar, Part, bar_chart, scatter_chart, stacked_chart, ticks
from dredge_host.evaluation.judging.registry import METRICS
from dredge_host.evaluation.results.stats import Interval
from dredge_host.report.evaluation.page import render, write_evaluation_report
from dredge_host.report.evaluation.tables import interval_text, table_of, worst_cells

VOID = {"meta", "link", "br", "img", "input"}


class Outline(HTMLParser):
    """Which sections there are, and whether every element is closed."""

    def __init__(self, page):
        super().__init__()
        self.open, self.sections, self.loads = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "section":
            self.sections.append(given.get("id"))
        self.loads += [given[key] for key in ("src", "href") if key in given]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass  # closed at once

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag


def test_every_section_is_there_and_nothing_is_left_open():
    outline = Outline(render(document()))
    assert outline.sections == [
        "verdict", "quality", "table", "strata", "loss-rates", "words", "bits", "cells", "methods", "environment", None,
    ]  # fmt: skip
    assert outline.open == []
    assert outline.loads == []


def test_what_was_not_measured_leaves_its_section_out():
    given = document(("clean", "dred"))
    for key in ("strata", "loss_rates", "records", "timing", "environment", "plcmos_noise_sd", "word_reference"):
        del given[key]
    for row in given["summary"]:
        for key in ("plcmos", "gap_won_back", "wer", "estoi", "bitrate_bps", "cepstral_distance_db", "pitch_error_pct"):
            row.pop(key, None)
    assert Outline(render(given)).sections == ["table", "methods", "environment", None]


def test_goals_are_missed_by_points_and_held():
    given = document()
    page = render(given)
    assert "FAIL" in page and "missed by 14 points</td>" in page and "missed by 2 points (within the interval)" in page
    for row in given["summary"]:
        if "gap_won_back" in row:
            row["gap_won_back"] = around(0.95, 0.02)
    page = render(given)
    assert "PASS" in page and "missed" not in page and page.count(">held</td>") == 3


def test_names_from_outside_cannot_become_markup():
    given = document(("clean", "opus", "dred"))
    given["records"][5]["clip"] = given["plan"]["folder"] = "<script>alert(1)</script>"
    given["summary"].append({**given["summary"][2], "method": '"><img src=x>'})
    page = render(given)
    assert "<script>alert" not in page and "<img" not in page
    assert Outline(page).open == []


def test_tables_carry_the_numbers_they_show():
    page = table_of(document()["summary"])
    assert '<th scope=row data-value="DRED 1 s">DRED 1 s</th>' in page
    assert re.search(r'<td data-value="67\.1\d*">67 ± 7 %</td>', page)
    assert re.search(r'<td data-value="-71\.2\d*">−71 ± 7 %</td>', page)
    assert '<td data-value="">–</td>' in page  # clean has no share


def test_columns_that_no_method_measured_are_not_shown():
    rows = document(("clean",))["summary"]
    assert "gap won back" not in table_of(rows) and "word errors" in table_of(rows)


class TestWorstCells:
    def test_worst_is_what_lost_most_against_the_same_clip_without_loss(self):
        found = worst_cells(document(clips=6)["records"], count=3)
        drops = [row["against_clean"] for row in found]
        assert drops == sorted(drops)
        assert {row["method"]: 0 for row in found}.keys() == set(METHODS) - {"clean"}
        assert len(found) == 3 * (len(METHODS) - 1)

    def test_none_of_the_left_out_is_worse(self):
        records = document(clips=6)["records"]
        kept = [row for row in worst_cells(records, count=4) if row["method"] == "dred"]
        everything = [row for row in worst_cells(records, count=100) if row["method"] == "dred"]
        assert kept == everything[:4] and len(everything) == 18

    def test_cells_without_plcmos_stay_in_order(self):
        records = [{"clip": f"c{k}", "method": "dred", "stratum": "short"} for k in range(5)]
        assert [row["clip"] for row in worst_cells(records, count=2)] == ["c0", "c1"]

    def test_nothing_measured_is_nothing_shown(self):
        assert worst_cells([]) == []


class TestCharts:
    BARS = (
        Bar("dred", "DRED", Interval(67.0, 60.0, 74.0), "67 ± 7", 81.0),
        Bar("plc", "PLC", Interval(-5.0, -9.0, 1.0), "−5"),
    )

    def test_a_bar_begins_at_zero_and_ends_at_its_mean(self):
        chart = bar_chart(self.BARS, "share")
        place = [
            (float(x), float(w))
            for x, w in re.findall(r'<rect class="m-\w+" x="([\d.]+)%" .*?width="([\d.]+)%"', chart)
        ]
        unit = 99.0 / 90.0  # from −9 to the goal at 81
        assert place[0] == pytest.approx((9 * unit, 67 * unit), abs=0.02)
        assert place[1] == pytest.approx((4 * unit, 5 * unit), abs=0.02)

    def test_every_bar_has_its_whisker_and_only_goals_are_marked(self):
        chart = bar_chart(self.BARS, "share")
        assert chart.count('class="whisker"') == 2 * 3
        assert chart.count('class="goal"') == 1

    def test_parts_follow_each_other(self):
        chart = stacked_chart([("DRED", [Part("speech", "speech", 30.0), Part("dred", "DRED", 10.0)])], "rates", "kb/s")
        found = re.findall(r'class="p-(\w+)" x="([\d.]+)%" .*?width="([\d.]+)%"', chart)
        assert [(k, float(x), float(w)) for k, x, w in found] == [("speech", 0.0, 74.25), ("dred", 74.25, 24.75)]
        assert "40.0 kb/s" in chart

    def test_higher_is_further_up(self):
        points = [("opus", "Opus", 40.0, Interval(2.8, 2.7, 2.9)), ("dred", "DRED", 63.0, Interval(3.3, 3.2, 3.4))]
        chart = scatter_chart(points, "quality", "kb/s")
        down = [float(y) for y in re.findall(r'cy="([\d.]+)"', chart)]
        right = [float(x) for x in re.findall(r'cx="([\d.]+)%"', chart)]
        assert down[0] > down[1] and right[0] < right[1]

    @given(st.floats(-200, 200), st.floats(0, 500))
    def test_ticks_are_few_and_inside(self, low, span):
        found = ticks(low, low + span)
        assert len(found) <= 7
        assert all(low - 1e-3 <= tick <= low + span + 1e-3 for tick in found)
        if span > 1e-2:
            assert found

    @given(st.lists(st.tuples(st.floats(-100, 100), st.floats(0, 50)), min_size=1, max_size=8))
    def test_nothing_lies_outside(self, pairs):
        bars = [Bar("dred", "x", Interval(m, m - h, m + h), "") for m, h in pairs]
        chart = bar_chart(bars, "any")
        places = [float(x) for x in re.findall(r'(?:x|x1|x2)="([-\d.]+)%"', chart)]
        assert all(0 <= x <= 100 for x in places)
        assert all(float(w) >= 0 for w in re.findall(r'width="([-\d.]+)%"', chart))

    def test_one_value_everywhere_is_drawn(self):
        point = Interval(3.0, 3.0, 3.0)
        assert "cy=" in scatter_chart([("dred", "DRED", 60.0, point)], "one", "kb/s")
        assert "rect" in bar_chart([Bar("dred", "DRED", Interval(0.0, 0.0, 0.0), "0")], "zero")


def test_minus_is_a_minus():
    assert interval_text(Interval(-0.25, -0.35, -0.15), METRICS["gap_won_back"]) == "−25 ± 10 %"


def test_the_command_is_that_of_the_plan():
    page = render(document())
    assert "dredge evaluate test --clips 4 --method clean --method silence" in page
    assert "Made-up CPU" in page


def test_what_is_unknown_about_the_machine_is_left_out():
    made = document()
    made["environment"] |= {"board": None, "governor": "performance"}
    page = render(made).split('id="environment"')[1].split("</section>")[0]
    assert "board" not in page and "governor" in page


def test_the_page_holds_the_result_without_cells():
    page = render(document())
    raw = re.search(r"<pre>(.*?)</pre>", page, re.DOTALL)[1].replace("&quot;", '"')
    assert set(json.loads(raw)) == set(document()) - {"records"}


def test_a_page_is_complete_or_not_there(tmp_path):
    path = write_evaluation_report(tmp_path / "page.html", document())
    assert path.read_text().endswith("</html>\n")
    with pytest.raises(OutputError, match="does not exist"):
        write_evaluation_report(tmp_path / "none" / "page.html", document())
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
