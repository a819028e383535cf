# SPDX-License-Identifier: BSD-2-Clause
"""Folders and manifests as other systems leave them."""

import os

import numpy as np
import pytest
import soundfile

from dredge_device.pi.security.session_keys import read_key
from dredge_device.pi.text import decode, read_text
from dredge_host.errors import InputError
from dredge_host.evaluation.material.clips import english_files, read_clips
from dredge_host.evaluation.material.folder import manifest_rows, speech_files
from dredge_host.evaluation.material.traceset import read_set
from dredge_host.sending.loss import read_trace


def speech(path):
    soundfile.write(path, (2000 * np.sin(np.arange(16000) / 7)).astype(np.int16), 16000)


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "s"
    place.mkdir()
    for name in "ab":
        speech(place / f"{name}.flac")
    return place


def junk(folder):
    (folder / "._a.flac").write_bytes(b"\0\5\26\7Mac OS X")
    (folder / "mac.wav").write_bytes(b"\0\5\26\7Mac OS X" + bytes(100))
    (folder / "empty.wav").touch()
    (folder / "dangling.wav").symlink_to("nothing")
    (folder / "loop.wav").symlink_to("loop.wav")
    (folder / "folder.wav").mkdir()
    os.mkfifo(folder / "fifo.wav")


def test_what_is_no_speech_is_left_out_and_said(folder):
    junk(folder)
    notes = []
    assert [path.name for path in speech_files(folder, notes)] == ["a.flac", "b.flac"]
    assert len(notes) == 7 and all(note.startswith("left out: ") for note in notes)
    assert len(read_set(folder)) == 2


def test_a_damaged_file_costs_a_note_and_not_the_evaluation(folder):
    (folder / "0.flac").write_bytes(b"fLaC" + bytes(500))
    found, notes = read_clips(folder, 2, 0.5)
    assert [clip.name for clip in found] == ["a.flac", "b.flac"]
    assert len(notes) == 1 and "0.flac: not a readable" in notes[0]
    for name in ("a.flac", "b.flac"):
        (folder / name).write_bytes(b"fLaC" + bytes(500))
    with pytest.raises(InputError, match=r"0\.flac: not a readable"):
        read_clips(folder, 2, 0.5)


def test_names_that_are_no_utf8(folder):
    speech(folder / "c.flac")
    os.rename(os.fsencode(folder / "c.flac"), os.path.join(os.fsencode(folder), b"c\xff.flac"))
    found, notes = read_clips(folder, 0, 0.5)
    assert len(found) == 3 and not notes


def test_speech_below_the_folder_is_pointed_at(folder):
    (folder / "19").mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.flac").rename(folder / "19" / f"{name}.flac")
    with pytest.raises(InputError, match=r"there are some in .*19"):
        read_clips(folder, 0, 0)


ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_manifest_that_any_spreadsheet_wrote(folder, encoding, separator, end):
    lines = ["File,Language,speaker", "a.flac,en,René", "sub\\b.flac,de-AT", "", "c.flac"]
    (folder / "MANIFEST.csv").write_bytes(end.join(lines).replace(",", separator).encode(encoding))
    rows = manifest_rows(folder)
    assert [row["file"] for row in rows] == ["a.flac", "sub/b.flac", "c.flac"]
    assert rows[0]["speaker"] == "René" and rows[2]["language"] == ""
    assert english_files(folder, []) == {"a.flac"}


@pytest.mark.parametrize("text", ["", "\n", "filename,lang\na.flac,en\n", "\0\0\0", '"'])
def test_somebody_elses_manifest_is_noted_and_not_used(folder, text):
    (folder / "MANIFEST.csv").write_text(text)
    notes = []
    assert english_files(folder, [folder / "a.flac"], notes) == {"a.flac"}
    assert len(notes) == 1 and "no column 'file'" in notes[0]


def test_a_manifest_without_languages_excludes_nobody(folder):
    (folder / "MANIFEST.csv").write_text("file\na.flac\n")
    assert english_files(folder, [folder / "a.flac", folder / "b.flac"]) == {"a.flac", "b.flac"}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_traces_and_keys_in_any_encoding(tmp_path, encoding):
    (tmp_path / "t.txt").write_bytes("# é\r\n0 1\r\n1\r\n".encode(encoding))
    assert read_trace(tmp_path / "t.txt") == [False, True, True]
    (tmp_path / "key").write_bytes(("ab" * 32 + "\r\n").encode(encoding))
    assert read_key(tmp_path / "key") == bytes.fromhex("ab" * 32)


def test_decoding_never_fails():
    for data in (b"", b"\xff", b"\xff\xfe", b"\xff\xfea", b"\xef\xbb\xbf\xff", b"\x81\x8d", bytes(range(256))):
        assert isinstance(decode(data), str)


def test_a_text_that_never_ends_is_refused():
    with pytest.raises(OSError, match="expected a text file"):
        read_text("/dev/zero")
