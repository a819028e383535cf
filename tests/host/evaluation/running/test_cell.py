# SPDX-License-Identifier: BSD-2-Clause
"""One cell: what is measured, what is computed only once for a clip, what a failure looks like."""

import json

import numpy as np
import pytest
from evaluate_fakes import KNOWN, SPEECH, hear_seconds, known_send

from dredge_host.errors import InputError
from dredge_host.evaluation.judging.judges import Judges
from dredge_host.evaluation.judging.recognisers import OFFSETS
from dredge_host.evaluation.material.clips import Clip
from dredge_host.evaluation.material.material import Task
from dredge_host.evaluation.material.plan import Plan
from dredge_host.evaluation.material.traces import crossed_traces, recorded_trace
from dredge_host.evaluation.running import cell as cells
from dredge_host.evaluation.running.cell import CellRunner, Failure, Stopwatch, plain

CLIP = Clip("ann_1.flac", "ann_1.flac", SPEECH)
TRACES = crossed_traces(0, 102, 1)
NOTHING_LOST = recorded_trace("none", [False] * 102)


class Counting:
    """Judges and a simulation that count how often they are asked."""

    def __init__(self, monkeypatch):
        self.heard, self.sent = [], []
        self.judges = Judges(KNOWN, self._hear)
        monkeypatch.setattr(cells, "send", self._send)

    def _hear(self, pcm):
        self.heard.append(pcm)
        return hear_seconds(pcm)

    def _send(self, pcm, method, trace, bitrate):
        self.sent.append(method)
        return known_send(pcm, method, trace, bitrate)


@pytest.fixture
def counting(monkeypatch):
    return Counting(monkeypatch)


def test_a_cell_is_json_and_complete(counting):
    cell = CellRunner(Plan(), counting.judges).measure(CLIP, TRACES[0], "dred")
    assert json.loads(json.dumps(cell)) == cell
    assert {
        "loss_pct", "longest_burst_ms", "bitrate_bps", "cpu_us_per_packet", "frames", "seams", "lag_ms", "plcmos",
        "estoi", "words", "word_errors", "cepstral_distance_db", "recovered_frames", "lag_recovered_scores",
    } <= cell.keys()  # fmt: skip
    assert set(cell["seconds"]) == {"simulate", "checks", "recovered", "plcmos", "estoi", "words"}


def test_what_the_cells_of_a_clip_share_is_computed_once(counting):
    runner = CellRunner(Plan(), counting.judges)
    tasks = [Task(k, CLIP, trace, ("clean", "opus", "dred")) for k, trace in enumerate(TRACES)]
    found = [pair for task in tasks for pair in runner.run(task)]
    assert len(found) == 9 and not any(isinstance(cell, Failure) for _, cell in found)
    assert sorted(counting.sent) == ["clean"] + 3 * ["dred"] + 3 * ["opus"]
    assert len(counting.heard) == len(OFFSETS) * (1 + 7)  # the original once, the clip without loss once
    clean = [{k: v for k, v in cell.items() if k != "seconds"} for method, cell in found if method == "clean"]
    assert clean[0] == clean[1] == clean[2]


def test_the_reference_without_loss_is_made_when_no_cell_asks_for_it(counting):
    cell = CellRunner(Plan(), counting.judges).measure(CLIP, TRACES[2], "opus")
    assert counting.sent == ["opus", "clean"] and cell["cepstral_distance_db"] > 0


def test_a_worker_forgets_old_clips(counting):
    runner = CellRunner(Plan(recogniser=None), counting.judges)
    others = [Clip(str(k), str(k), SPEECH[k:]) for k in range(1, cells.REMEMBERED + 1)]
    for clip in [CLIP, *others, CLIP]:
        runner.measure(clip, TRACES[0], "clean")
    assert len(counting.sent) == cells.REMEMBERED + 2


def test_without_judges_only_the_pipeline_is_measured(counting):
    cell = CellRunner(Plan(recogniser=None), Judges()).measure(CLIP, TRACES[0], "opus")
    assert not {"plcmos", "estoi", "words"} & cell.keys() and cell["seams"]["seams"] > 0


def test_other_languages_are_not_recognised(counting):
    dutch = Clip("x", "x", SPEECH, english=False)
    assert "words" not in CellRunner(Plan(), counting.judges).measure(dutch, TRACES[0], "opus")


def test_words_are_counted_at_every_offset_of_the_analysis_and_averaged():
    at_offsets = {0: (["a", "b"], ["a", "x"]), 40: (["a"], ["a"]), 80: (["a", "b"], ["x", "y"]), 120: ([], ["z"])}

    def hear(pcm):
        offset = len(pcm) - len(SPEECH)
        assert not pcm[:offset].any()
        return at_offsets[offset][0 if np.array_equal(pcm[offset:], SPEECH) else 1]

    cell = CellRunner(Plan(), Judges(hear=hear)).measure(CLIP, TRACES[0], "opus")
    assert (cell["words"], cell["word_errors"]) == ((2 + 1 + 2 + 0) / 4, (1 + 0 + 2 + 1) / 4)


def test_no_loss_leaves_nothing_recovered(counting):
    cell = CellRunner(Plan(), counting.judges).measure(CLIP, NOTHING_LOST, "opus")
    assert cell["recovered_frames"] == 0 and "cepstral_distance_db" not in cell and "lag_recovered_scores" not in cell


@pytest.mark.parametrize(
    ("error", "text"),
    [(InputError("one  sentence\n only"), "one sentence only"), (KeyError("name"), "KeyError: 'name'")],
)
def test_a_failure_takes_no_other_cell_with_it(monkeypatch, error, text):
    def send(pcm, method, trace, bitrate):
        if method == "opus":
            raise error
        return known_send(pcm, method, trace, bitrate)

    monkeypatch.setattr(cells, "send", send)
    found = dict(CellRunner(Plan(), Judges()).run(Task(0, CLIP, TRACES[0], ("opus", "dred"))))
    assert found["opus"] == Failure(text) and found["dred"]["loss_pct"] > 0


def test_numbers_that_are_none_are_left_out():
    assert plain({"a": float("nan"), "b": np.float32(0.5), "c": {"d": np.int64(2)}}) == {"b": 0.5, "c": {"d": 2}}


def test_a_stopwatch_adds_up(monkeypatch):
    now = iter([0.0, 1.0, 5.0, 7.5])
    monkeypatch.setattr(cells.time, "monotonic", lambda: next(now))
    watch = Stopwatch()
    for _ in range(2):
        with watch("words"):
            pass
    assert watch.seconds == {"words": 3.5}
