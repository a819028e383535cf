# SPDX-License-Identifier: BSD-2-Clause
"""The plots of the benchmark, without the plotting library."""

import json
import sys
from pathlib import Path

import pytest
from bench_fakes import result

from dredge_host.errors import InputError

sys.path.append(str(Path(__file__).parents[3] / "scripts"))

import bench_plots


class Axes:
    """Remembers what it was told to draw."""

    def __init__(self):
        self.lines, self.marks = {}, []

    def plot(self, x, y, marker, label):
        self.lines[label] = (list(x), list(y))

    def axhline(self, y, **style):
        self.marks.append(y)

    def set(self, **labels):
        self.labels = labels


def test_redundancy_shows_milliseconds_of_three_costs():
    axes = Axes()
    bench_plots.redundancy(axes, result(1000.0)["redundancy"])
    assert len(axes.lines) == 3
    assert set(map(str, axes.lines.values())) == {"([1000], [2.0])"}
    assert axes.labels["yscale"] == "log"


def test_streams_show_the_period():
    axes = Axes()
    bench_plots.streams(axes, result(1000.0)["streams"])
    assert axes.lines == {"p50": ([1], [2.0]), "p99": ([1], [4.0])}
    assert axes.marks == [20]


def test_a_file_that_is_no_result_is_refused(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(InputError, match="cannot be read"):
        bench_plots.main(tmp_path / "none.json", tmp_path)


def test_two_pictures_are_written(tmp_path):
    pytest.importorskip("matplotlib")
    source = tmp_path / "result.json"
    source.write_text(json.dumps(result()))
    bench_plots.main(source, tmp_path)
    assert all((tmp_path / f"bench-{name}.svg").read_text().startswith("<?xml") for name in ("redundancy", "streams"))
