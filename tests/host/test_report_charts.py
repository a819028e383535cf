# SPDX-License-Identifier: BSD-2-Clause
"""The drawings: runs, thinning that keeps peaks, histogram marks, proportions."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_host.report.charts import (
    MAX_POINTS,
    SOURCES,
    Row,
    gap_strip,
    histogram,
    line_chart,
    runs,
    source_strip,
    split_bar,
)


def rows_of(sources):
    return [Row(i, s, None, None) for i, s in enumerate(sources)]


def rects(svg):
    return [r.attrib for r in ElementTree.fromstring(svg).iter("rect")]


@given(st.lists(st.sampled_from(SOURCES), max_size=60))
def test_runs_cover_every_packet_once_and_never_touch_alike(sources):
    joined = runs(rows_of(sources))
    assert [r.source for r in joined for _ in range(r.start, r.end)] == sources
    for left, right in pairwise(joined):
        assert left.end == right.start and left.source != right.source


def test_runs_stop_at_missing_packets():
    rows = [Row(0, "dred", None, None), Row(2, "dred", None, None)]
    assert [(r.start, r.end) for r in runs(rows)] == [(0, 1), (2, 3)]


def test_strips_have_packet_coordinates():
    rows = rows_of(["silence", "opus", "dred", "dred", "plc", "opus"])
    got = [(r["class"], r["x"], r["width"]) for r in rects(source_strip(rows, 6))]
    assert got == [("s-silence", "0", "1"), ("s-opus", "1", "1"), ("s-dred", "2", "2"),
                   ("s-plc", "4", "1"), ("s-opus", "5", "1")]  # fmt: skip
    assert [r["class"] for r in rects(gap_strip(rows, 6, True))] == ["s-dred", "s-plc"]
    assert [r["class"] for r in rects(gap_strip(rows, 6, False))] == ["gap", "gap"]


def test_thinning_keeps_the_worst_frame():
    points = [(float(i), 1.0) for i in range(20 * MAX_POINTS)]
    points[12345] = (12345.0, 19.0)
    svg = line_chart(points, len(points), 20.0, "CPU")
    path = re.search(r'd="([^"]+)"', svg).group(1)
    heights = [float(v) for v in re.findall(r"[ML]\S+ (\S+)", path)]
    assert len(heights) <= MAX_POINTS
    assert min(heights) == pytest.approx(5.0)


def test_limit_line_only_when_it_is_in_the_picture():
    assert 'class="limit"' in line_chart([(0, 1)], 10, 21.0, "x", limit=20.0)
    assert 'class="limit"' not in line_chart([(0, 1)], 10, 5.0, "x", limit=20.0)


def test_histogram_places_marks_on_the_scale_of_the_bars():
    svg = histogram([0, 10, 20], [1, 4], [("p50", 10.0), ("period", 40.0)])
    bars = [(float(r["x"]), float(r["width"]), float(r["height"])) for r in rects(svg)]
    assert bars == [(0, 250, 50), (250, 250, 100)]  # square root: 1 of 4 is half as high
    paths = [(p.attrib["class"], p.attrib["d"]) for p in ElementTree.fromstring(svg).iter("path")]
    assert paths == [("mark", "M250.00 0 L250.00 100"), ("limit", "M1000.00 0 L1000.00 100")]


@pytest.mark.parametrize(("edges", "counts"), [([0, 1], []), ([0, 1], [1, 2]), ([], [])])
def test_histogram_needs_matching_edges(edges, counts):
    with pytest.raises(ValueError, match="counts need"):
        histogram(edges, counts, [])


def test_split_bar_is_in_proportion():
    svg = split_bar([("speech", 30.0), ("<dred>", 10.0), ("none", 0.0)])
    assert [(float(r["x"]), float(r["width"])) for r in rects(svg)] == [
        (0, 750),
        (750, 250),
        (1000, 0),
    ]
    assert rects(split_bar([("nothing", 0.0)]))[0]["width"] == "0.00"
