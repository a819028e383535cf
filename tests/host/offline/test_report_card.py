# SPDX-License-Identifier: BSD-2-Clause
"""The report card: every figure is there, adds up, and fits one screen."""

import json

import pytest
from click.testing import CliRunner

from dredge_host.cli.main import cli
from dredge_host.errors import CapabilityError
from dredge_host.evaluation.judging import plcmos
from dredge_host.offline.report_card import lines, report_card
from dredge_host.sending.audio import bundled_clip, read_audio


@pytest.fixture(scope="module")
def card():
    def missing(threads=1):
        raise CapabilityError("PLCMOS needs onnxruntime (not here); run `dredge extras add metrics`")

    with pytest.MonkeyPatch.context() as patch, bundled_clip() as path:
        patch.setattr(plcmos, "Plcmos", missing)
        said = []
        made = report_card(read_audio(path).pcm[:64000], "gilbert:rate=20%,burst=5,max=15", 1000,
                           say=lambda *words: said.append(words))  # fmt: skip
    assert [done for _, done, _ in said] == sorted(done for _, done, _ in said) and said[-1][1] == said[-1][2]
    return made


def test_dred_recovers_what_packets_describe_and_classic_nothing(card):
    receivers = card["receiver"]
    assert set(receivers) == {"classic", "standard", "small"}
    assert receivers["classic"]["recovered"] == 0
    for name in ("standard", "small"):
        assert receivers[name]["recovered_pct"] == 100.0 and receivers[name]["coverable"] > 10
        assert receivers[name]["load_pct"] == pytest.approx(receivers[name]["cpu_us"]["mean"] / 200, abs=0.01)
        periods = sum(times["periods"] for times in receivers[name]["by_source_us"].values())
        assert periods == card["loss"]["packets"]
    assert card["bitrate_bps"]["dred"] > 10_000 and card["memory_kb"]["peak"] >= card["memory_kb"]["before"] > 0
    assert card["sender_us_per_packet"]["with"] > 0


def test_it_fits_one_screen_and_says_what_is_missing(card):
    text = lines(card)
    assert len(text) <= 30 and max(map(len, text)) <= 130
    joined = "\n".join(text)
    for words in ("What DRED costs", "What it recovers", "kb/s", "100.0 %", "dredge extras add metrics"):
        assert words in joined
    json.dumps(card, allow_nan=False)


def test_adaptive_playout_is_refused():
    done = CliRunner().invoke(cli, ["report-card", "--playout", "adaptive"])
    assert done.exit_code == 2 and "expected fixed:<ms>" in done.output
