# SPDX-License-Identifier: BSD-2-Clause
"""`dredge report`: saved results of every kind become pages; what is no result is refused in one sentence."""

import json

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from dredge_host.cli import main
from dredge_host.report import document

LIVE = {
    "schema": "dredge.stream/1",
    "settings": {"adaptive": False},
    "frames": {"by_source": {"opus": 8, "dred": 2}, "total": 10, "reasons": {}},
    "timeline": [[i, "dred" if i in (4, 5) else "opus", 200, 500] for i in range(10)],
}
SIMULATED = {
    "schema": "dredge.simulate/1",
    "settings": {"loss": "harsh", "adaptive": False},
    "packets": 10,
    "frames": {"opus": 8, "dred": 2},
    "loss": {"rate": 0.2, "bursts": 1, "longest_burst_ms": 40.0},
    "seed": 3,
    "bitrate_total_bps": 60000.0,
    "bitrate_bps": {"speech": 24000.0, "dred": 36000.0},
    "alignment": {"opus_lookahead_samples": 100},
    "simd_level": "scalar",
    "cpu": {"pipeline_seconds": 1.0, "machine": {"cores": 2},
            "receiver_us_per_packet": {"min": 1.0, "p50": 100.0, "p95": 200.0, "p99": 300.0, "max": 400.0}},
    "timeline": LIVE["timeline"],
}  # fmt: skip


def dredge(*words):
    return CliRunner().invoke(main.cli, ["report", *map(str, words)])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("in", "out", "plc")):
        pcm = (500 * np.random.default_rng(number).standard_normal(3200)).astype(np.int16)
        soundfile.write(tmp_path / f"{name}.wav", pcm, 16000)
    return tmp_path


def save(folder, result):
    path = folder / "run.json"
    path.write_text(json.dumps(result))
    return path


def test_sounds_are_found_by_the_names_in_the_result(folder):
    path = save(folder, {**SIMULATED, "input": "in.wav", "output": "out.wav"})
    run = dredge(path, "--json")
    assert run.exit_code == 0, run.output
    result = json.loads(run.stdout)
    assert result["schema"] == "dredge.report/1" and result["signals"] == ["original", "received"]
    assert result["size_bytes"] == (folder / "report.html").stat().st_size
    page = (folder / "report.html").read_text()
    for text in ("20.0 % packet loss", "Lost on the way", "longest burst 40 ms", "0.30 ms", "36.00 kb/s", "harsh"):
        assert text in page, text


def test_a_demos_sounds_lie_beside_its_result(folder, tmp_path_factory, monkeypatch):
    path = save(folder, {**LIVE, "schema": "dredge.demo/1", "files": {"dred": "out.wav", "gone": "gone.wav"}})
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    run = dredge(path, "--out", "page.html", "--json")
    assert json.loads(run.stdout)["signals"] == ["dred"]


def test_named_sounds_come_in_their_order_and_instead_of_the_results(folder):
    path = save(folder, {**SIMULATED, "input": "in.wav", "output": "out.wav"})
    run = dredge(path, "-o", "p.html", "--wav", "plc=plc.wav", "--wav", "mine=in.wav")
    assert run.exit_code == 0 and run.stdout.endswith("MB with plc, mine\n")
    assert (folder / "p.html").read_text().count("<audio") == 2


def test_other_rates_are_converted_with_a_note(folder):
    soundfile.write(folder / "slow.wav", np.zeros(800, np.int16), 8000)
    run = dredge(save(folder, LIVE), "--wav", "original=slow.wav")
    assert run.exit_code == 0 and "note: slow.wav: converted from 8000 Hz" in run.stderr


def test_a_recording_is_moved_to_its_place(folder):
    from dredge_host.cli.measure.report import _aligned

    recording = np.arange(1, 3201, dtype=np.int16)
    late = {**LIVE, "timeline": [row for row in LIVE["timeline"] if row[0] >= 2]}
    moved = _aligned(late, recording, {"original": np.zeros(3200, np.int16)})
    start = 2 * 320 - 104
    assert not moved[:start].any() and moved[start] == 1 and len(moved) == start + 3200
    adaptive = {**late, "settings": {"adaptive": True}}
    np.testing.assert_array_equal(_aligned(adaptive, recording, {}), recording)
    run = dredge(save(folder, late), "--wav", "original=in.wav", "--recording", "out.wav", "--json")
    assert json.loads(run.stdout)["signals"] == ["original", "received"]


