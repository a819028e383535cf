# SPDX-License-Identifier: BSD-2-Clause
"""The loss scenario: what the picture shows is what the packets carried and the receiver did."""

import base64

import numpy as np
import pytest

from dredge_host.errors import InputError, UsageError
from dredge_host.figures import scenario, scenariodraw, style
from dredge_host.sending.audio import bundled_clip, read_audio


@pytest.fixture(scope="module")
def clip():
    with bundled_clip() as path:
        return read_audio(path).pcm


@pytest.fixture(scope="module")
def found(clip):
    return scenario.measure(clip)


def way(found, method):
    return next(w for w in found["ways"] if w["method"] == method)


def test_one_burst_and_one_single_loss(found):
    lost = "".join("x" if gone else "." for gone in found["lost"])
    assert lost == "." * 52 + "x" * 12 + "." * 6 + "x" + "." * 7


def test_only_what_was_lost_is_recovered_or_concealed(found):
    for each in found["ways"]:
        for gone, source in zip(found["lost"], each["sources"], strict=True):
            assert (source != "opus") == gone


def test_without_redundancy_everything_is_concealed(found):
    sources = way(found, "opus")["sources"]
    assert sources.count("conceal") == 13
    assert not any(way(found, "opus")["carries_ms"])


def test_lbrr_brings_back_at_most_the_packet_before_the_one_that_arrives(found):
    sources = way(found, "lbrr")["sources"]
    back = [n for n, source in enumerate(sources) if source == "lbrr"]
    assert back and set(back) <= {63, 70}
    assert set(way(found, "lbrr")["carries_ms"]) <= {0.0, 20.0}


def test_dred_brings_back_the_whole_burst(found):
    assert way(found, "dred")["sources"].count("dred") == 13
    carried = way(found, "dred")["carries_ms"]
    assert max(carried) >= 1000 and carried[-1] >= 1000


def test_more_redundancy_costs_more(found):
    opus, lbrr, dred = (way(found, m)["bitrate_total_bps"] for m in ("opus", "lbrr", "dred"))
    assert opus < lbrr and opus < dred


def test_all_signals_are_as_long_as_the_packets_shown(found):
    for text in (found["original_s16_base64"], *(w["played_s16_base64"] for w in found["ways"])):
        assert len(base64.b64decode(text)) == 2 * 320 * len(found["lost"])


def test_the_gap_holds_speech(found):
    pcm = np.frombuffer(base64.b64decode(found["original_s16_base64"]), "<i2").astype(float)
    levels = np.sqrt((pcm.reshape(-1, 320) ** 2).mean(axis=1))
    assert levels[52:64].min() > 100


@pytest.mark.parametrize("burst", [0, 19, 1001])
def test_a_burst_of_another_length_is_refused(clip, burst):
    with pytest.raises(UsageError, match=f"burst is {burst} ms, expected 20 to 1000 ms"):
        scenario.measure(clip, burst)


def test_too_little_speech_is_refused(clip):
    with pytest.raises(InputError, match=r"the speech is 1\.0 s long, the scenario needs"):
        scenario.measure(clip[:16000])


def test_lines_lead_to_the_first_packet_that_reaches():
    lost = [False, True, True, False, False]
    helpers = scenariodraw._helpers(["opus", "dred", "dred", "opus", "opus"], lost, [0, 0, 0, 20, 80], 20)
    assert helpers == {1: 4, 2: 3}


def test_the_picture_tells_rates_and_shares(found):
    pytest.importorskip("matplotlib", reason="needs matplotlib: dredge extras add report")
    picture = style.svg(scenariodraw.draw, found)
    assert picture == style.svg(scenariodraw.draw, found)
    text = picture.decode()
    assert "13 of 13 lost packets come back" in text and "0 of 13 lost packets come back" in text
    assert len(picture) < 600_000  # it is kept in the repository
