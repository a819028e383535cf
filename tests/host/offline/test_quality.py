# SPDX-License-Identifier: BSD-2-Clause
"""Scores by the metrics that are installed, and the sentence about what a run gained."""

from __future__ import annotations

import numpy as np
import pytest

from dredge_host.errors import CapabilityError
from dredge_host.offline import quality

PCM = (3000 * np.sin(np.arange(32000) / 9)).astype(np.int16)
RESULT = {
    "frames": {"by_source": {"opus": 80, "lbrr": 5, "dred": 14, "plc": 1}},
    "stream": {"loss": {"lost_packets": 20}, "playout_ms": 1000, "bitrate_bps": {"speech": 24000.0, "dred": 26000.0}},
    "cpu": {"mean_us": 500, "period_us": 20000},
}
SCORES = {"clean": 4.0, "dred": 3.5, "opus": 3.0}


def fake(scores):
    """A loader of a judge that gives each signal, known by its first sample, its score."""
    return lambda: lambda original, pcm: scores[int(pcm[0])]


def without(name):
    def load():
        raise CapabilityError(f"{name} is not installed")

    return load


def test_every_condition_has_a_score_by_every_metric_that_is_there(monkeypatch):
    monkeypatch.setattr(quality, "_plcmos", fake({1: 3.123456, 2: 4.0}))
    monkeypatch.setattr(quality, "_estoi", fake({1: 0.9, 2: None}))
    seen = []
    played = {"a": np.full(900, 1, np.int16), "b": np.full(900, 2, np.int16)}
    found = quality.measure(np.zeros(800, np.int16), played, step=lambda *at: seen.append(at))
    assert found == {"missing": [], "plcmos": {"a": 3.1235, "b": 4.0}, "estoi": {"a": 0.9, "b": None}}
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert quality.line(found, "a") == "PLCMOS 3.12, ESTOI 0.900"
    assert quality.line(found, "b") == "PLCMOS 4.00"


def test_a_metric_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(quality, "_plcmos", without("speechmos"))
    monkeypatch.setattr(quality, "_estoi", without("pystoi"))
    found = quality.measure(PCM, {"a": PCM})
    assert found == {"missing": ["speechmos is not installed", "pystoi is not installed"]}
    assert quality.line(found, "a").endswith("dredge extras add metrics")


def test_without_an_original_only_a_metric_that_needs_none_judges(monkeypatch):
    monkeypatch.setattr(quality, "_plcmos", fake({0: 2.0}))
    monkeypatch.setattr(quality, "_estoi", without("pystoi"))
    assert quality.measure(None, {"a": PCM}) == {"missing": [], "plcmos": {"a": 2.0}}


def test_estoi_of_a_signal_with_itself_is_one():
    pytest.importorskip("pystoi", reason="needs pystoi: dredge extras add metrics")
    noise = np.random.default_rng(1).integers(-9000, 9000, 32000).astype(np.int16)
    assert quality.measure(noise, {"a": noise})["estoi"]["a"] == pytest.approx(1.0)


def test_the_share_won_back_counts_from_classic_concealment():
    assert quality.won_back(SCORES) == pytest.approx(0.5)
    assert quality.won_back({**SCORES, "opus": 4.0}) is None
    assert quality.won_back({"dred": 3.0}) is None


def test_the_sentence_says_what_came_back_how_it_sounds_and_what_it_cost():
    assert quality.gain({**RESULT, "quality": {"plcmos": SCORES}}) == (
        "19 of 20 lost packets (0.4 s of speech) were rebuilt, 14 from DRED and 5 from the low-rate copy; PLCMOS is "
        "3.50 instead of 3.00 with Opus' own concealment (4.00 without loss); the price is 1 s of delay, 26.0 kb/s "
        "and 2.5 % of a core."
    )


def test_the_sentence_takes_estoi_without_plcmos_and_leaves_quality_out_without_both():
    estoi = quality.gain({**RESULT, "quality": {"estoi": {"clean": 1.0, "dred": 0.9, "opus": 0.8}}})
    assert "; ESTOI is 0.900 instead of 0.800" in estoi
    bare = quality.gain({**RESULT, "cpu": {}, "quality": {"missing": ["x"]}})
    assert bare.endswith("from the low-rate copy; the price is 1 s of delay, 26.0 kb/s.")


def test_nothing_lost_is_said():
    nothing = {**RESULT, "stream": {**RESULT["stream"], "loss": {"lost_packets": 0}}}
    assert quality.gain(nothing) == "Nothing was lost, so there was nothing to rebuild."


def test_a_first_run_without_metrics_says_so_in_one_line() -> None:
    both = {"missing": ["PLCMOS needs onnxruntime; run …", "ESTOI needs pystoi; run …"]}
    assert quality.unmeasured(both) == ["quality  not measured; install the metrics: dredge extras add metrics"]
    assert quality.unmeasured({"plcmos": {"dred": 3.0}, "missing": both["missing"][1:]}) == both["missing"][1:]
    assert quality.unmeasured({"plcmos": {}, "estoi": {}, "missing": []}) == []
