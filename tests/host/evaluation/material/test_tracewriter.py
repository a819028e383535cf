# SPDX-License-Identifier: BSD-2-Clause
"""Sets of traces are written: the same seed, the same bytes; all of it or nothing; never over what is not ours."""

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from trace_sets import SPEECH

from dredge_host.errors import InputError
from dredge_host.evaluation.material.clips import Clip as Speech
from dredge_host.evaluation.material.traces import STRATA, draw_trace
from dredge_host.evaluation.material.traceset import read_manifest, read_set
from dredge_host.evaluation.material.tracewriter import changed_files, checksum, draw_clips, silenced, write_set
from dredge_host.sending.loss_statistics import measure_loss

LONG = np.tile(SPEECH, 2)  # 8 s


def pieces(count: int) -> list[Speech]:
    return [Speech(f"clip{number}.flac", "clip.flac", np.roll(LONG, 999 * number)) for number in range(count)]


def written(folder: Path, count: int = 3, seed: int = 1, stratum: str = "all", **options) -> dict:
    return write_set(folder, draw_clips(pieces(count), seed, stratum), seed=seed, **options)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("lossy", [False, True])
def test_what_is_written_is_read_back(tmp_path, lossy):
    document = written(tmp_path / "set", lossy=lossy)
    items = read_set(tmp_path / "set")
    assert [item.name for item in items] == ["0001_short", "0002_medium", "0003_long"]
    for item, piece, row, stratum in zip(items, pieces(3), document["clips"], STRATA, strict=True):
        np.testing.assert_array_equal(soundfile.read(item.path, dtype="int16")[0], piece.pcm)
        stats = measure_loss(item.lost)
        assert stats.packets == 400 == row["packets"]
        assert stratum.shortest_ms < stats.longest_burst * 20 == row["longest_burst_ms"] <= stratum.longest_ms
        assert row["loss_pct"] == pytest.approx(100 * stats.rate, abs=1e-3) and row["source"] == piece.name
        assert item.lost == draw_trace(stratum, 400, 1000 + int(item.name[:4]) - 1).lost  # replayed from its seed
        assert (item.lossy is not None) == lossy
        if lossy:
            np.testing.assert_array_equal(soundfile.read(item.lossy, dtype="int16")[0], silenced(piece.pcm, item.lost))
    assert read_manifest(tmp_path / "set") == document and document["schema"] == "dredge.traces/1"


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        written(tmp_path / name, seed=seed, lossy=True)
    assert content(tmp_path / "a") == content(tmp_path / "b")
    different = content(tmp_path / "c")
    assert {k for k, v in content(tmp_path / "a").items() if v != different[k]} >= {
        "manifest.json", "lossy/0001_short_is_lost.txt", "lossy/0003_long.wav",
    }  # fmt: skip


def test_the_bytes_are_these_on_every_machine(tmp_path):
    """A set of silence, pinned: speech aside, the seed decides (and STRATA: change the pin with them)."""
    silence = [Speech("silence", "silence", np.zeros(8 * 16000, np.int16)) for _ in range(3)]
    write_set(tmp_path / "set", draw_clips(silence, 1), seed=1)
    size = 2 * 8 * 16000
    head = struct.pack(
        "<4sI8sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVEfmt ", 16, 1, 1, 16000, 32000, 2, 16, b"data", size
    )
    assert (tmp_path / "set" / "0001_short.wav").read_bytes() == head + bytes(size)
    pinned = "fba3e8e5caf3b0e794d22c77678e9ec9c93db9101683e2aae579f16c2055b95b"
    assert checksum(tmp_path / "set" / "manifest.json") == pinned  # it holds the digests of all other files


@pytest.mark.parametrize("stratum", ["short", "medium", "long"])
def test_one_stratum_alone(tmp_path, stratum):
    document = written(tmp_path / "set", 2, stratum=stratum)
    assert {clip["stratum"] for clip in document["clips"]} == {stratum}
    assert len({clip["trace_seed"] for clip in document["clips"]}) == 2


def test_speech_too_short_for_its_losses_is_named():
    short = [Speech("word.flac", "word.flac", SPEECH[: 10 * 320])]
    with pytest.raises(InputError, match=r"word.flac: 0.2 s are too short for long losses \(bursts of 320 to 1000 ms"):
        list(draw_clips(short, 1, "long"))


def test_an_interrupted_set_leaves_nothing(tmp_path):
    def clips():
        yield from draw_clips(pieces(1), 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_set(tmp_path / "set", clips(), seed=1)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_replacement_leaves_the_old_set(tmp_path):
    written(tmp_path / "set")
    before = content(tmp_path)

    def clips():
        yield from draw_clips(pieces(1), 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_set(tmp_path / "set", clips(), seed=2, force=True)
    assert content(tmp_path) == before


def test_a_set_is_replaced_only_with_force(tmp_path):
    written(tmp_path / "set", 3, lossy=True)
    with pytest.raises(InputError, match="set: exists already; choose another name, or --force"):
        written(tmp_path / "set", 1)
    written(tmp_path / "set", 1, force=True)
    assert set(content(tmp_path)) == {"set/0001_short.wav", "set/0001_short_is_lost.txt", "set/manifest.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("manifest", [None, '{"schema": "another"}'])
def test_force_leaves_alone_what_is_no_set(tmp_path, manifest):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    if manifest:
        (tmp_path / "home" / "manifest.json").write_text(manifest)
    before = content(tmp_path)
    with pytest.raises(InputError, match=r"home: not a set of traces .*, so --force leaves it alone"):
        written(tmp_path / "home", force=True)
    assert content(tmp_path) == before


def test_a_folder_that_cannot_be_made(tmp_path):
    with pytest.raises(InputError, match=r"the folder .*none does not exist"):
        written(tmp_path / "none" / "set")


def test_changed_files_are_found(tmp_path):
    written(tmp_path / "set", lossy=True)
    assert changed_files(tmp_path / "set") == []
    with (tmp_path / "set" / "lossy" / "0001_short_is_lost.txt").open("a") as trace:
        trace.write("0\n")
    (tmp_path / "set" / "clean" / "0002_medium.wav").unlink()
    assert changed_files(tmp_path / "set") == [
        "lossy/0001_short_is_lost.txt: changed since the set was made",
        "clean/0002_medium.wav: missing",
    ]
    assert changed_files(tmp_path) == []  # no manifest, nothing to compare with


def test_silence_takes_the_place_of_lost_packets():
    quiet = silenced(SPEECH[:1000], [False, True, False, True])
    assert not quiet[320:640].any() and not quiet[960:].any()
    np.testing.assert_array_equal(quiet[:320], SPEECH[:320])
    np.testing.assert_array_equal(quiet[640:960], SPEECH[640:960])


def test_the_manifest_says_where_a_trace_comes_from(tmp_path):
    written(tmp_path / "set", seed=9)
    document = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert document["seed"] == 9 and document["packet_ms"] == 20 and document["rate_hz"] == 16000
    assert [stratum["spec"] for stratum in document["strata"]] == [stratum.spec for stratum in STRATA]
    assert not any(str(tmp_path) in str(value) for value in document.values())
