# SPDX-License-Identifier: BSD-2-Clause
"""`dredge figures` from the outside."""

import json
import sys
from importlib.util import find_spec

import pytest
from click.testing import CliRunner
from evaluation_documents import document
from figure_documents import cost, delays, rates

from dredge_host.cli.main import cli

pytestmark = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs matplotlib: dredge extras add report")


def run(*words):
    return CliRunner().invoke(cli, ["figures", *map(str, words)])


def saved(folder, content):
    path = folder / "saved.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("bitrate", rates(), "goal 25: held."),
        ("encoder-cost", cost(), "goal 1.1: held."),
        ("delay", delays(), "| fixed:1000 | 1000 ms |"),
    ],
)
def test_saved_data_are_drawn_and_told_again(tmp_path, name, content, words):
    done = run(name, "--from", saved(tmp_path, content), "--out", tmp_path / "new" / "folder")
    assert done.exit_code == 0, done.output
    assert words in done.output
    made = tmp_path / "new" / "folder"
    assert sorted(p.name for p in made.iterdir()) == [f"figure-{name}.md", f"figure-{name}.svg"]
    assert words in (made / f"figure-{name}.md").read_text()


def test_json_is_the_data_alone(tmp_path):
    done = run("quality", "--from", saved(tmp_path, document()), "--out", tmp_path, "--json")
    assert json.loads(done.output) == document()
    assert (tmp_path / "figure-quality.svg").is_file()


def test_the_scenario_is_simulated_and_its_data_draw_the_same_picture(tmp_path):
    first = run("scenario", "--out", tmp_path / "a", "--burst", 100, "--json")
    assert json.loads(first.output)["burst_ms"] == 100
    again = run("scenario", "--from", saved(tmp_path, json.loads(first.output)), "--out", tmp_path / "b")
    assert again.exit_code == 0, again.output
    pictures = [(tmp_path / folder / "figure-scenario.svg").read_bytes() for folder in "ab"]
    assert pictures[0] == pictures[1]


def test_plots_and_page_of_a_saved_evaluation(tmp_path):
    source = saved(tmp_path, document(("clean", "opus", "dred")))
    assert len(run("plots", "--from", source, "--out", tmp_path / "plots").output.split()) == 10
    done = run("page", "--from", source, "--out", tmp_path / "page.html")
    assert done.output.strip() == str(tmp_path / "page.html")
    assert "Dredge: evaluation of 3 methods" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("quality",), "--from or --speech is needed"),
        (("encoder-cost", "--packets", "0"), "packets is 0, expected 1 or more"),
        (("scenario", "--burst", "5"), "burst is 5 ms, expected 20 to 1000 ms"),
        (("bitrate", "--clips", "-1"), "clips is -1 and seconds 12, expected 0 (all) or more"),
        (("delay", "--loss", "lots"), "loss"),
    ],
)
def test_impossible_requests_end_with_2_and_leave_nothing(tmp_path, words, told):
    done = run(*words, "--out", tmp_path)
    assert done.exit_code == 2
    assert told in done.output
    assert not list(tmp_path.iterdir())


def test_data_of_another_figure_are_refused(tmp_path):
    done = run("delay", "--from", saved(tmp_path, cost()), "--out", tmp_path / "out")
    assert done.exit_code == 2 and "expected a document of schema dredge.figure.delay/2" in done.output


def test_without_matplotlib_nothing_is_measured(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run("encoder-cost", "--out", tmp_path)
    assert done.exit_code == 5 and "dredge extras add report" in done.output


def test_help_names_every_figure():
    done = run("--help")
    for name in ("scenario", "quality", "bitrate", "encoder-cost", "delay", "plots", "page", "dredge evaluate"):
        assert name in done.output
