# SPDX-License-Identifier: BSD-2-Clause
"""What `dredge bench` measures, and how."""

import itertools

import numpy as np
import pytest

from dredge_device.pi.input.opus_abilities import LACE, NOLACE, opus_abilities
from dredge_host.bench import bench
from dredge_host.bench import clock as benchclock
from dredge_host.bench.bench import QUICK, Effort, measure
from dredge_host.bench.clock import Disturbance, Times, back_to_back, paced, timed
from dredge_host.bench.sender import ratio, redundancy_cost
from dredge_host.bench.stages import Stage, stages
from dredge_host.errors import UsageError
from dredge_host.sending.audio import bundled_clip, read_audio

QUANTILES = {"min", "p50", "p95", "p99", "max"}
# Which decoders there are beside the plain one depends on the libopus of this system.
ENHANCED = [f"opus decode, complexity {c}" for c in (LACE, NOLACE) if not opus_abilities().missing(c)]
NOTHING = Effort(throughput=1, paced=0, live=1, bursts=1, redundancy=1, periods=1, streams=1)


@pytest.fixture(scope="module")
def speech():
    with bundled_clip() as path:
        return read_audio(path).pcm


def busy():
    return sum(range(2000))


def test_measure_reports_both_modes():
    calls = []
    row = measure(Stage("x", "sender", 20, lambda: calls.append(busy())), Effort(throughput=20, paced=3))
    assert len(calls) == 10 + 20 + 3
    assert 0 < row["throughput_us"]["p50"] <= row["throughput_us"]["max"]
    assert set(row["paced_us"]) == set(row["paced_wall_us"]) == QUANTILES
    assert row["times_real_time"] == pytest.approx(20000 / row["throughput_us"]["p50"], rel=0.01)


def test_preparation_happens_before_every_call_and_is_not_counted():
    order = []
    back_to_back(lambda: order.append("call"), 2, lambda: order.append("prepare"))
    paced(lambda: order.append("call"), 1, lambda: order.append("prepare"), lambda: order.append("disturb"))
    assert order == ["prepare", "call", "prepare", "call", "prepare", "disturb", "call"]
    with_preparation = back_to_back(lambda: None, 20, lambda: sum(range(200_000)))
    assert min(with_preparation.cpu_us) < timed(lambda: sum(range(200_000)))


def test_paced_calls_start_a_period_apart(monkeypatch):
    class Clock:
        now = 5.0

        def monotonic(self):
            return self.now

        def sleep(self, seconds):
            Clock.now += seconds

        perf_counter_ns = thread_time_ns = staticmethod(itertools.count().__next__)

    clock = Clock()
    monkeypatch.setattr(benchclock, "time", clock)
    starts = []
    paced(lambda: starts.append(clock.now), 4, disturb=lambda: clock.sleep(0.003))
    assert starts == pytest.approx([5.02, 5.04, 5.06, 5.08])


def test_a_late_call_does_not_shorten_the_periods_after_it(monkeypatch):
    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

        def sleep(self, seconds):
            Clock.now += seconds

        perf_counter_ns = thread_time_ns = staticmethod(itertools.count().__next__)

    clock, starts = Clock(), []
    monkeypatch.setattr(benchclock, "time", clock)

    def call():
        starts.append(clock.now)
        if len(starts) == 1:
            clock.sleep(0.05)

    paced(call, 3)
    assert np.diff(starts) == pytest.approx([0.05, 0.02])


def test_times_hold_both_clocks():
    times = Times()
    times.take(busy)
    times.add(1.0, 2.0)
    assert times.cpu_us[1:] == [1.0] and times.wall_us[1:] == [2.0]
    assert set(times.as_dict()) == {"cpu_us", "wall_us"}


def test_disturbance_touches_every_line_of_twice_the_cache():
    disturb = Disturbance(4096)
    assert disturb.size_bytes == 8192
    disturb()
    disturb()
    touched = disturb._memory.reshape(-1, 64)
    assert (touched[:, 0] == 2).all() and not touched[:, 1:].any()
    assert Disturbance(None).size_bytes > 1 << 20


