# SPDX-License-Identifier: BSD-2-Clause
"""Sets of clips with traces are read in every layout they come in; what does not fit is named."""

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from trace_sets import SPEECH, put

from dredge_host.errors import InputError, exit_code
from dredge_host.evaluation.material.traceset import (
    count_packets,
    read_manifest,
    read_matching,
    read_set,
    read_speech,
    read_traces,
    retime,
)
from dredge_host.sending.loss import parse_loss, save_trace

LOST = (False, True, True, False, False)


def test_clips_and_traces_side_by_side(tmp_path):
    put(tmp_path, "b", 5, "01100")
    put(tmp_path, "a", 5, "00000")
    put(tmp_path, "c", 5)
    (tmp_path / ".hidden.wav").touch()
    items = read_set(tmp_path)
    assert [item.name for item in items] == ["a", "b", "c"]
    assert items[0].lost == (False,) * 5 and items[1].lost == LOST and items[2].lost is None
    assert items[1].path == tmp_path / "b.wav" and items[1].lossy is None


@pytest.mark.parametrize("place", ["beside", "inside", "named"])
def test_the_clean_speech_is_what_is_sent(tmp_path, place):
    lossy = put(tmp_path / "lossy_signals", "7", 5, "01100")
    clean = {"beside": tmp_path / "clean", "inside": lossy / "clean", "named": tmp_path / "elsewhere"}[place]
    put(clean, "7", 5)
    put(clean, "8", 5)
    (item,) = read_set(lossy, clean if place == "named" else None)
    assert item == (clean / "7.wav", "7", LOST, lossy / "7.wav")


def test_traces_without_their_own_recordings_use_the_clean_ones(tmp_path):
    traces = tmp_path / "traces"
    put(tmp_path / "clean", "7", 5)
    traces.mkdir()
    (traces / "7_is_lost.txt").write_text("0 1 1 0 0")
    (item,) = read_set(traces)
    assert item == (tmp_path / "clean" / "7.wav", "7", LOST, None)


def test_the_folder_above_will_do(tmp_path):
    put(tmp_path / "clean", "7", 5)
    put(tmp_path / "lossy", "7", 5, "01100")
    assert read_set(tmp_path) == read_set(tmp_path / "lossy")
    assert read_traces(tmp_path) == {"7": LOST}


def test_a_folder_of_speech_alone_does_not_look_elsewhere(tmp_path):
    """A folder `clean` beside it is about something else."""
    put(tmp_path / "clean", "other", 5)
    put(tmp_path / "test", "a", 5)
    assert [(i.path, i.lost) for i in read_set(tmp_path / "test")] == [(tmp_path / "test" / "a.wav", None)]


@pytest.mark.parametrize(
    "text", ["0\n1\n1\n0\n0\n", "0 1 1 0 0", "0\r\n1\r\n1\r\n0\r\n0\r\n", "01100", "# car\n0 1\n1 0 0"]
)
def test_a_trace_may_have_any_white_space(tmp_path, text):
    put(tmp_path, "a", 5)
    (tmp_path / "a_is_lost.txt").write_bytes(text.encode())
    assert read_set(tmp_path)[0].lost == LOST
    model = parse_loss(f"trace:{tmp_path / 'a_is_lost.txt'}")
    assert tuple(model.lost() for _ in range(5)) == LOST


@pytest.mark.parametrize(
    ("packets", "trace", "expected"),
    [(5, "0110", LOST), (5, "01100", LOST), (5, "011001", LOST), (4.2, "01100", LOST), (4.2, "0110", LOST)],
)
def test_one_packet_more_or_less_is_made_good(tmp_path, packets, trace, expected):
    assert read_set(put(tmp_path, "a", packets, trace))[0].lost == expected


@pytest.mark.parametrize("trace", ["011", "0110011"])
def test_more_than_that_is_refused(tmp_path, trace):
    with pytest.raises(InputError, match=rf"a_is_lost.txt: {len(trace)} packets of 20 ms, but a.wav has 5; expected"):
        read_set(put(tmp_path, "a", 5, trace))


def test_packets_are_counted_in_time_not_in_samples(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(48000, np.int16), 48000)
    assert count_packets(tmp_path / "a.wav") == 50
    soundfile.write(tmp_path / "b.wav", np.zeros(48001, np.int16), 48000)
    assert count_packets(tmp_path / "b.wav") == 51
    soundfile.write(tmp_path / "c.wav", np.zeros(11025, np.int16), 11025)
    assert count_packets(tmp_path / "c.wav") == 50


