# SPDX-License-Identifier: BSD-2-Clause
"""Which speech is used, and which losses it meets."""

import numpy as np
import pytest
import soundfile
from evaluate_fakes import SPEECH, speech_folder

from dredge_host.errors import InputError
from dredge_host.evaluation.material.clips import Clip, choose_clips, read_clips
from dredge_host.evaluation.material.material import from_folder, from_set, packets_of
from dredge_host.evaluation.material.plan import Plan
from dredge_host.evaluation.material.traces import (
    BEYOND,
    STRATA,
    crossed_traces,
    draw_trace,
    recorded_trace,
    trace_for_clip,
)
from dredge_host.sending.loss import save_trace
from dredge_host.sending.loss_statistics import measure_loss


@pytest.fixture
def folder(tmp_path):
    return speech_folder(tmp_path / "test")


def test_clips_go_round_the_speakers(folder):
    names = [p.stem for p in choose_clips(folder, 0)]
    assert names == ["ann_1", "bob_1", "cid_1", "ann_2"]
    assert [p.stem for p in choose_clips(folder, 2)] == ["ann_1", "bob_1"]


def test_unusable_folders(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        choose_clips(tmp_path / "absent", 0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no speech files"):
        choose_clips(tmp_path / "empty", 0)


def test_clips_are_cut_to_their_first_seconds(folder):
    clips, notes = read_clips(folder, 0, 0.5)
    assert len(clips) == 4 and notes == []
    assert clips[0].pcm[0] == 0
    np.testing.assert_array_equal(clips[0].pcm[1:], SPEECH[1:8000])
    assert [len(c.pcm) for c in read_clips(folder, 0, 0.0)[0]] == [32000] * 4


def test_long_files_give_more_clips_when_more_are_asked_for(folder):
    clips, notes = read_clips(folder, 9, 0.5)
    assert [c.name for c in clips] == [
        "ann_1.flac", "bob_1.flac", "cid_1.flac", "ann_2.flac",
        "ann_1.flac@0.5", "bob_1.flac@0.5", "cid_1.flac@0.5", "ann_2.flac@0.5", "ann_1.flac@1",
    ]  # fmt: skip
    np.testing.assert_array_equal(clips[-1].pcm, SPEECH[16000:24000])
    assert clips[-1].recording == "ann_1.flac" and clips[-1].english
    (text,) = notes
    assert text.startswith("9 clips were asked for and there are 4 files, so 5 later pieces of 0.5 s of the same files")


def test_when_there_is_not_enough_speech_it_says_so(folder):
    clips, (text,) = read_clips(folder, 200, 0.75)
    assert len(clips) == 8 and {len(c.pcm) for c in clips} == {12000}
    assert text.endswith("with 8 clips all speech is used")
    clips, (text,) = read_clips(folder, 200, 0.0)
    assert len(clips) == 4 and "only pieces of --seconds give more" in text


def test_a_digest_knows_its_samples():
    one, same, other = (Clip(name, name, pcm) for name, pcm in (("a", SPEECH), ("b", SPEECH.copy()), ("a", SPEECH[1:])))
    assert one.digest == same.digest != other.digest and one.seconds == 2.0


@pytest.mark.parametrize("stratum", STRATA, ids=lambda s: s.name)
def test_traces_fit_their_stratum(stratum):
    for seed in range(5):
        trace = draw_trace(stratum, 600, seed)
        stats = measure_loss(trace.lost)
        assert stratum.shortest_ms < stats.longest_burst * 20 <= stratum.longest_ms
        assert stats.rate == pytest.approx(trace.model().expected_rate) == trace.rate
        assert draw_trace(stratum, 600, seed) == trace


def test_traces_lose_about_a_fifth_over_all_clips():
    rates = [np.mean(trace_for_clip(k, 600, 1).lost) for k in range(30)]
    assert 0.17 < np.mean(rates) < 0.23
    assert len({trace_for_clip(k, 600, 1).lost for k in range(30)}) == 30
    assert trace_for_clip(0, 600, 1).lost != trace_for_clip(0, 600, 2).lost


def test_the_traces_are_those_of_earlier_releases():
    """Results stay comparable only while a seed means the same losses."""
    found = [trace_for_clip(k, 600, 1) for k in range(3)]
    assert [(t.stratum, t.seed, sum(t.lost)) for t in found] == TRACES_OF_SEED_1
    assert all(found[k] == crossed_traces(k, 600, 1)[k] for k in range(3))


TRACES_OF_SEED_1 = [("short", 2000000, 61), ("medium", 2002000, 148), ("long", 2004000, 189)]


def test_a_trace_ends_in_deliveries_instead_of_failing():
    trace = draw_trace(STRATA[0], 50, 1)
    model = trace.model()
    assert [model.lost() for _ in range(50)] == list(trace.lost)
    assert not any(model.lost() for _ in range(2000))


def test_very_short_speech_gets_the_nearest_trace():
    assert len(draw_trace(STRATA[2], 5, 1).lost) == 5


@pytest.mark.parametrize(
    ("longest", "stratum"), [(0, "short"), (6, "short"), (7, "medium"), (16, "medium"), (50, "long"), (51, BEYOND)]
)
def test_recorded_traces_belong_to_a_stratum_too(longest, stratum):
    lost = [False, *[True] * longest, False]
    trace = recorded_trace("x", lost)
    assert trace.stratum == stratum and trace.seed is None and trace.model().spec == "x"


def test_the_grid_of_a_folder(folder):
    plan = Plan(methods=("opus", "dred"), clips=2, seconds=1.0)
    material = from_folder(folder, plan)
    assert [c.name for c in material.clips] == ["ann_1.flac", "bob_1.flac"]
    assert material.strata == ["short", "medium", "long"] and material.name == "test"
    tasks = material.tasks(plan.methods)
    assert [task.number for task in tasks] == list(range(6))
    assert all(task.methods == ("opus", "dred") and len(task.trace.lost) == packets_of(task.clip) for task in tasks)
    assert tasks[0].name("dred") == "clip ann_1.flac, short losses, method dred"


def recorded_set(path):
    speech_folder(path, ("a", "b"))
    for name, lost in (("a", [0, 1] * 50), ("b", [0] * 90 + [1] * 10)):
        soundfile.write(path / f"{name}.wav", SPEECH, 16000)
        (path / f"{name}.flac").unlink()
        save_trace(path / f"{name}_is_lost.txt", map(bool, lost))
    return path


def test_clips_of_a_set_meet_their_own_losses(tmp_path):
    material = from_set(recorded_set(tmp_path / "set"), Plan())
    assert [trace.stratum for _, trace in material.pairs] == ["short", "medium"]
    assert [sum(trace.lost) for _, trace in material.pairs] == [50, 10]
    cut = from_set(tmp_path / "set", Plan(seconds=1.0, clips=1))
    assert len(cut.pairs) == 1 and len(cut.pairs[0][1].lost) == 52 and cut.clips[0].seconds == 1.0


def test_a_set_without_any_trace_is_refused(folder):
    with pytest.raises(InputError, match="no clip here has a loss trace"):
        from_set(folder, Plan())


def test_clips_without_a_trace_are_left_out_and_told(tmp_path):
    folder = recorded_set(tmp_path / "set")
    (folder / "b_is_lost.txt").unlink()
    material = from_set(folder, Plan())
    assert len(material.pairs) == 1 and material.notes == ["1 clips without a loss trace are left out"]
