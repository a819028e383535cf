# SPDX-License-Identifier: BSD-2-Clause
"""Feature rows belong to the output frames they describe."""

import numpy as np
from device_fakes import FakeExtractor

from dredge_device.pi.concealment.history import History


def ramp(packet):
    """Samples whose frame means tell the frame: frame f is the constant 10 f + 10."""
    return np.repeat([20 * packet + 10, 20 * packet + 20], 160).astype(np.int16)


def first(rows):
    return [float(row[0]) for row in rows]


def test_rows_are_one_frame_and_80_samples_late():
    """The fake's row is the mean over the 160 newest samples: half this frame, half the next."""
    history = History(FakeExtractor())
    assert first(history.append(ramp(0))) == [15.0]  # frame 0
    assert first(history.append(ramp(1))) == [25.0, 35.0]
    assert first(history.append(ramp(2))) == [45.0, 55.0]


def test_extractor_hears_the_output_80_samples_late():
    extractor = FakeExtractor()
    history = History(extractor)
    packets = [np.arange(320, dtype=np.int16) + 320 * n for n in range(5)]
    for packet in packets:
        history.append(packet)
    heard = extractor.heard[1280:]
    assert not heard[:80].any()
    assert (heard[80:] == np.concatenate(packets)[: len(heard) - 80]).all()


def test_complete_describes_the_last_frame_and_keeps_the_alignment():
    extractor = FakeExtractor()
    history = History(extractor)
    history.append(ramp(0))
    guess = np.full(80, 777, np.int16)
    assert len(history.complete(guess)) == 1
    assert history.complete(guess) == []  # once is enough
    history.append(ramp(1))
    history.append(ramp(2))
    heard = extractor.heard[1280 + 80 :]
    assert (heard[320:400] == 777).all()
    assert (heard[400:640] == ramp(1)[80:]).all()
    assert (heard[640:880] == ramp(2)[:240]).all()


def test_context_ends_with_the_output():
    history = History(FakeExtractor())
    for packet in range(4):
        history.append(ramp(packet))
    pcm, rows = history.context()
    assert pcm.shape == (640,) and rows.shape == (8, 20)
    assert (pcm == np.concatenate((ramp(2), ramp(3)))).all()
    assert rows[-1, 0] == rows[-2, 0] == 75.0  # frame 7 is not known yet, so frame 6 stands for it
    history.complete(np.full(80, 90, np.int16))
    assert history.context()[1][:, 0].tolist() == [15, 25, 35, 45, 55, 65, 75, 85]


def test_given_rows_stand_for_synthesised_frames():
    history = History(FakeExtractor())
    history.append(ramp(0))
    history.complete(np.full(80, 20, np.int16))
    rows = np.full((2, 20), -3, np.float32)
    assert first(history.append(ramp(1), rows)) == [-3.0, -3.0]
    assert first(history.append(ramp(2))) == [55.0]  # of frame 4; that of frame 3 was given
    assert history.context()[1][-4:, 0].tolist() == [-3, -3, 55, 55]


def test_history_begins_with_silence():
    pcm, rows = History(FakeExtractor()).context()
    assert not pcm.any() and not rows.any() and rows.shape == (8, 20)
