# SPDX-License-Identifier: BSD-2-Clause
"""The closed loop: what it asks for, when, and why."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dredge_host.sending.adaptive_redundancy import (
    ENOUGH_BPS,
    IDLE_S,
    LONG,
    MEMORY_REPORTS,
    MOST_BPS,
    REMEMBERED_REPORTS,
    AutoRedundancy,
    estimated_bps,
    usual_cap_bps,
)
from dredge_host.sending.sender import LBRR_RATE_FACTOR, BitrateMeter, Split
from dredge_models.dred import Q0

SPEECH_BPS = 24_000


class Steered:
    """What AutoRedundancy changes of a sender."""

    def __init__(self, redundancy_s: float = 1.0, q0: int = Q0, lbrr: bool = False) -> None:
        self.redundancy_s, self.q0, self.lbrr = redundancy_s, q0, lbrr
        self.bitrate = SPEECH_BPS

    def steer(self, bitrate: int, lbrr: bool) -> None:
        self.bitrate, self.lbrr = bitrate, lbrr


def meter(speech: int = 60) -> BitrateMeter:
    made = BitrateMeter()
    for _ in range(50):
        made.add(Split(speech, 0, 60, 40))
    return made


def run(reports, cap: int | None = 0, playout_ms: int = 1000, lbrr: bool = False):
    sender = Steered(lbrr=lbrr)
    auto = AutoRedundancy(sender, playout_ms, cap)  # type: ignore[arg-type]
    for second, report in enumerate(reports):
        auto.consider(float(second), report, meter())
    return sender, auto


def test_without_loss_the_history_shrinks_to_a_minimum() -> None:
    sender, auto = run([{"bursts": {}}] * 15)
    assert sender.redundancy_s == pytest.approx(IDLE_S)
    lengths = [entry["redundancy_s"] for entry in auto.log]
    assert lengths == sorted(lengths, reverse=True) and lengths[0] == pytest.approx(0.8)
    assert "nothing lost" in auto.log[-1]["why"]


@pytest.mark.parametrize("bursts", [{}, {"1": 40}, {"1": 40, "3": 1}])
def test_with_lbrr_no_history_is_sent_while_packets_are_lost_alone(bursts) -> None:
    sender, auto = run([{"bursts": {}}, *[{"bursts": bursts}] * 24], lbrr=True)
    assert sender.redundancy_s == 0.0
    assert ("LBRR has them" in auto.log[-1]["why"]) == bool(bursts) or "nothing lost" in auto.log[-1]["why"]


def test_with_lbrr_bursts_bring_the_history_back_at_once() -> None:
    sender, _ = run([{"bursts": {"1": 3 * n}} for n in range(1, 20)] + [{"bursts": {"1": 60, "6": 5}}], lbrr=True)
    assert sender.redundancy_s == pytest.approx(0.16)


def test_the_first_long_burst_brings_it_back_at_once() -> None:
    sender, auto = run([{"bursts": {}}] * 15 + [{"bursts": {"12": 1}}])
    assert sender.redundancy_s == pytest.approx(0.28)
    assert "bursts up to 240 ms hold 100 % of 12 lost packets" in auto.log[-1]["why"]


def test_it_covers_the_bursts_that_matter_and_not_the_rare_giant() -> None:
    sender, _ = run([{"bursts": {"2": 500, "40": 1}}] * 12)
    assert sender.redundancy_s == pytest.approx(IDLE_S, abs=0.05)
    sender, _ = run([{"bursts": {"2": 10, "40": 10}}] * 12)
    assert sender.redundancy_s == pytest.approx(0.84)


def test_frames_that_were_too_old_ask_for_everything() -> None:
    sender, auto = run([{"bursts": {"3": 4}, "reasons": {"gap longer than redundancy": 7}}])
    assert sender.redundancy_s == pytest.approx(1.0) or "older than the history" in auto.log[-1]["why"]


def test_history_beyond_the_playout_delay_is_of_no_use() -> None:
    sender, _ = run([{"bursts": {"40": 5}}] * 12, playout_ms=300)
    assert sender.redundancy_s == pytest.approx(0.3)


def test_short_bursts_are_soon_forgotten_and_long_ones_after_minutes() -> None:
    seconds = MEMORY_REPORTS + 25  # counts are cumulative: nothing new after the first
    sender, _ = run([{"bursts": {str(LONG - 1): 3}}] * seconds)
    assert sender.redundancy_s == pytest.approx(IDLE_S)
    sender, _ = run([{"bursts": {"20": 3}}] * seconds)
    assert sender.redundancy_s == pytest.approx(0.44)
    sender, _ = run([{"bursts": {"20": 3}}] * (REMEMBERED_REPORTS + 25))
    assert sender.redundancy_s == pytest.approx(IDLE_S)


def test_a_burst_every_half_minute_finds_history() -> None:
    """A path that loses 300 ms now and then, under the usual cap: every burst but the first is covered."""
    sender = Steered(lbrr=True)
    auto = AutoRedundancy(sender, 1000)  # type: ignore[arg-type]
    bursts, covered = 0, []
    for second in range(240):
        if second % 30 == 29:
            bursts += 1
            covered.append(sender.redundancy_s >= 0.3)
        auto.consider(float(second), {"bursts": {"15": bursts}}, meter())
    assert len(covered) == 8 and all(covered[1:])


def test_packets_lost_alone_do_not_make_it_forget_a_burst() -> None:
    few, many = ([{"bursts": {"16": 1, "1": n // each}} for n in range(60)] for each in (10, 1))
    sender, _ = run([{"bursts": {}}, *few], None, lbrr=True)
    assert sender.redundancy_s == pytest.approx(0.36) and not sender.lbrr
    sender, _ = run([{"bursts": {}}, *many], None, lbrr=True)  # here they cost more than another burst would
    assert sender.redundancy_s == 0.0 and sender.lbrr


def test_by_default_it_spends_what_one_second_takes() -> None:
    cap = usual_cap_bps(SPEECH_BPS, True)
    fixed = LBRR_RATE_FACTOR * SPEECH_BPS + 16_000 + estimated_bps(1.0, Q0)
    assert fixed <= cap < fixed + 1001
    for reports in (SINGLE, LONGER, [{"bursts": {}}] * 30):
        sender, _ = run(reports, None, lbrr=True)
        factor = LBRR_RATE_FACTOR if sender.lbrr else 1.0
        history = estimated_bps(sender.redundancy_s, sender.q0) if sender.redundancy_s else 0
        assert cap - factor * 1001 < factor * sender.bitrate + 16_000 + history <= cap or sender.bitrate == MOST_BPS
        assert sender.bitrate > SPEECH_BPS and sender.q0 == Q0
    assert usual_cap_bps(SPEECH_BPS, False) == cap - 12_000


def test_a_cap_makes_the_quantiser_coarser_and_then_the_history_shorter() -> None:
    lossy = [{"bursts": {"45": n}} for n in range(1, 12)]
    free, _ = run(lossy)
    assert free.redundancy_s == pytest.approx(0.94) and free.q0 == Q0
    coarse, _ = run(lossy, cap=60_000)
    assert coarse.redundancy_s == pytest.approx(0.94) and coarse.q0 > Q0
    short, auto = run(lossy, cap=48_000)
    assert short.redundancy_s < 0.7 and "allows no more" in auto.log[-1]["why"]
    rates = meter().recent()
    spent = rates["speech"] + rates["lbrr"] + rates["headers"]
    assert spent + estimated_bps(short.redundancy_s, short.q0) <= 48_000


SINGLE = [{"bursts": {"1": 5 * n, "2": n}} for n in range(1, 30)]  # 1.2 packets a burst, 2 % have no copy
HEAVY = [{"bursts": {"1": 5 * n, "2": n, "3": n}} for n in range(1, 30)]  # 1.4, 6 %
DOUBLE = [{"bursts": {"1": n, "2": n, "3": n}} for n in range(1, 30)]
LONGER = [{"bursts": {"1": n, "4": n, "8": n}} for n in range(1, 30)]


@pytest.mark.parametrize(
    ("reports", "cap", "lbrr", "history"),
    [
        (SINGLE, 75_000, True, False),
        (HEAVY, 75_000, True, True),
        (LONGER, 75_000, False, True),
        (SINGLE, 110_000, True, True),
        (DOUBLE, 75_000, True, True),
        (LONGER, 110_000, True, True),
        ([{"bursts": {}}] * 30, 75_000, True, False),
    ],
)
def test_under_a_cap_the_speech_keeps_enough_and_the_bursts_decide_what_goes(reports, cap, lbrr, history) -> None:
    sender, auto = run(reports, cap, lbrr=True)
    assert sender.lbrr == lbrr and bool(sender.redundancy_s) == history
    factor = LBRR_RATE_FACTOR if lbrr else 1.0
    spent = factor * sender.bitrate + 16_000 + (estimated_bps(sender.redundancy_s, sender.q0) if history else 0)
    assert spent <= cap and (spent > cap - factor * 1001 or sender.bitrate == MOST_BPS)
    assert sender.bitrate >= min(ENOUGH_BPS.values())
    if lbrr != history and reports[0]["bursts"]:
        assert ("worth more to them than history" in auto.log[-1]["why"]) == lbrr


def test_without_a_cap_or_lbrr_the_speech_and_lbrr_stay_as_they_are() -> None:
    for reports in (SINGLE, LONGER):
        sender, _ = run(reports, lbrr=True)
        assert (sender.lbrr, sender.bitrate) == (True, SPEECH_BPS) and sender.redundancy_s > 0
        sender, _ = run(reports, 75_000, lbrr=False)
        assert not sender.lbrr and sender.redundancy_s > 0 and sender.bitrate > SPEECH_BPS


def test_when_the_bursts_change_the_choice_changes_back() -> None:
    bursty = [{"bursts": {"1": 145 + 5 * n, "8": 3 * n}} for n in range(1, 40)]
    sender, auto = run(SINGLE + bursty, 75_000, lbrr=True)
    assert [entry["lbrr"] for entry in auto.log].count(False) and not sender.lbrr and sender.redundancy_s > 0.1


def test_estimate_agrees_with_what_was_measured() -> None:
    assert estimated_bps(1.0, 3) == pytest.approx(24_400, rel=0.04)
    assert estimated_bps(1.0, 12) == pytest.approx(13_800, rel=0.04)
    assert estimated_bps(0.1, 4) < 0.7 * estimated_bps(1.0, 4), "the newest latents are the dearest"
    assert estimated_bps(0.2, 5) < estimated_bps(0.5, 5) < estimated_bps(0.5, 4)


REPORTS = st.lists(
    st.fixed_dictionaries({}, optional={
        "bursts": st.dictionaries(st.sampled_from(["1", "3", "10", "64+"]), st.integers(0, 1000)),
        "reasons": st.dictionaries(st.sampled_from(["gap longer than redundancy"]), st.integers(0, 99)),
    }),
    max_size=30,
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a busy machine
@given(REPORTS, st.sampled_from([0, 20_000, 50_000, 80_000]), st.integers(0, 5000))
def test_whatever_is_reported_the_sender_can_do_it(reports, cap, playout_ms) -> None:
    sender, auto = run(reports, cap, playout_ms)
    assert 0 <= sender.redundancy_s <= 1.02 and Q0 <= sender.q0 <= 12
    assert all(entry["why"] for entry in auto.log)
