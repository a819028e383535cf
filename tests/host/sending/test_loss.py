# SPDX-License-Identifier: BSD-2-Clause
"""The loss grammar and its models."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_host.errors import InputError, UsageError
from dredge_host.sending.loss import PRESETS, parse_loss, read_trace, save_trace
from dredge_host.sending.loss_statistics import measure_loss

MILLION = 1_000_000


def take(spec: str, count: int, seed: int = 1) -> list[bool]:
    model = parse_loss(spec, seed)
    return [model.lost() for _ in range(count)]


def test_none_loses_nothing() -> None:
    assert not any(take("none", 1000))
    assert parse_loss("none").expected_rate == 0.0


def test_same_seed_same_packets_other_seed_others() -> None:
    for spec in ["10%", "gilbert:rate=10%,burst=3", "ge:2%,20%,30%,99%", "harsh"]:
        assert take(spec, 2000, 5) == take(spec, 2000, 5)
        assert take(spec, 2000, 5) != take(spec, 2000, 6)


def test_history_is_what_was_answered() -> None:
    model = parse_loss("30%", 3)
    answers = [model.lost() for _ in range(50)]
    assert model.history == answers


@pytest.mark.parametrize(
    ("spec", "rate", "burst"),
    [
        ("10%", 0.10, 1 / 0.9),
        ("gilbert:rate=10%,burst=3", 0.10, 3.0),
        ("gilbert:rate=50%,burst=1", 0.50, 1.0),
        ("gilbert:rate=20%,burst=5,max=15", 0.20, 5.0),
        ("ge:1%,10%", 1 / 11, 10.0),
        ("ge:p=2%,r=20%,1-h=70%,1-k=1%", (0.02 * 0.7 + 0.2 * 0.01) / 0.22, None),
        ("burst:ms=300,every=2s", 0.15, 15.0),
    ],
)
def test_statistics_over_a_million_packets(spec: str, rate: float, burst: float | None) -> None:
    model = parse_loss(spec, 11)
    stats = measure_loss(model.lost() for _ in range(MILLION))
    assert stats.packets == MILLION
    assert model.expected_rate == pytest.approx(rate, rel=1e-9)
    assert stats.rate == pytest.approx(rate, rel=0.03)
    if burst is not None:
        assert stats.mean_burst == pytest.approx(burst, rel=0.03)


def test_gilbert_burst_lengths_are_geometric() -> None:
    stats = measure_loss(take("gilbert:rate=10%,burst=2", MILLION))
    for length in range(1, 6):
        assert stats.histogram[length] / stats.bursts == pytest.approx(0.5**length, rel=0.1)


def test_harsh_keeps_its_promise() -> None:
    assert parse_loss("harsh").spec == "harsh"
    stats = measure_loss(take("harsh", MILLION))
    assert stats.rate == pytest.approx(0.20, abs=0.005)
    assert stats.longest_burst == 15  # 300 ms
    assert PRESETS["harsh"].endswith("max=15")


def test_gemodel_letters_follow_netem() -> None:
    # k = 1 and h = 0 by default: every bad packet is lost, no good one; r defaults to 1 - p.
    assert parse_loss("ge:25%").expected_rate == pytest.approx(0.25)
    assert parse_loss("ge:p=10%,r=30%,h=40%").expected_rate == pytest.approx(0.25 * 0.6)
    assert take("ge:p=10%,r=30%,1-h=60%", 500) == take("ge:10%,30%,40%", 500)
    # In the good state only, with k = 0, everything is lost.
    assert all(take("ge:p=0,r=1,h=1,k=0", 100))


def test_periodic_bursts_move_with_the_seed_but_spare_the_first_packet() -> None:
    starts = set()
    for seed in range(30):
        trace = take("burst:ms=100,every=400ms", 200, seed)
        assert not trace[0]
        assert sum(trace) == 50
        starts.add(trace.index(True))
    assert len(starts) > 5


def test_runs_that_are_always_as_long_as_allowed_come_at_once() -> None:
    """A mean burst equal to the maximum leaves no probability of ending earlier, and nothing to wait for."""
    trace = take("gilbert:rate=20%,burst=5,max=5", 20_000, 1)
    lengths = {len(run) for run in "".join(str(int(lost)) for lost in trace).rstrip("1").split("0") if run}
    assert all(length % 5 == 0 or length == 5 for length in lengths) and 5 in lengths
    assert measure_loss(trace).rate == pytest.approx(0.2, abs=0.02)


def test_a_period_of_years_costs_no_memory() -> None:
    model = parse_loss("burst:ms=300,every=99999999s")
    assert model.expected_rate < 1e-8
    assert not any(model.lost() for _ in range(100))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "expected a percentage such as 10%, or one of none, gilbert:, ge:, burst:, trace:, phases:, harsh"),
        ("ten", "expected a percentage"),
        ("ten%", "share such as 10%"),
        ("101%", "between 0% and 100%"),
        ("-1%", "between 0% and 100%"),
        ("nan%", "between 0% and 100%"),
        ("gauss:rate=1%", "unknown model 'gauss'"),
        ("gilbert:", "expected name=value"),
        ("gilbert:rate=10%", "burst=… is missing"),
        ("gilbert:rate=10%,burst=3,burst=4", "once"),
        ("gilbert:rate=10%,burst=0.5", "at least 1"),
        ("gilbert:rate=10%,burst=1e8,max=1e8", "at most 100000"),
        ("gilbert:rate=10%,burst=x", "must be a number"),
        ("gilbert:rate=80%,burst=3", "at most 75%"),
        ("gilbert:rate=51%,burst=1", "at most 50%"),
        ("gilbert:rate=10%,burst=9,max=8", "cannot exceed max=8"),
        ("ge:", "one to four"),
        ("ge:1%,2%,3%,4%,5%", "one to four"),
        ("ge:r=10%", "needs p"),
        ("ge:0,0", "cannot both be 0"),
        ("ge:1%,1-r=5%", "unknown or repeated"),
        ("ge:1%,p=5%", "unknown or repeated"),
        ("burst:ms=300", "every=… is missing"),
        ("burst:ms=2000,every=2s", "at most ms=1980"),
    ],
)
def test_impossible_specifications_name_the_limit(spec: str, words: str) -> None:
    with pytest.raises(UsageError, match=r".") as caught:
        parse_loss(spec)
    assert words in str(caught.value)


@given(st.text(max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_model_or_a_clear_error(text: str) -> None:
    try:
        model = parse_loss(text)
    except (UsageError, InputError):
        return
    for _ in range(10):
        assert model.lost() in (True, False)


@given(
    st.floats(0.001, 0.95),
    st.floats(1, 40),
    st.integers(1, 60),
)
@settings(max_examples=100, deadline=None)
def test_every_accepted_gilbert_stays_below_its_longest_burst(rate: float, burst: float, longest: int) -> None:
    try:
        model = parse_loss(f"gilbert:rate={rate:.6f},burst={burst:.6f},max={longest}")
    except UsageError:
        assert burst > longest - 1e-5 or rate > burst / (burst + 1) - 1e-5
        return
    stats = measure_loss(islice((model.lost() for _ in range(2000)), 2000))
    assert stats.longest_burst <= longest


def test_trace_round_trip_and_repetition(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    trace = take("harsh", 100)
    save_trace(path, trace)
    assert read_trace(path) == trace
    assert take(f"trace:{path}", 250) == (trace * 3)[:250]
    assert parse_loss(f"trace:{path}").expected_rate == sum(trace) / 100


def test_trace_forms(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("# from a car\n0 1\n110 # end\n\n")
    assert read_trace(path) == [False, True, True, True, False]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"0\n2\n", "line 2"),
        (b"\xff\xfe", "is empty"),
        (b"\x80\x00\x01", "line 1: expected 0 or 1"),
        (b"#\n", "empty"),
    ],
)
def test_damaged_traces(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "t"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        parse_loss(f"trace:{path}")
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_trace(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none: No such file"):
        parse_loss(f"trace:{tmp_path / 'none'}")


@given(st.lists(st.booleans(), max_size=200))
def test_measured_bursts_match_a_naive_count(trace: list[bool]) -> None:
    text = "".join(str(int(x)) for x in trace)
    runs = [len(run) for run in text.split("0") if run]
    stats = measure_loss(trace)
    assert stats.lost == sum(runs)
    assert sorted(stats.histogram.elements()) == sorted(runs)
    assert stats.longest_burst == max(runs, default=0)
    assert stats.as_dict()["bursts"] == len(runs)


def test_sentence_speaks_of_milliseconds() -> None:
    stats = measure_loss([False, True, True, False])
    assert stats.sentence().startswith("2 of 4 packets lost (50.0 %) in 1 bursts")
    assert "(40 ms)" in stats.sentence()
    assert measure_loss([False]).sentence() == "no packet of 1 was lost"


def test_phases_take_turns() -> None:
    model = parse_loss("phases:2s/none/gilbert:rate=50%,burst=5/none", 4)
    trace = np.array([model.lost() for _ in range(900)])
    parts = trace.reshape(9, 100).sum(axis=1)
    assert parts[0] == parts[2] == parts[3] == parts[5] == parts[6] == 0  # calm, bursts, calm, and again
    assert all(parts[n] > 15 for n in (1, 4, 7)) and not np.array_equal(trace[100:200], trace[400:500])
    assert model.expected_rate == pytest.approx(0.5 / 3)
    again = parse_loss("phases:2s/none/gilbert:rate=50%,burst=5/none", 4)
    assert [again.lost() for _ in range(900)] == trace.tolist()


@pytest.mark.parametrize(
    ("text", "words"),
    [("phases:2s/none", "2 to"), ("phases:2s", "2 to"), ("phases:0s/none/10%", "time"), ("phases:x/none/10%", "time"),
     ("phases:2s/none/", "2 to"), ("phases:2s/none/phases:1s/none/5%", "a phase is"), ("phases:2s/none/lots", "loss"),
     ("phases:2s/trace:a/none", "a phase is"), ("gilbert:rate=10%,burst=1e300", "above 0 and below 1,000,000,000, got"),
     ("gilbert:rate=10%,burst=nan", "above 0 and below")],
)  # fmt: skip
def test_models_that_cannot_be(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_loss(text, 1)
