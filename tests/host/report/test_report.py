# SPDX-License-Identifier: BSD-2-Clause
"""The report page: complete for a full result, tolerant of a poor one, closed to the network."""

import base64
import hashlib
import html
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_device.pi.output.files import OutputError
from dredge_host.report import render, write_report

VOID = {"meta", "img", "input", "br", "rect", "path", "link"}
FULL = {
    "schema": "dredge.demo/1",
    "verdict": {
        "pass": False,
        "checks": [
            {"name": "late packets", "pass": True, "value": 0, "limit": 3, "at_least": False, "unit": "packets"},
            {"name": "recovered", "pass": False, "value": 61.25, "limit": 80, "at_least": True, "unit": "%"},
        ],
    },
    "gain": "15 of 20 lost packets were rebuilt.",
    "quality": {"plcmos": {"dred": 3.5, "opus": 3.0, "clean": 4.0}, "missing": []},
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
    assert "script-src 'sha256-" in page
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
        "Lost packets rebuilt", "75.0 %", "15 of 20 packets, from redundancy", "p95 980 ms",
        "20 lost packets were", "Quality, PLCMOS", "3.00 with Opus' concealment, 4.00 without loss; 50 % regained",
        "at least 80 %", "at most 3 packets", "for 300 ms, at 0.40 s, no packet arrived",
        "Press A (Received, with DRED) and B (Original), back and forth.",
    ):  # fmt: skip
        assert text in words, text


def test_gaps_are_marked_on_every_spectrogram_in_the_colour_of_what_filled_them():
    page = render(FULL, {"original": tone(), "dred": tone(), "plc": tone(), "opus": tone(), "mine": tone()})
    marks = re.findall(r'<svg class="marks".*?</svg>', page)
    kinds = [re.findall(r'class="bar (b-\w+)" d="([^"]+)"', mark) for mark in marks]
    place = "M20 0H35M20 100H35"
    assert kinds == [[(kind, place)] for kind in ("b-none", "b-dred", "b-plc", "b-conceal", "b-none")]


def test_legend_counts_every_source_that_occurs():
    rows = [[i, source, 40, 1] for i, source in enumerate(["opus", "opus", "skipped", "dtx", "lbrr"])]
    words, _ = check(render({"timeline": rows}, {}))
    legend = re.search(r'class="legend".*?</ul>', render({"timeline": rows}, {})).group(0)
    assert re.findall(r'swatch k-(\w+)"></span>[^<]*<span class="count">(\d+)', legend) == [
        ("opus", "2"), ("lbrr", "1"), ("dtx", "1"), ("skipped", "1"),
    ]  # fmt: skip
    assert "given up (adaptive playout)" in words and "2 did not arrive" in legend


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
    assert json.loads(data)["letters"] == "o"
    assert json.loads(data)["delay_ms"] == [[None, 1]] and json.loads(data)["cpu_us"] == [-1]
    check(page)


def test_the_policy_names_the_scripts_hash_and_no_other_script_is_there():
    page = render(FULL, {"original": tone(), "dred": tone()})
    script = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'\"" in page
    assert not re.search(r"\son\w+=", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)), "no inline handlers"


def test_counters_are_folded_and_checks_while_they_hold():
    def opened(page, summary):
        return re.search(rf"<details( open)?><summary>{summary}</summary>", page).group(1) is not None

    page = render(FULL, {})
    assert opened(page, "Checks") and not opened(page, "Where it ran") and not opened(page, "Result as JSON")
    assert not opened(render({**FULL, "verdict": {**FULL["verdict"], "pass": True}}, {}), "Checks")


def test_quality_is_not_said_where_nothing_was_measured():
    words, _ = check(render({**FULL, "quality": {"missing": ["x"]}}, {}))
    assert "Quality" not in words and "regained" not in words


HOSTILE = ["</script><script>alert(1)</script>", "<!--", "]]>", "' onload='alert(1)", '"><svg onload=alert(1)>',
           "</style>", "{0}{body}", "&lt;b&gt;", "\u2028\u2029", "x" * 5000]  # fmt: skip


@pytest.mark.parametrize("evil", HOSTILE)
def test_hostile_text_stays_text_wherever_it_stands(evil):
    result = {
        "schema": evil, "settings": {evil: evil, "adaptive": evil}, "files": {evil: evil}, "models": {evil: evil},
        "verdict": {"pass": False, "checks": [{"name": evil, "value": evil, "limit": evil, "unit": evil}]},
        "stream": {"loss": {evil: evil, "burst_histogram": {evil: evil}}, "bitrate_bps": {evil: evil},
                   "accounting": {evil: evil}, "line": {evil: evil}, evil: evil},
        "frames": {"by_source": {evil: 1}, "reasons": {evil: evil}, "total": evil},
        "cpu": {evil: evil, "stages": {evil: {"p50_us": 1, "p95_us": 1, "p99_us": 1, "max_us": 1}},
                "histogram": {"edges_us": [evil], "counts": [evil]}, "late_frames": evil},
        "environment": {evil: {evil: evil}, "loose": evil},
        "device_report": {"packets": {evil: evil}, "output": {"pacing": {evil: evil}}},
        "timeline": [[0, "opus", evil, evil], [1, "dred", 5, 5]],
    }  # fmt: skip
    page = render(result, {evil: tone(3), "dred" + evil: tone(3)})
    words, _ = check(page)
    assert page.count("<script") == page.count("</script>") == 2 and page.count("</style>") == 1
    assert html.unescape(evil) in html.unescape(words)
    assert json.loads(re.search(r'id="data">(.*?)</script>', page).group(1))["signals"].keys() == {evil, "dred" + evil}


ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)


@given(st.fixed_dictionaries({}, optional={key: ANY for key in [*FULL, "settings", "device_report", "seconds"]}))
@settings(max_examples=60, deadline=None)
def test_any_document_gives_a_page(document):
    check(render(document, {}))


def test_a_long_run_makes_a_bounded_page():
    rng = np.random.default_rng(3)
    lost = rng.random(30000) < 0.2
    rows = [[i, "dred" if gone else "opus", 900 + i % 7, 300 + i % 11] for i, gone in enumerate(lost)]
    speech = np.resize((2000 * rng.standard_normal(16000)).astype(np.int16), 600 * 16000)
    page = render({"timeline": rows}, {"original": speech[:0], "dred": speech, "plc": speech[:16000]})
    pictures = sum(map(len, re.findall(r"data:image[^\"]*", page)))
    drawings = sum(map(len, re.findall(r"<svg.*?</svg>", page)))
    audio = sum(map(len, re.findall(r"data:audio[^\"]*", page)))
    assert pictures < 3 * 350_000 and drawings < 1_500_000 and len(page) - audio < 3_000_000
    assert page.count("<path") < 60 and page.count("<rect") < 300
    assert "data:audio/ogg" in page and "Ogg Vorbis, not bit by bit" in page
    assert audio < 600 * 16000, "half of the samples' own bytes"


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
    with pytest.raises(OutputError, match="the folder"):
        write_report(tmp_path / "no" / "r.html", {}, {})
