# SPDX-License-Identifier: BSD-2-Clause
"""The report page: complete for a full result, tolerant of a poor one, closed to the network."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_host.errors import InputError
from dredge_host.report import render, timeline_rows, write_report

VOID = {"meta", "img", "input", "br", "rect", "path", "link"}
FULL = {
    "schema": "dredge.demo/1",
    "verdict": {
        "pass": False,
        "checks": [
            {"name": "late packets", "pass": True, "value": 0, "limit": 0, "unit": ""},
            {"name": "recovered", "pass": False, "value": 61.25, "limit": 80, "unit": "%"},
        ],
    },
    "stream": {
        "loss": {"spec": "burst:ms=300", "seed": 7, "measured_pct": 19.6, "bursts": {"n": 15}},
        "redundancy_s": 1.0,
        "playout_ms": 1000,
        "bitrate_total_bps": 56000,
        "bitrate_bps": {"speech": 24000, "lbrr": 0, "dred": 26000, "headers": 6000},
    },
    "frames": {"total": 100, "by_source": {"opus": 80, "dred": 15, "plc": 5}, "reasons": {"late": 5}},
    "timeline": [[i, "dred" if 20 <= i < 35 else "opus", 980.0, 800 + i] for i in range(100)],
    "cpu": {"p50_us": 850, "p95_us": 890, "p99_us": 898, "max_us": 899, "late_frames": 0,
            "period_us": 20000,
            "histogram": {"edges_us": [0, 850, 900], "counts": [50, 50]}},
    "environment": {"board": "test bench", "simd": "scalar"},
    "models": ["rdovae 1", {"name": "lpcnet", "sha256": "ab"}],
}  # fmt: skip


class Checker(HTMLParser):
    """Fails on tags that do not nest, and collects ids, attributes and visible text."""

    def __init__(self):
        super().__init__()
        self.stack, self.ids, self.urls, self.words = [], [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.stack.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value)
            if key in ("src", "href"):
                self.urls.append(value)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.stack.pop() == tag

    def handle_data(self, data):
        if not self.stack or self.stack[-1] not in ("script", "style"):
            self.words.append(data)


def check(page):
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.stack == []
    assert len(set(checker.ids)) == len(checker.ids)
    assert all(url.startswith("data:") for url in checker.urls)
    assert not re.search(r"https?://|@import|url\(", page)
    return " ".join(checker.words), checker


def tone(packets=100, hertz=300):
    return (4000 * np.sin(2 * np.pi * hertz * np.arange(packets * 320) / 16000)).astype(np.int16)


def test_full_result_shows_everything():
    words, checker = check(render(FULL, {"original": tone(), "dred": tone(hertz=500)}))
    assert checker.ids[0] == "verdict"
    for text in (
        "FAIL", "failed: recovered", "61.25 %", "19.6 % packet loss", "deep redundancy (DRED)",
        "15.0 %", "0.85 ms", "of the 20 ms period", "26.00 kb/s", "56.00 kb/s", "test bench",
        "Original", "Received, with DRED", "Buffer delay", "name lpcnet, sha256 ab", "late",
    ):  # fmt: skip
        assert text in words, text


def test_timeline_colours_the_dred_lane_only():
    page = render(FULL, {"original": tone(), "dred": tone(), "plc": tone()})
    bands = re.findall(r'<svg class="gaps".*?</svg>', page)
    assert [("s-dred" in b, 'class="gap"' in b) for b in bands] == [
        (False, True), (True, False), (False, True),
    ]  # fmt: skip
    assert all('x="20" y="0" width="15"' in band for band in bands)


def test_audio_is_bit_exact_inside_the_page():
    pcm = np.random.default_rng(5).integers(-32768, 32768, 3210).astype(np.int16)
    page = render({}, {"original": pcm})
    data = re.search(r'src="data:audio/flac;base64,([^"]+)"', page).group(1)
    decoded, rate = soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="int16")
    assert rate == 16000
    np.testing.assert_array_equal(decoded, pcm)


@pytest.mark.parametrize("key", list(FULL))
def test_any_part_may_be_missing(key):
    part = {k: v for k, v in FULL.items() if k != key}
    check(render(part, {}))
    check(render({key: FULL[key]}, {"dred": tone(10)}))
    check(render({**FULL, key: None}, {"dred": tone(10)}))


def test_nothing_at_all_is_still_a_page():
    words, _ = check(render({}, {}))
    assert "Dredge" in words


def test_text_from_outside_cannot_become_markup():
    evil = '</script><img src=x onerror=alert(1)>"&'
    result = {
        "verdict": {"pass": True, "checks": [{"name": evil, "pass": True, "value": evil}]},
        "stream": {"loss": {"spec": evil}, "bitrate_bps": {evil: 1}},
        "frames": {"by_source": {evil: 1}, "reasons": {evil: 2}},
        "environment": {evil: evil},
        "models": [evil],
        "timeline": [[0, evil, 1, 1], [1, "opus", evil, None]],
    }
    page = render(result, {evil: tone(3)})
    check(page)
    assert "<img src=x" not in page
    assert page.count("</script>") == 2


def test_numbers_json_cannot_hold():
    result = {"cpu": {"p50_us": float("nan")}, "environment": {"load": float("inf")},
              "frames": {"by_source": {"opus": np.int64(3)}},
              "timeline": [[0, "opus", float("nan"), np.float32(5.0)]]}  # fmt: skip
    page = render(result, {})
    data = re.search(r'id="data">(.*?)</script>', page).group(1)
    assert json.loads(data)["rows"] == [[0, 0, None, None]]
    check(page)


def test_rows_are_sorted_and_bad_ones_left_out():
    rows = timeline_rows(
        {"timeline": [[2, "opus", 1, 2], [0, "dred"], [-1, "opus", 1, 1], [1, "magic", 1, 1],
                      "nonsense", [None, "opus", 1, 1], [3]]}
    )  # fmt: skip
    assert [(r.packet, r.source, r.delay_ms) for r in rows] == [(0, "dred", None), (2, "opus", 1.0)]


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.text(),
            st.lists(
                st.one_of(
                    st.integers(), st.floats(), st.none(), st.sampled_from(["opus", "dred", "x"])
                )
            ),
        )
    )
)
@settings(max_examples=60, deadline=None)
def test_any_timeline_is_survived(timeline):
    rows = timeline_rows({"timeline": timeline})
    assert all(r.packet >= 0 for r in rows)


def test_write_report_reads_files_and_skips_absent_ones(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), 16000)
    wavs = {"original": tmp_path / "a.wav", "plc": tmp_path / "absent.wav"}
    path = write_report(tmp_path / "r.html", FULL, wavs)
    page = path.read_text(encoding="utf-8")
    assert page.count("<audio") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.wav", "r.html"]


def test_other_rates_and_folders_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), 8000)
    with pytest.raises(ValueError, match=r"a\.wav: the report needs 16000 Hz, this is 8000 Hz"):
        write_report(tmp_path / "r.html", {}, {"original": tmp_path / "a.wav"})
    with pytest.raises(InputError):
        write_report(tmp_path / "no" / "r.html", {}, {})
