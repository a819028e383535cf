# SPDX-License-Identifier: BSD-2-Clause
"""The drawings: bands, brackets, thinning that keeps peaks, scales, proportions."""

import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_host.legend import SOURCES
from dredge_host.report.charts import (
    MAX_POINTS,
    gap_marks,
    line_chart,
    linear_scale,
    log_scale,
    source_strip,
    split_bar,
    thin,
)
from dredge_host.report.timeline import Row


def rows_of(sources):
    return [Row(i, s) for i, s in enumerate(sources)]


def elements(svg, tag):
    return [e.attrib for e in ElementTree.fromstring(svg).iter(tag)]


def paths(svg):
    return {p["class"]: p["d"] for p in elements(svg, "path")}


def test_strip_has_one_path_per_source_in_packet_coordinates():
    got = paths(source_strip(rows_of(["silence", "opus", "dred", "dred", "skipped", "opus", "dtx"]), 7))
    assert got == {
        "s-silence": "M0 0h1v1H0z", "s-opus": "M1 0h1v1H1zM5 0h1v1H5z", "s-dred": "M2 0h2v1H2z",
        "s-skipped": "M4 0h1v1H4z", "s-dtx": "M6 0h1v1H6z",
    }  # fmt: skip


def test_brackets_stand_around_gaps_and_leave_the_picture_free():
    rows = rows_of(["silence", "opus", "dred", "dred", "plc", "opus", "dtx", "skipped"])
    own = paths(gap_marks(rows, 8, None))
    assert own["bar b-dred"] == "M2 0H4M2 100H4" and own["bar b-plc"] == "M4 0H5M4 100H5"
    assert own["bar b-skipped"] == "M7 0H8M7 100H8"
    assert own["edge"] == "M2 0V100M5 0V100M7 0V100M8 0V100"  # one gap, whatever filled it
    assert "<rect" not in gap_marks(rows, 8, None), "nothing lies over the gap itself"


def test_brackets_of_other_signals_are_of_one_source_or_neutral():
    rows = rows_of(["opus", "dred", "plc", "opus"])
    assert paths(gap_marks(rows, 4, "conceal"))["bar b-conceal"] == "M1 0H3M1 100H3"
    assert paths(gap_marks(rows, 4, ""))["bar b-none"] == "M1 0H3M1 100H3"
    assert gap_marks(rows_of(["opus", "dtx"]), 2, None) == ""


@given(st.lists(st.sampled_from(list(SOURCES)), min_size=1, max_size=300))
def test_drawings_grow_with_the_sources_not_with_the_packets(sources):
    assert len(elements(source_strip(rows_of(sources), len(sources)), "path")) == len(set(sources))


def test_thinning_keeps_the_worst_frame():
    points = [(float(i), 1.0) for i in range(20 * MAX_POINTS)]
    points[12345] = (12345.0, 19.0)
    kept = thin(points)
    assert len(kept) <= MAX_POINTS and max(kept, key=lambda p: p[1]) == (12345.0, 19.0)
    assert thin(points[:10]) == points[:10]


def test_line_is_drawn_on_its_scale_with_grid_and_limit():
    scale = linear_scale(20.0)
    got = elements(line_chart([(0, 0.0), (5, 20.0)], 10, scale, "CPU", limit=10.0), "path")
    assert [p["class"] for p in got] == ["grid"] * len(scale.ticks) + ["line", "limit"]
    assert got[-2]["d"] == "M0 100.00 L5 0.00" and got[-1]["d"] == "M0 50.00H10"
    assert "line" not in paths(line_chart([], 10, scale, "CPU"))


@pytest.mark.parametrize(
    ("top", "ticks"), [(1002, [0, 500, 1000, 1500]), (280, [0, 100, 200, 300]), (20, [0, 10, 20]), (0, [0, 0.5, 1])]
)
def test_linear_scales_have_round_values(top, ticks):
    assert linear_scale(top).ticks == pytest.approx(ticks)


@given(st.floats(1e-3, 1e6))
def test_linear_scales_hold_their_values_and_stay_readable(top):
    scale = linear_scale(top)
    assert scale.ticks[-1] >= top * (1 - 1e-6) and 2 <= len(scale.ticks) <= 6
    assert scale.at(0) == 100 and scale.at(scale.ticks[-1]) == pytest.approx(0) and scale.at(1e9) == pytest.approx(0)


def test_log_scale_gives_fast_and_slow_packets_room():
    scale = log_scale(0.05, 50.0)
    assert scale.ticks == pytest.approx([0.1, 1.0, 10.0])
    assert scale.at(0.05) == pytest.approx(100) and scale.at(50) == pytest.approx(0)
    assert scale.at(1.0) - scale.at(10.0) == pytest.approx(100 / 3)
    assert scale.at(0.0) == pytest.approx(100), "nothing leaves the picture"


@pytest.mark.parametrize(("low", "high"), [(0, 1), (2, 1), (1, 1)])
def test_log_scale_refuses(low, high):
    with pytest.raises(ValueError, match="expected 0 < low < high"):
        log_scale(low, high)


def test_split_bar_is_in_proportion_and_names_are_text():
    svg = split_bar([("speech", 30.0), ("<dred>", 10.0), ("none", 0.0)])
    assert [(float(r["x"]), float(r["width"])) for r in elements(svg, "rect")] == [(0, 750), (750, 250), (1000, 0)]
    assert elements(split_bar([("nothing", 0.0)]), "rect")[0]["width"] == "0.00"


def test_labels_of_drawings_are_escaped():
    assert 'aria-label="&quot;&lt;b&gt;"' in line_chart([], 1, linear_scale(1), '"<b>')
    assert not re.search(r"<b>", line_chart([], 1, linear_scale(1), '"<b>'))
