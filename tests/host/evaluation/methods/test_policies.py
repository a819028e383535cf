# SPDX-License-Identifier: BSD-2-Clause
"""Playout policies: all meet the same losses; a longer delay recovers more; wrong ones are refused first."""

from types import SimpleNamespace

import numpy as np
import pytest
from trace_sets import SPEECH

from dredge_host.errors import InputError, UsageError
from dredge_host.evaluation.methods import policies
from dredge_host.evaluation.methods.policies import HEAD, POLICIES, head, run_policies, table_rows
from dredge_host.settings import Settings

LOSS = "burst:ms=200,every=800ms"


@pytest.fixture(scope="module")
def rows():
    told = []
    found = run_policies(
        SPEECH, LOSS, 3, ["fixed:60", "fixed:300", "adaptive:600"], progress=lambda *count: told.append(count)
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
    return {row["policy"]: row for row in found}


def test_a_delay_longer_than_the_bursts_recovers_them_all(rows):
    assert rows["fixed:300"]["recovered_pct"] == 100.0 and rows["fixed:300"]["predicted"] == 0
    assert 0.0 < rows["fixed:60"]["recovered_pct"] < 50.0 and rows["fixed:60"]["predicted"] > 0


def test_the_delay_is_that_of_the_policy(rows):
    for policy, wanted in (("fixed:60", 60), ("fixed:300", 300)):
        assert rows[policy]["mean_ms"] == rows[policy]["p95_ms"] == wanted
    assert 40 <= rows["adaptive:600"]["mean_ms"] < rows["adaptive:600"]["p95_ms"] <= 600


def test_every_lost_packet_is_somewhere(rows):
    assert len({row["lost_packets"] for row in rows.values()}) == 1  # the same losses for all
    for row in rows.values():
        recovered = round(row["recovered_pct"] * row["lost_packets"] / 100)
        assert recovered + row["predicted"] + row["given_up"] == row["lost_packets"] > 20


def fake_run(monkeypatch, frames, lost, delays_us=(20_000, 40_000)):
    result = {"loss": {"lost_packets": lost}, "frames": {"dred": 0, "lbrr": 0, "plc": 0, "conceal": 0, **frames}}
    asked = []

    def simulate(pcm, settings, sender):
        asked.append(settings)
        timeline = [(0, "opus", delay_us, 1.0) for delay_us in delays_us]
        return SimpleNamespace(pcm=[0, 0], result=result, timeline=timeline)

    monkeypatch.setattr("dredge_host.offline.simulate.simulate", simulate)
    return asked


def test_counts_become_shares(monkeypatch):
    fake_run(monkeypatch, {"dred": 5, "lbrr": 1, "plc": 3, "conceal": 2, "skipped": 1}, 12)
    (row,) = run_policies(SPEECH, "10%", 1, ["fixed:60"])
    assert row == {
        "policy": "fixed:60", "mean_ms": 30.0, "p95_ms": 39.0,
        "lost_packets": 12, "recovered_pct": 50.0, "predicted": 5, "given_up": 1,
    }  # fmt: skip


def test_without_losses_there_is_no_share(monkeypatch):
    fake_run(monkeypatch, {}, 0)
    (row,) = run_policies(SPEECH, "none", 1, ["fixed:60"])
    assert row["recovered_pct"] is None
    assert table_rows([row]) == [["fixed:60", "30 ms", "39 ms", "–", "0", "0"]]


def test_with_a_judge_every_policy_has_a_score(monkeypatch):
    fake_run(monkeypatch, {}, 1)
    rows = run_policies(SPEECH, "10%", 1, ["fixed:60", "adaptive:300"], score=lambda pcm: 3.25 + len(pcm))
    assert [row["plcmos"] for row in rows] == [5.25, 5.25]
    assert head(rows) == (*HEAD, "PLCMOS") and head([]) == HEAD
    assert all(cells[-1] == "5.25" and len(cells) == len(HEAD) + 1 for cells in table_rows(rows))


def test_the_other_settings_are_the_callers(monkeypatch):
    asked = fake_run(monkeypatch, {}, 1)
    run_policies(SPEECH, "10%", 4, ["fixed:80", "adaptive:300"], Settings(lbrr=True, bitrate=16000, loss="5%"))
    assert [(s.loss, s.seed, s.lbrr, s.bitrate, s.playout_ms, s.adaptive) for s in asked] == [
        ("10%", 4, True, 16000, 80, False),
        ("10%", 4, True, 16000, 300, True),
    ]


def test_a_wrong_policy_is_refused_before_any_runs(monkeypatch):
    asked = fake_run(monkeypatch, {}, 1)
    with pytest.raises(UsageError):
        run_policies(SPEECH, "10%", 1, ["fixed:60", "sometimes:60"])
    assert asked == []


def test_no_speech():
    with pytest.raises(InputError, match="no audio"):
        run_policies(np.zeros(0, np.int16), "10%", 1, ["fixed:60"])


def test_the_table_has_a_line_for_each(rows):
    cells = table_rows(list(rows.values()))
    assert all(len(line) == len(HEAD) for line in cells)
    assert cells[1] == ["fixed:300", "300 ms", "300 ms", "100.0 %", "0", "0"]


def test_the_usual_policies_are_all_understood():
    assert len(set(POLICIES)) == len(POLICIES)
    for policy in POLICIES:
        assert policies.parse_playout(policy)[1] > 0