def test_no_sound_is_a_page_without_players(folder):
    run = dredge(save(folder, LIVE))
    assert run.exit_code == 0 and "no sound was found" in run.stderr
    assert "<audio" not in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not a JSON file; save one with --json"),
        ("[1]", "schema is None, expected one of dredge.demo/1"),
        ('{"schema": "dredge.stream/1"}', "there is no result in it; expected the whole document"),
        ('{"schema": "dredge.bench/1"}', "schema is 'dredge.bench/1', expected one of"),
        ('{"schema": ["x"]}', r"schema is ['x'], expected one of"),
    ],
)
def test_what_is_no_result_is_refused(folder, text, sentence):
    (folder / "run.json").write_text(text)
    run = dredge("run.json")
    assert run.exit_code == 2 and sentence in run.stderr
    assert not (folder / "report.html").exists()


def test_wrong_arguments_are_one_sentence(folder):
    path = save(folder, LIVE)
    for words, sentence in (
        ([folder / "no.json"], "no.json: No such file"),
        ([path, "--wav", "in.wav"], "wav is 'in.wav', expected NAME=FILE"),
        ([path, "--wav", "a=no.wav"], "no.wav: there is no such audio file"),
        ([path, "--recording", "no.wav"], "no.wav: there is no such audio file"),
        ([path, "-o", "no/r.html"], "the folder no does not exist"),
    ):
        run = dredge(*words)
        assert run.exit_code == 2 and sentence in run.stderr, words
        assert run.stderr.count("\n") <= 2
    assert not (folder / "report.html").exists()


def test_a_simulation_has_the_shape_of_a_stream():
    got = document.normal(SIMULATED)
    assert got["stream"]["loss"]["measured_pct"] == 20.0 and got["stream"]["loss"]["model"] == "harsh"
    assert got["cpu"] == {"p50_us": 100.0, "p95_us": 200.0, "p99_us": 300.0, "max_us": 400.0}
    assert got["frames"] == {"by_source": {"opus": 8, "dred": 2}, "total": 10, "reasons": {}}
    assert got["environment"]["host"] == {"cores": 2, "simd": "scalar", "pipeline_seconds": 1.0}
    assert document.lookahead(got) == 100 and document.lookahead(LIVE) == 104
    assert document.normal(LIVE) == LIVE


@given(st.dictionaries(st.sampled_from(list(SIMULATED)), st.one_of(st.none(), st.text(), st.integers(), st.lists(
    st.integers()), st.dictionaries(st.text(), st.integers()))))  # fmt: skip
def test_a_broken_simulation_is_survived(broken):
    document.normal({**SIMULATED, **broken, "schema": "dredge.simulate/1"})


def test_a_replayed_capture_is_no_sound(folder):
    (folder / "call.pcap").write_bytes(b"\xd4\xc3\xb2\xa1" + bytes(20))
    files = document.sound_files({"input": str(folder / "call.pcap"), "output": "out.wav"}, folder)
    assert list(files) == ["received"]


@pytest.mark.parametrize("playout", ["fixed:200", "adaptive"])
def test_from_a_simulation_to_its_page(folder, playout):
    """The whole way with the real pipeline: speech, losses, result, page."""
    from dredge_host.sending.audio import bundled_clip, read_audio, write_audio

    with bundled_clip() as clip:
        write_audio(folder / "speech.wav", read_audio(clip).pcm[: 2 * 16000])
    words = ["simulate", "speech.wav", "heard.wav", "--loss", "burst:ms=100,every=500ms", "--json"]
    result = json.loads(CliRunner().invoke(main.cli, [*words, "--playout", playout]).stdout)
    assert len(result["timeline"]) == result["packets"] - result["frames"]["silence"]
    assert dredge(save(folder, result)).exit_code == 0
    page = (folder / "report.html").read_text()
    assert page.count("<audio") == 2 and page.count('class="marks"') == 2
    assert 'class="bar b-dred"' in page and "Buffer delay" in page and "CPU time per packet" in page
    assert ("Playout was adaptive" in page) == (playout == "adaptive")