def test_stages_need_speech_and_each_of_them_runs(speech):
    with pytest.raises(ValueError, match=r"3 s of speech are needed, got 1\.00 s"):
        stages(speech[:16000])
    made = stages(speech)
    assert [stage.name for stage in made] == [
        "opus encode", "opus decode", *ENHANCED, "opus conceal", "features", "rdovae encode",
        "payload encode 100 ms", "payload encode 1 s", "extension write", "extension read", "payload decode 1 s",
        "rdovae decode 40 ms", "rdovae decode 1 s", "vocoder prime", "vocoder", "small prime", "small",
        "plc predict",
    ]  # fmt: skip
    assert {stage.side for stage in made} == {"sender", "receiver", "both"}
    for stage in made:
        if stage.prepare:
            stage.prepare()
        stage.call()


def test_decoding_is_measured_on_payloads_nobody_has_decoded_yet(speech):
    """A parsed packet keeps its features: the second call would be free."""
    stage = next(stage for stage in stages(speech) if stage.name == "rdovae decode 1 s")
    stage.prepare()
    first = stage.call()
    stage.prepare()
    second = stage.call()
    assert first is not second and np.array_equal(first, second)
    assert first.shape == (104, 20)


class Work:
    def __init__(self, seconds):
        self.seconds, self.heard = seconds, []

    def push(self, pcm):
        self.heard.append(int(pcm[0]))
        sum(range(int(20000 * self.seconds)))
        split = type("Split", (), {"dred": round(60 * self.seconds)})
        return type("Packet", (), {"split": split})


def test_lengths_take_turns_on_the_same_speech():
    made = []

    def make(seconds):
        made.append(Work(seconds))
        return made[-1]

    pcm = np.repeat(np.arange(10, dtype=np.int16), 320)
    rows = redundancy_cost(pcm, 20, (0.1, 1.0), make)
    assert [work.seconds for work in made] == [0.1, 1.0]
    assert made[0].heard == made[1].heard and len(made[0].heard) == 80
    assert [row["redundancy_ms"] for row in rows] == [100, 1000]
    assert [row["bytes"] for row in rows] == [6.0, 60.0]
    assert ratio(rows) == ratio(rows[::-1]) > 1.5


def test_only_the_chosen_sections_run(monkeypatch, speech):
    monkeypatch.setattr(bench, "live", lambda stream, disturb: {"frames": len(stream)})
    steps = []
    result = bench.bench(speech, NOTHING, lambda done, total: steps.append((done, total)), ["live"])
    assert result["live"] == {"frames": 51}
    assert not {"stages", "burst", "redundancy", "streams"} & set(result)
    assert result["schema"] == "dredge.bench/2" and result["disturbance_bytes"] > 0
    assert steps == [(1, 1)]


@pytest.mark.parametrize(("only", "words"), [(["stage"], "got stage"), ([], "got none")])
def test_unknown_sections_are_refused(only, words, speech):
    with pytest.raises(UsageError, match=f"expected some of stages, live, .*{words}"):
        bench.bench(speech, NOTHING, only=only)


def test_every_section_gives_its_figures(monkeypatch, speech):
    """The real parts, as short as it gets."""
    monkeypatch.setattr(bench, "LENGTHS_S", (0.1, 0.2))
    monkeypatch.setattr(bench, "redundancy_cost", lambda pcm, count: redundancy_cost(pcm, count, (0.1, 0.2)))
    monkeypatch.setattr(bench, "bursts", lambda pcm, repeats, disturb: {"warm": {}, "cold": {}})
    steps = []
    result = bench.bench(speech, NOTHING, lambda done, total: steps.append(done <= total))
    assert len(result["stages"]) == 17 + len(ENHANCED)
    assert all(stage["throughput_us"]["p50"] > 0 for stage in result["stages"])
    assert [row["gap"]["recovered_pct"] for row in result["redundancy"]] == [100.0, 100.0]
    assert result["encoder_cpu"]["ratio"] > 0
    assert [row["streams"] for row in result["streams"]] == [1]
    assert len(steps) == 5 + len(result["stages"]) + 2 and all(steps)
    assert QUICK.throughput < Effort().throughput