def failing(tmp_path, case):
    if case == "no folder":
        return tmp_path / "none", None, "there is no such folder"
    if case == "empty":
        return tmp_path, None, "no speech files"
    if case == "trace alone":
        put(tmp_path, "a", 5)
        (tmp_path / "b_is_lost.txt").write_text("0")
        return tmp_path, None, "b_is_lost.txt: there is no speech file b.wav for this trace"
    if case == "no clean folder":
        return put(tmp_path, "a", 5, "01100"), tmp_path / "none", "no such folder with clean speech"
    if case == "not clean":
        put(tmp_path / "clean", "b", 5)
        return put(tmp_path / "lossy", "a", 5, "01100"), None, "the folder with the clean speech has no file a.wav"
    if case == "damaged trace":
        return put(tmp_path, "a", 5, "01200"), None, "a_is_lost.txt: line 3: expected 0 or 1, got '2'"
    if case == "empty trace":
        return put(tmp_path, "a", 5, ""), None, "the loss trace is empty"
    put(tmp_path, "a", 5, "01100")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    return tmp_path, None, "a.wav: not a readable WAV"


@pytest.mark.parametrize(
    "case",
    ["no folder", "empty", "trace alone", "no clean folder", "not clean", "damaged trace", "empty trace", "bad audio"],
)
def test_what_is_wrong_is_named(tmp_path, case):
    folder, clean, message = failing(tmp_path, case)
    with pytest.raises(InputError, match=message) as caught:
        read_set(folder, clean)
    assert exit_code(caught.value) == 2


def test_speech_that_has_lost_its_packets_already_is_refused(tmp_path):
    silenced = SPEECH[16000 : 16000 + 1600].copy()
    silenced[320:960] = 0
    (item,) = read_set(put(tmp_path / "set", "a", 5, "01100", silenced))
    with pytest.raises(InputError, match=r"a.wav: what the trace calls lost is silence here already; .*/clean"):
        read_speech(item)
    put(tmp_path / "clean", "a", 5, pcm=SPEECH[16000 : 16000 + 1600])
    (item,) = read_set(tmp_path / "set")
    np.testing.assert_array_equal(read_speech(item), SPEECH[16000 : 16000 + 1600])


@pytest.mark.parametrize("trace", ["00000", "01100", None])
def test_speech_as_it_was_spoken_is_read(tmp_path, trace):
    (item,) = read_set(put(tmp_path, "a", 5, trace, SPEECH[16000 : 16000 + 1600]))
    assert len(read_speech(item)) == 1600
    silence = read_set(put(tmp_path, "a", 5, trace, np.zeros(1600, np.int16)))[0]
    assert not read_speech(silence).any()  # nothing to tell there


def test_traces_of_a_file_and_of_a_folder(tmp_path):
    put(tmp_path, "a", 5, "01100")
    assert read_traces(tmp_path / "a_is_lost.txt") == {"a_is_lost.txt": LOST}
    assert read_traces(tmp_path) == {"a": LOST}
    (tmp_path / "a.wav").unlink()
    assert read_traces(tmp_path) == {"a": LOST}
    with pytest.raises(InputError, match=r"no loss traces in it; expected NAME_is_lost\.txt"):
        read_traces(put(tmp_path / "speech", "a", 5))


def test_a_matching_trace(tmp_path):
    put(tmp_path, "a", 5, "0110")
    assert read_matching(tmp_path / "a_is_lost.txt", tmp_path / "a.wav") == list(LOST)


@pytest.mark.parametrize("text", ["{", "[]", '"text"'])
def test_a_damaged_manifest(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(InputError, match=r"manifest\.json: "):
        read_manifest(tmp_path)
    with pytest.raises(InputError, match="not a readable manifest"):
        read_manifest(tmp_path / "none")


@pytest.mark.parametrize(
    ("from_ms", "to_ms", "expected"),
    [
        (20, 20, "01100"),
        (20, 10, "0011110000"),
        (20, 40, "110"),
        (20, 60, "10"),
        (40, 20, "0011110000"),
        (10, 20, "110"),
        (60, 40, "01111000"),
    ],
)
def test_other_packet_durations(from_ms, to_ms, expected):
    assert "".join(str(int(lost)) for lost in retime(LOST, from_ms, to_ms)) == expected


durations = st.sampled_from([10, 20, 40, 60])


@given(st.lists(st.booleans(), min_size=1, max_size=50), durations, durations)
def test_no_loss_is_ever_dropped_and_time_stays(lost, from_ms, to_ms):
    other = retime(lost, from_ms, to_ms)
    assert 0 <= len(other) * to_ms - len(lost) * from_ms < to_ms
    assert any(other) == any(lost) and (all(other) or not all(lost))
    assert sum(other) * to_ms >= sum(lost) * from_ms
    if from_ms % to_ms == 0:
        assert retime(other, to_ms, from_ms) == lost


@given(st.lists(st.booleans(), min_size=1, max_size=50))
def test_a_saved_trace_is_read_back(tmp_path_factory, lost):
    path = tmp_path_factory.mktemp("trace") / "a.txt"
    save_trace(path, lost)
    assert read_traces(path) == {"a.txt": tuple(lost)}
