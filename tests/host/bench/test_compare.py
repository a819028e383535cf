# SPDX-License-Identifier: BSD-2-Clause
"""Results of the benchmark as tables, compared with earlier ones, and the verb itself."""

import json

import pytest
from bench_fakes import result, times
from click.testing import CliRunner

from dredge_host.bench import bench
from dredge_host.bench.compare import compare, compare_lines, read_result, slower
from dredge_host.bench.table import lines
from dredge_host.cli.measure import bench as cli_bench
from dredge_host.errors import CheckFailed, InputError, UsageError


def test_tables_hold_every_section():
    text = "\n".join(lines(result()))
    for words in (
        "features", "20 ms", "live, 20%", "p99 is 0.0 % of the period, 0 frames late", "first 20 ms, warm",
        "all 1000 ms, cold", "1.010 times that with 100 ms", "62.0", "p99 within 20 ms", "Raspberry Pi 4", "1500 MHz",
        "governor ondemand", "51 °C", "not throttled", "scalar kernels, a-1, b-2", "libopus 1.3.1",
    ):  # fmt: skip
        assert words in text, words


def test_tables_leave_out_what_was_not_measured():
    only = {key: value for key, value in result().items() if key not in ("live", "burst", "redundancy", "streams")}
    text = "\n".join(lines(only))
    assert "features" in text and "live" not in text and "streams" not in text


def test_unknown_facts_and_throttling_are_said():
    machine = {**result()["machine"], "board": None, "clock_mhz": None, "throttling": ["under-voltage now"]}
    assert lines(result(machine=machine))[-2] == "x, clock unknown, governor ondemand, 51 °C, under-voltage now"
    assert "throttling unknown" in lines(result(machine={**machine, "throttling": None}))[-2]


def test_comparison_gives_ratios_of_what_both_have():
    rows = compare(result(), result(1.5))["rows"]
    assert {row["ratio"] for row in rows} == {1.5}
    assert [row["figure"] for row in rows] == [
        "features, best", "features, paced", "live frame, p50", "live frame, p99",
        "first 20 ms after a gap, warm", "whole gap, warm", "first 20 ms after a gap, cold", "whole gap, cold",
        "1 streams, p50",
    ]  # fmt: skip
    assert rows[0] == {"figure": "features, best", "old_us": 1.0, "new_us": 1.5, "ratio": 1.5}
    assert compare(result(stages=[], burst={}, streams=[]), result(2.0))["rows"] == rows_like(2.0)


def rows_like(scale):
    return [
        {"figure": "live frame, p50", "old_us": 2.0, "new_us": 2 * scale, "ratio": scale},
        {"figure": "live frame, p99", "old_us": 4.0, "new_us": 4 * scale, "ratio": scale},
    ]


def test_a_figure_that_was_zero_has_no_ratio():
    old = result()
    old["streams"] = [{"streams": 1, "cpu_us": times(0), "real_time": True}]
    assert all("streams" not in row["figure"] for row in compare(old, result())["rows"])


def test_other_set_ups_are_pointed_out():
    machine = {**result()["machine"], "governor": "performance"}
    comparison = compare(result(), result(simd_level="neon", machine=machine))
    assert comparison["differences"] == ["simd_level: scalar -> neon", "governor: ondemand -> performance"]
    assert compare_lines(comparison)[0] == "not the same: simd_level: scalar -> neon"
    assert compare(result(), result())["differences"] == []


@pytest.mark.parametrize(("scale", "count"), [(1.09, 0), (1.11, 9), (0.5, 0)])
def test_slower_is_what_grew_beyond_the_tolerance(scale, count):
    assert len(slower(compare(result(), result(scale)), 10)) == count


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        ("{", "got something else"),
        ("[]", "expected schema dredge.bench/2, got None"),
        ('{"schema": "dredge.bench/1"}', "got dredge.bench/1: measure again"),
        ("[" * 100_000, "got something else|nested too deeply"),
        ('{"schema": "dredge.bench/2"}', "a section is damaged"),
        ('{"schema": "dredge.bench/2", "machine": [], "stages": []}', "a section is damaged"),
        ('{"schema": "dredge.bench/2", "machine": {}, "stages": [{"stage": "opus"}]}', "a section is damaged"),
        ('{"schema": "dredge.bench/2", "machine": {}, "live": {"cpu_us": {"p50": "1", "p99": 2}}}',
         "live frame, p50: expected microseconds"),
        ('{"schema": "dredge.bench/2", "machine": {}, "live": {"cpu_us": {"p50": NaN, "p99": 2}}}', "live frame, p50"),
    ],
)
def test_a_file_that_is_no_result_is_refused(content, words, tmp_path):
    path = tmp_path / "old.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_result(path)


@pytest.fixture
def verb(monkeypatch, tmp_path):
    """`dredge bench` with a benchmark that takes no time; returns (run, what it was asked for)."""
    asked = []

    def fake(pcm, effort, progress, only):
        asked.append((effort, tuple(only)))
        progress(1, 2)
        return result(1.5)

    monkeypatch.setattr(bench, "bench", fake)
    old = tmp_path / "old.json"
    old.write_text(json.dumps(result()))

    def run(*arguments):
        return CliRunner().invoke(cli_bench.command, [argument.replace("OLD", str(old)) for argument in arguments])

    return run, asked


def test_verb_prints_json_with_the_comparison(verb):
    run, asked = verb
    done = run("--quick", "--json", "--compare", "OLD")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["comparison"]["rows"][0]["ratio"] == 1.5
    assert asked == [(bench.QUICK, bench.SECTIONS)]


def test_verb_fails_when_figures_grew(verb):
    done = verb[0]("--compare", "OLD", "--tolerance", "20")
    assert isinstance(done.exception, CheckFailed)
    assert "slower by more than 20 %: features, best (1.50)" in str(done.exception)
    assert "new / old" in done.stdout
    assert verb[0]("--compare", "OLD", "--tolerance", "60").exit_code == 0


def test_verb_runs_chosen_sections_and_checks_its_options(verb):
    run, asked = verb
    assert run("--only", "burst", "--only", "live").exit_code == 0
    assert asked == [(bench.Effort(), ("burst", "live"))]
    assert isinstance(run("--tolerance", "5").exception, UsageError)
    assert run("--only", "nothing").exit_code == 2
    assert tuple(cli_bench.SECTION.choices) == bench.SECTIONS
