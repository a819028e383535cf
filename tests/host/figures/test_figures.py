# SPDX-License-Identifier: BSD-2-Clause
"""What the figures measure and draw."""

import json
import re
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from evaluation_documents import METHODS, around, document
from figure_documents import cost, delays, policy, rates

from dredge_host.errors import CapabilityError, InputError, UsageError
from dredge_host.evaluation.results.document import goals, interval, measured, read_document
from dredge_host.evaluation.results.legend import METHODS as LEGEND
from dredge_host.evaluation.results.markdown import table
from dredge_host.evaluation.results.stats import Interval
from dredge_host.figures import bitrate, bitratedraw, charts, delay, encodercost, quality, style
from dredge_host.figures.plots import gap_won_back, write_plots
from dredge_host.sending.audio import bundled_clip, read_audio

drawing = pytest.mark.skipif(find_spec("matplotlib") is None, reason="needs matplotlib: dredge extras add report")


@pytest.fixture(scope="module")
def speech():
    with bundled_clip() as path:
        return read_audio(path).pcm[: 3 * 16000]


@pytest.fixture(scope="module")
def measured_rates(speech):
    return bitrate.measure([speech])


def texts(picture):
    return re.findall(r"<text[^>]*>([^<]*)</text>", picture.decode())


class TestDocuments:
    def test_every_method_of_the_evaluation_has_its_look(self):
        from dredge_host.evaluation.methods.methods import METHODS as EVALUATED

        assert list(LEGEND) == list(EVALUATED)
        assert len({look.colour for look in LEGEND.values()}) == len(LEGEND)

    def test_sources_and_methods_share_the_colours_of_the_run_report(self):
        from dredge_host.legend import SOURCES

        for source, method in (("lbrr", "lbrr"), ("dred", "dred"), ("plc", "plc"), ("conceal", "opus")):
            assert SOURCES[source].light == LEGEND[method].colour

    def test_an_interval_needs_three_numbers(self):
        assert interval({"plcmos": around(3.0, 0.5)}, "plcmos") == Interval(3.0, 2.5, 3.5)
        for broken in (None, {}, {"plcmos": 3.0}, {"plcmos": {"mean": 3.0}},
                       {"plcmos": {"mean": float("nan"), "low": 1.0, "high": 2.0}}):  # fmt: skip
            assert interval(broken, "plcmos") is None

    def test_goals_are_told_only_of_methods_that_were_measured(self):
        assert [name for name, *_ in goals(document()["summary"])] == ["plc", "dred", "dred_lbrr"]
        assert [name for name, *_ in goals(document(("clean", "opus", "dred"))["summary"])] == ["dred"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (None, "No such file"),
            ("{", "not a JSON file"),
            ("[1]", "schema dredge.evaluate/2, got none"),
            ('{"schema": "dredge.bench/1"}', "got dredge.bench/1"),
            ('{"schema": "dredge.evaluate/2", "summary": [{"text": "x"}]}', "each with its `method`"),
        ],
    )
    def test_what_is_no_result_is_refused_in_one_sentence(self, tmp_path, text, words):
        path = tmp_path / "result.json"
        if text is not None:
            path.write_text(text)
        with pytest.raises(InputError, match=words) as caught:
            read_document(path)
        assert str(path) in str(caught.value)

    def test_a_result_is_read_back(self, tmp_path):
        path = tmp_path / "result.json"
        path.write_text(json.dumps(document()))
        assert read_document(path) == document()

    def test_bars_inside_cells_do_not_break_a_table(self):
        assert table(["a"], [["b|c"]]).splitlines() == ["| a |", "| --- |", "| b\\|c |"]


