# SPDX-License-Identifier: BSD-2-Clause
"""`dredge models`: import, list, verify and remove a made-up libopus model."""

import json
import os
from pathlib import Path

import pytest
from blob_cases import made_up_encoder, made_up_fargan, write_model
from click.testing import CliRunner, Result

from dredge_host.cli import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "dredge" / "models"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [str(path) for path in write_model(tmp_path_factory.mktemp("libopus"))]


def models(*words: str) -> Result:
    return CliRunner().invoke(main.cli, ["models", *words])


def parsed(*words: str) -> dict:
    result = models(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_import_list_verify_remove(home: Path, files: list[str]) -> None:
    assert parsed("list")["imported"] == {}
    done = parsed("import", *files)
    assert (done["schema"], done["model"], done["version"]) == ("dredge.models.import/1", "libopus-rdovae-10", 10)
    assert Path(done["folder"]).parent == home
    about = parsed("list")["imported"]["libopus-rdovae-10"]
    assert about["version"] == 10 and len(about["files"]) == 4 and len(about["sources"]) == 3
    text = models("list").output
    assert text.count("libopus-rdovae-10") >= 4 and str(home) in text
    check = parsed("verify")
    assert check["imported"] == 1 and check["problems"] == []
    assert models("remove", "libopus-rdovae-10").exit_code == 0
    assert list(home.iterdir()) == []
    assert parsed("list")["imported"] == {}


def test_the_package_itself_is_not_written_to(home: Path, files: list[str]) -> None:
    before = parsed("list")["files"]
    parsed("import", *files)
    assert parsed("list")["files"] == before


def test_damage_is_found_and_named(home: Path, files: list[str]) -> None:
    folder = Path(parsed("import", *files)["folder"])
    (folder / "rdovae_tables.npz").write_bytes(b"PK")
    result = models("verify")
    assert result.exit_code == 1
    assert "libopus-rdovae-10/rdovae_tables.npz: damaged: 2 bytes instead of" in result.output


def test_bad_files_are_one_sentence_and_code_2(home: Path, files: list[str], tmp_path: Path) -> None:
    enc, dec, stats = files
    cut = tmp_path / "cut.bin"
    cut.write_bytes(Path(enc).read_bytes()[:-1])
    swapped = made_up_encoder()
    swapped.records["gdense1_bias"] = swapped.records["gdense2_bias"].replace(b"gdense2", b"gdense1")
    odd = tmp_path / "odd.bin"
    odd.write_bytes(swapped.blob())
    for words, sentence in (
        ([str(cut), dec, stats], "cut.bin: record 79 (gdense2_bias): expected 128 bytes"),
        ([str(odd), dec, stats], "gdense1_bias: expected 128 values, got 24"),
        ([enc, dec], "the quantiser tables (dred_rdovae_stats_data.c) missing"),
        ([stats, str(tmp_path / "none.bin")], "none.bin: there is no such file"),
        ([str(tmp_path)], "a folder, expected the model's files"),
    ):
        result = models("import", *words)
        assert result.exit_code == 2, result.output
        assert result.output.startswith("dredge: ") and sentence in result.output
        assert result.output.count("\n") == 1
    assert not home.exists() or list(home.iterdir()) == []


def test_an_unknown_model_cannot_be_removed(home: Path, files: list[str]) -> None:
    parsed("import", *files)
    for name in ("nothing", "../models", ""):
        result = models("remove", name)
        assert result.exit_code == 2 and "there are: libopus-rdovae-10" in result.output
    assert len(list(home.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, files: list[str], monkeypatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    result = models("import", *files)
    assert result.exit_code == 2 and result.output.count("\n") == 1


def test_the_vocoder_comes_alone_or_with_the_rest(home: Path, files: list[str], tmp_path: Path) -> None:
    fargan = tmp_path / "fargan.bin"
    fargan.write_bytes(made_up_fargan().blob())
    alone = parsed("import", str(fargan))
    assert alone["model"] == "libopus-fargan" and alone["version"] is None and len(alone["imported"]) == 1
    assert list(parsed("list")["imported"]) == ["libopus-fargan"]
    both = parsed("import", *files, str(fargan))
    assert [m["model"] for m in both["imported"]] == ["libopus-rdovae-10", "libopus-fargan"]
    assert parsed("verify")["imported"] == 2
    assert "libopus-fargan" in models("list").output
    incomplete = models("import", str(fargan), files[0])
    assert incomplete.exit_code == 2 and "the decoder (rdovae_dec)" in incomplete.output


def test_what_is_no_file_is_called_by_its_kind(home: Path, tmp_path: Path) -> None:
    null = Path(os.devnull)
    for path, words in ((tmp_path, "a folder"), (null, "not a plain file"), (tmp_path / "x", "no such file")):
        result = models("import", str(path))
        assert result.exit_code == 2 and f"{path}: " in result.output and words in result.output
