# SPDX-License-Identifier: BSD-2-Clause
"""Feature rows belong to the output frames they describe, and are extracted when somebody needs them."""

import numpy as np
from device_fakes import FakeExtractor

from dredge_device.pi.concealment.history import (
    CONTEXT_ROWS,
    EARLY_MOMENTS,
    KEEP_FRAMES,
    PREDICTOR_FRAMES,
    WARM_UP,
    History,
)


def ramp(packet):
    """Samples whose frame means tell the frame: frame f is the constant 10 f + 10."""
    return np.repeat([20 * packet + 10, 20 * packet + 20], 160).astype(np.int16)


def heard(history, pcm):
    """20 ms of output, as the voice remembers them."""
    history.append(pcm)
    if history.moment_due:
        history.hear_moment()


def first(rows):
    return [float(row[0]) for row in rows]


class Counting(FakeExtractor):
    """Counts the frames that it hears."""

    frames = 0

    def process(self, pcm):
        self.frames += len(pcm) // 160
        return super().process(pcm)


def test_rows_are_one_frame_and_80_samples_late():
    """The fake's row is the mean over the 160 newest samples: half this frame, half the next."""
    history = History(FakeExtractor())
    for packet in range(6):
        history.append(ramp(packet))
    history.complete(np.full(80, 130, np.int16))
    assert history.context()[1][:, 0].tolist() == [95, 105, 115, 125]


def test_context_ends_with_the_output():
    history = History(FakeExtractor())
    for packet in range(4):
        history.append(ramp(packet))
    pcm, rows = history.context()
    assert pcm.shape == (640,) and rows.shape == (CONTEXT_ROWS, 20)
    assert (pcm == np.concatenate((ramp(2), ramp(3)))).all()
    assert rows[-1, 0] == rows[-2, 0] == 75.0  # frame 7 is not known yet, so frame 6 stands for it
    history.complete(np.full(80, 90, np.int16))
    assert history.context()[1][:, 0].tolist() == [55, 65, 75, 85]


def test_given_rows_stand_for_synthesised_frames():
    history = History(FakeExtractor())
    history.append(ramp(0))
    history.complete(np.full(80, 20, np.int16))
    history.append(ramp(1), np.full((2, 20), -3, np.float32))
    history.append(ramp(2))
    assert history.context()[1][-4:, 0].tolist() == [-3, -3, 55, 55]  # the last one is not known yet


class Listener:
    """A background that keeps the moments it is given."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.moments = []

    def hear(self, pcm):
        assert pcm.dtype == np.int16 and pcm.shape == (960,)
        self.moments.append(pcm[::320].tolist())


def test_output_that_no_gap_follows_is_not_extracted():
    extractor = Counting()
    history = History(extractor)
    for packet in range(100):
        heard(history, ramp(packet))
    assert extractor.frames == 0
    history.complete(np.zeros(80, np.int16))
    before = extractor.frames
    history.context()
    assert extractor.frames - before == CONTEXT_ROWS + WARM_UP
    history.context()
    history.append(ramp(0), np.zeros((2, 20), np.float32))
    history.context()
    assert extractor.frames - before == CONTEXT_ROWS + WARM_UP  # nothing twice


def test_the_predictor_gets_every_frame_once_and_at_most_160_ms():
    history = History(FakeExtractor())
    history.append(ramp(0))
    history.append(ramp(1))
    history.complete(np.full(80, 50, np.int16))
    assert first(history.pending_rows()) == [15, 25, 35, 45] and history.pending_rows() == []
    history.append(ramp(2), np.full((2, 20), 7, np.float32))
    history.append(ramp(3), np.full((2, 20), 8, np.float32), learn=False)  # a guess is nothing to learn from
    assert history.pending_rows() == []
    for packet in range(4, 20):
        history.append(ramp(packet))
    history.complete(np.full(80, 410, np.int16))
    rows = first(history.pending_rows())
    assert len(rows) == PREDICTOR_FRAMES and rows == [10.0 * f + 15 for f in range(40 - PREDICTOR_FRAMES, 40)]


def test_background_hears_60_in_100_ms_of_what_came_from_the_decoder():
    """And more at the start. The first number of a moment tells its first packet."""
    history = History(FakeExtractor(), Listener())
    for packet in range(48):
        heard(history, ramp(packet))
    begin = [moment[0] // 20 for moment in history._background.moments]
    assert begin == [*range(1, 1 + 2 * EARLY_MOMENTS, 2), *range(2 * EARLY_MOMENTS + 4, 45, 5)]
    history._background.moments.clear()
    history.append(ramp(48), np.zeros((2, 20), np.float32))  # synthesised
    for packet in range(49, 53):
        heard(history, ramp(packet))
        assert history._background.moments == ([[1010, 1030, 1050]] if packet == 52 else [])
    history.clear()
    assert history._background.moments == []


def test_silence_that_stands_for_lost_speech_is_no_background():
    history = History(FakeExtractor(), Listener())
    for _ in range(30):
        history.append(np.zeros(320, np.int16), learn=False)
        assert not history.moment_due
    assert history._background.moments == []


def test_history_begins_with_silence():
    pcm, rows = History(FakeExtractor()).context()
    assert not pcm.any() and not rows.any() and rows.shape == (CONTEXT_ROWS, 20)


def test_rows_are_those_of_an_extractor_that_heard_everything():
    from dredge_kernels import features
    t = np.arange(16000) / 16000
    pcm = np.rint(6000 * np.sin(2 * np.pi * 150 * t) * (1 + np.sin(2 * np.pi * 3 * t)) / 2).astype(np.int16)
    pcm += np.random.default_rng(1).integers(-300, 300, 16000).astype(np.int16)
    history = History(features.FeatureExtractor())
    for start in range(0, 16000 - 320, 320):
        history.append(pcm[start : start + 320])
    end = start + 320
    history.complete(pcm[end : end + 80])
    heard = np.concatenate((np.zeros(80, np.int16), pcm))[: end + 160]
    wanted = features.FeatureExtractor().process(heard)
    rows = history.context()[1]
    np.testing.assert_array_equal(rows[:, :18], wanted[-CONTEXT_ROWS:, :18])
    np.testing.assert_allclose(rows[:, 18:], wanted[-CONTEXT_ROWS:, 18:], atol=0.02)
    assert len(history.samples) == KEEP_FRAMES * 160