@drawing
class TestDrawing:
    def test_the_same_data_give_the_same_bytes(self):
        assert style.svg(gap_won_back, document()) == style.svg(gap_won_back, document())

    def test_pictures_hold_no_date_and_no_version(self):
        picture = style.svg(gap_won_back, document()).decode()
        assert "<dc:date>" not in picture
        assert "matplotlib.org" not in picture

    def test_text_stays_text(self):
        shown = texts(style.svg(quality.draw, document()))
        for name in METHODS:
            assert LEGEND[name].text in shown
        assert "3.31 ± 0.13" in shown

    def test_quality_needs_plcmos(self):
        given = document(("clean", "opus"))
        for entry in given["summary"]:
            del entry["plcmos"]
        with pytest.raises(InputError, match="plcmos"):
            style.svg(quality.draw, given)

    def test_goals_in_plcmos_lie_on_the_way_from_classic_to_clean(self):
        marks = charts.plcmos_goals(document()["summary"])
        assert marks["dred"] == pytest.approx(2.82 + 0.81 * (3.55 - 2.82))
        assert charts.plcmos_goals(document(("clean", "dred"))["summary"]) == {}

    def test_every_plot_of_a_full_evaluation(self, tmp_path):
        paths = write_plots(tmp_path / "new", document())
        assert [p.name for p in paths] == [
            "plcmos.svg", "quality-against-bitrate.svg", "gap-won-back.svg", "gap-by-burst.svg", "gap-by-loss.svg",
            "word-errors.svg", "estoi.svg", "cepstral-distance.svg", "pitch-error.svg", "bitrate.svg",
        ]  # fmt: skip
        assert all(p.read_bytes().startswith(b"<?xml") for p in paths)

    def test_what_was_not_measured_is_left_out(self, tmp_path):
        given = document(("clean", "dred"))
        for entry in given["summary"]:
            for key in ("wer", "estoi", "gap_won_back"):
                entry.pop(key, None)
        assert [p.stem for p in write_plots(tmp_path, given)] == [
            "plcmos", "quality-against-bitrate", "cepstral-distance", "pitch-error", "bitrate"
        ]

    def test_silence_does_not_set_the_scale_of_the_gap(self):
        shown = texts(style.svg(gap_won_back, document()))
        assert "silence" not in shown and "DRED 1 s" in shown

    def test_without_matplotlib_it_says_how_to_get_it(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "matplotlib", None)
        with pytest.raises(CapabilityError, match=r"dredge extras add report"):
            write_plots(tmp_path, document())
        assert not list(tmp_path.iterdir())


class TestBitrate:
    def test_measured_rates_are_those_of_the_sender(self, measured_rates):
        found = measured_rates
        second = next(
            r for r in found["rows"] if (r["redundancy_s"], r["q0"], r["dq"]) == (1.0, *found["default"].values())
        )
        sent = next(r for r in found["split"] if r["method"] == "dred")["bitrate_bps"]
        assert second["dred_bps"] == pytest.approx(sent["dred"], rel=0.25)  # that one counts the first second too
        assert second["per_second_bps"] == pytest.approx(second["dred_bps"] / 50, abs=4)
        assert sent["speech"] == pytest.approx(24000, rel=0.1) and sent["headers"] == 16000

    def test_longer_costs_more_and_coarser_costs_less(self, measured_rates):
        rows = measured_rates["rows"]
        by = {(r["redundancy_s"], r["q0"], r["dq"]): r["bytes"] for r in rows}
        assert by[0.1, 5, 6] < by[0.2, 5, 6] < by[0.5, 5, 6] < by[1.0, 5, 6]
        assert by[1.0, 12, 6] < by[1.0, 9, 6] < by[1.0, 5, 6] < by[1.0, 3, 6]
        assert by[1.0, 5, 6] < by[1.0, 5, 3]

    def test_speech_too_short_for_a_history_is_refused(self):
        with pytest.raises(InputError, match=r"1\.1 s"):
            bitrate.measure([np.zeros(16000, np.int16)])

    def test_the_table_tells_what_is_held_and_what_is_missed(self):
        text = bitratedraw.markdown(rates())
        assert "- 1 s in every packet: 24.0 kb/s, goal 25: held." in text
        assert "- Per second of features: 480.0 b/s, goal 500: held." in text
        assert "not possible with any of these settings" in text  # 7.8 + 24.0
        rows = [{**r, "dred_bps": 26500, "per_second_bps": 530} for r in rates()["rows"]]
        text = bitratedraw.markdown(rates(rows=rows))
        assert "goal 25: missed by 1.5." in text and "goal 500: missed by 30.0." in text

    def test_the_best_speech_that_fits_is_named(self):
        rows = [{**r, "dred_bps": 15000 if r["q0"] == 12 else 24000} for r in rates()["rows"]]
        text = bitratedraw.markdown(rates(rows=rows))
        assert "possible with speech at 15.8 kb/s and q0 12, dQ 6: 30.8 kb/s" in text

    @drawing
    def test_the_picture_has_a_line_per_quantiser(self):
        shown = texts(style.svg(bitratedraw.draw, rates()))
        assert {"q0 5, dQ 6, default", "q0 12, dQ 6", "goal for 1 s"} <= set(shown)


