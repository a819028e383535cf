# SPDX-License-Identifier: BSD-2-Clause
"""The drawings of a saved benchmark, and the command that makes them."""

import json

import pytest
from bench_fakes import result
from click.testing import CliRunner

from dredge_host.cli.measure.figures import command
from dredge_host.errors import InputError
from dredge_host.figures.benchmark import redundancy, streams


class Axes:
    """Remembers what it was told to draw."""

    def __init__(self):
        self.lines, self.marks = {}, []

    def subplots(self):
        return self

    def plot(self, x, y, marker, label):
        self.lines[label] = (list(x), list(y))

    def axhline(self, y, **style):
        self.marks.append(y)

    def set(self, **labels):
        self.labels = labels

    def legend(self):
        pass


def test_redundancy_shows_milliseconds_of_three_costs():
    axes = Axes()
    redundancy(axes, result(1000.0))
    assert len(axes.lines) == 3
    assert set(map(str, axes.lines.values())) == {"([1000], [2.0])"}
    assert axes.labels["yscale"] == "log"


def test_streams_show_the_period():
    axes = Axes()
    streams(axes, result(1000.0))
    assert axes.lines == {"p50": ([1], [2.0]), "p99": ([1], [4.0])}
    assert axes.marks == [20]


def test_two_pictures_are_written(tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: dredge extras add report")
    source = tmp_path / "result.json"
    source.write_text(json.dumps(result()))
    done = CliRunner().invoke(command, ["bench", "--from", str(source), "--out", str(tmp_path / "new")])
    assert done.exit_code == 0, done.output
    names = ("redundancy", "streams")
    assert all((tmp_path / "new" / f"bench-{name}.svg").read_text().startswith("<?xml") for name in names)


def test_a_file_that_is_no_result_is_refused(tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: dredge extras add report")
    (tmp_path / "other.json").write_text("{}")
    words = ["bench", "--from", str(tmp_path / "other.json"), "--out", str(tmp_path)]
    assert isinstance(CliRunner().invoke(command, words).exception, InputError)
