# SPDX-License-Identifier: BSD-2-Clause
"""Ways of sending are compared at one bit rate, through the same losses, and a finished run is not done again."""

import numpy as np
import pytest
from evaluate_fakes import SPEECH, known_judges

from dredge_host.errors import UsageError
from dredge_host.evaluation.material.clips import Clip
from dredge_host.evaluation.material.plan import Plan
from dredge_host.evaluation.methods.steered import SteeredSender
from dredge_host.evaluation.running import lightloss
from dredge_host.evaluation.running.cache import Cache
from dredge_host.offline.simulate import simulate
from dredge_host.settings import Settings

PLAN = Plan(scores=("plcmos", "estoi"), recogniser=None)
CLIPS = [Clip("a", "a", SPEECH), Clip("b", "b", SPEECH[1600:])]


@pytest.fixture
def known(monkeypatch):
    monkeypatch.setattr(lightloss, "load_judges", known_judges)


def test_every_way_takes_the_whole_rate():
    rates = lightloss.speech_rates(75_000, 20_000)
    assert rates == {"lbrr": 39333, "dred": 39000, "dred_lbrr": 26000, "auto": 26000}
    with pytest.raises(UsageError, match=r"the cap is 44000 b/s.*leave 5333 b/s for the speech"):
        lightloss.speech_rates(44_000, 20_000)


def test_all_ways_meet_the_same_losses_at_the_same_rate(known, tmp_path, monkeypatch):
    store = Cache(tmp_path)
    document = lightloss.run(CLIPS, PLAN, losses=("20%",), store=store)
    rows = {row["way"]: row for row in document["rows"]}
    assert set(rows) == set(lightloss.WAYS) and len({row["loss_pct"] for row in rows.values()}) == 1
    for way in ("lbrr", "dred", "dred_lbrr"):
        assert rows[way]["bitrate_total_bps"] == pytest.approx(75_000, rel=0.1), way
    sources = {way: {name for name, count in row["frames"].items() if count} for way, row in rows.items()}
    assert "dred" not in sources["lbrr"] and "lbrr" not in sources["dred"] and {"lbrr", "dred"} <= sources["dred_lbrr"]
    assert all(len(values) == len(CLIPS) for row in rows.values() for values in row["scores"].values())
    lines = lightloss.table_rows(document)
    assert [line[:2] for line in lines] == [["20 % at random", "PLCMOS"], ["", "ESTOI"], ["", "kb/s"]]
    assert all(len(line) == len(lightloss.HEAD) for line in lines)

    monkeypatch.setattr(lightloss, "simulate", None)  # whatever is found need not be computed
    assert lightloss.run(CLIPS, PLAN, losses=("20%",), store=store) == document
    with pytest.raises(TypeError):
        lightloss.run(CLIPS, PLAN, losses=("10%",), store=store)


def test_a_comparison_is_with_the_better_of_the_two_and_counts_clips():
    scores = {"lbrr": [3.0, 3.0, 3.0], "dred": [3.2, 2.0, 3.2], "dred_lbrr": [3.05, 2.8, 3.5], "auto": [3.0, 3.0, 3.0]}
    rows = {
        way: {"loss": "5%", "loss_pct": 5.0, "way": way, "scores": {"plcmos": values}} for way, values in scores.items()
    }
    found = lightloss.compare(rows, 1)
    assert found["better"] == "lbrr"
    assert found["dred_lbrr"]["mean"] == pytest.approx(0.1167, abs=1e-4)
    assert (found["dred_lbrr"]["worse"], found["dred_lbrr"]["better"]) == (1, 1)
    assert found["auto"] == {"mean": 0.0, "low": 0.0, "high": 0.0, "worse": 0, "better": 0}
    assert found["dred_lbrr"]["low"] < found["dred_lbrr"]["mean"] < found["dred_lbrr"]["high"]


def test_losses_are_called_what_they_are():
    assert [lightloss.called(loss) for loss in lightloss.LOSSES[::4]] == [
        "no loss", "20 % at random", "20 % in bursts of 4",
    ]  # fmt: skip


def test_the_receiver_steers_the_sender_offline():
    settings = Settings(bitrate=24000, redundancy_s=1.0, lbrr=True, playout_ms=100)
    sender = SteeredSender(settings, 75_000)
    pcm = np.tile(SPEECH, 3)
    played = simulate(pcm, settings, sender=sender, receiver_factory=sender.listen)
    assert [entry["redundancy_s"] for entry in sender.log][:2] == [0.8, 0.64] and sender.log[0]["t_s"] == 1.0
    assert sender.log[-1]["speech_bps"] > 24000 and "nothing lost" in sender.log[0]["why"]
    assert len(played.pcm) == len(pcm) and played.result["frames"]["opus"] == played.result["packets"]