class TestEncoderCost:
    def test_it_covers_100_ms_to_1_s(self, speech):
        found = encodercost.measure(speech, count=5)
        assert [r["redundancy_ms"] for r in found["rows"]] == list(range(100, 1001, 100))
        sizes = [r["bytes"] for r in found["rows"]]
        assert sizes == sorted(sizes) and sizes[0] < sizes[-1]
        assert found["ratio"] > 0 and found["schema"] == encodercost.SCHEMA

    def test_the_verdict_holds_the_ratio_against_the_goal(self):
        assert (
            "1 s costs 1.02 times the CPU of 100 ms, goal 1.1: held. 9 packets each; Made-up CPU."
            in encodercost.markdown(cost())
        )
        assert "1.30 times the CPU of 100 ms, goal 1.1: missed by 0.20." in encodercost.markdown(cost(1.3))

    @drawing
    def test_the_picture_names_ratio_and_goal(self):
        shown = " ".join(texts(style.svg(encodercost.draw, cost())))
        assert "1 s costs 1.02 of 100 ms (200 µs)" in shown and "goal for 1 s: 1.1" in shown


class TestDelay:
    def test_it_plays_every_policy_on_every_path(self, speech, monkeypatch):
        asked, told = [], []

        def run(pcm, loss, seed, progress=None, score=None):
            asked.append((len(pcm), loss, seed, score and score(pcm)))
            progress(1, 1)
            return [policy("fixed:100", 100.0, 70.0)]

        monkeypatch.setattr(delay, "run_policies", run)
        reached = lambda done, count: told.append((done, count))  # noqa: E731
        found = delay.measure(speech, ("10%", "5%"), 3, 30.0, reached, lambda pcm: len(pcm) / 160000)
        assert asked == [(480000, "10%", 3, 1.0), (480000, "5%", 3, 1.0)] and told == [(1, 2), (2, 2)]
        assert [(path["loss"], path["rows"][0]["policy"]) for path in found["paths"]] == [
            ("10%", "fixed:100"), ("5%", "fixed:100")]  # fmt: skip

    @pytest.mark.parametrize(("loss", "seconds"), [("150%", 10.0), ("10%", 0.0), ("10%", float("nan"))])
    def test_impossible_requests_are_refused_before_work(self, speech, loss, seconds):
        with pytest.raises(UsageError):
            delay.measure(speech, (loss,), 1, seconds)

    @drawing
    def test_every_path_has_its_panel_and_adaptive_its_name(self):
        shown = texts(style.svg(delay.draw, delays()))
        assert "harsh" in shown and "20s, none, harsh" in shown and shown.count("adaptive:60") == 2
        assert "PLCMOS of what is heard" in shown

    @drawing
    def test_without_a_judge_the_recovered_share_is_drawn(self):
        document = delays()
        for path in document["paths"]:
            path["rows"] = [{k: v for k, v in row.items() if k != "plcmos"} for row in path["rows"]]
        assert "lost packets that come back, %" in texts(style.svg(delay.draw, document))

    def test_the_tables_have_a_line_per_policy(self):
        lines = delay.markdown(delays()).splitlines()
        assert sum(line.startswith("| ") for line in lines) == 2 * (2 + 4)


def test_measured_keeps_the_order_of_the_rows():
    assert [name for name, _ in measured(document()["summary"], "wer")] == list(METHODS)
