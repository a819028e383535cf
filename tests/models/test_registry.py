# SPDX-License-Identifier: BSD-2-Clause
"""The manifest, its checks, and the sentences for damaged installations."""

import json
import shutil

import pytest

from dredge_models import registry
from dredge_models.registry import ModelError, Problem


@pytest.fixture
def folder(tmp_path):
    """A small weights folder with two files and a correct manifest."""
    for name, content in (("a.bin", b"alpha"), ("b.bin", b"beta")):
        (tmp_path / name).write_bytes(content)
    files = [{"file": n, "model": "m", "kind": "test", "bytes": (tmp_path / n).stat().st_size,
              "sha256": registry.sha256(tmp_path / n)} for n in ("a.bin", "b.bin")]
    (tmp_path / "manifest.json").write_text(
        json.dumps({"format": registry.FORMAT, "models": {"m": {}}, "files": files}))
    return tmp_path


def test_the_shipped_weights_are_intact():
    assert registry.verify() == []


def test_every_shipped_file_is_found_by_name():
    for entry in registry.manifest()["files"]:
        assert registry.weight_path(entry["file"]).stat().st_size == entry["bytes"]


def test_shipped_models_have_a_card_with_their_origin():
    for name, model in registry.manifest()["models"].items():
        card = json.loads(registry.weight_path(model["card"]).read_text(encoding="utf-8"))
        assert card["id"] == name
        for key in ("data", "licence", "command", "seed", "steps", "losses", "quality"):
            assert card[key] not in (None, "", {}), key


def test_rdovae_files_carry_the_version_byte():
    versions = {e.get("version") for e in registry.manifest()["files"]
                if e["model"].startswith("dredge-rdovae")}
    assert versions == {registry.DRED_VERSION} == {0xD1}


def test_weights_stay_small():
    assert sum(e["bytes"] for e in registry.manifest()["files"]) < 8 << 20


def test_model_ids_are_sorted():
    assert registry.model_ids() == sorted(registry.manifest()["models"])


def test_verify_accepts_a_good_folder(folder):
    assert registry.verify(folder) == []


@pytest.mark.parametrize(("damage", "problem"), [
    (lambda f: (f / "a.bin").unlink(), Problem("a.bin", "missing")),
    (lambda f: (f / "a.bin").write_bytes(b"alphax"),
     Problem("a.bin", "damaged: 6 bytes instead of 5")),
    (lambda f: (f / "a.bin").write_bytes(b"alphb"),
     Problem("a.bin", "damaged: its SHA-256 differs from the manifest")),
    (lambda f: (f / "c.bin").write_bytes(b""), Problem("c.bin", "not in the manifest")),
])
def test_verify_names_what_is_wrong(folder, damage, problem):
    damage(folder)
    assert registry.verify(folder) == [problem]


def test_problem_reads_as_a_sentence():
    assert str(Problem("a.bin", "missing")) == "a.bin: missing"


@pytest.mark.parametrize(("text", "sentence"), [
    (None, "not found"),
    ("{", "damaged"),
    ("[]", "no list of files"),
    ('{"format": 99, "files": []}', "format 99, this version reads format 1"),
    ('{"format": 1, "files": [{"file": "a"}]}', "lacks its name, size or sum"),
])
def test_bad_manifests_give_one_sentence(folder, text, sentence):
    path = folder / "manifest.json"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(ModelError, match=sentence):
        registry.read_manifest(folder)
    (problem,) = registry.verify(folder)
    assert problem.file == "manifest.json" and sentence in problem.text


def test_unknown_names_are_refused():
    with pytest.raises(ModelError, match=r"nothing\.bin: not in the manifest"):
        registry.weight_path("nothing.bin")


def test_a_damaged_shipped_file_is_refused(tmp_path, monkeypatch):
    copy = tmp_path / "weights"
    shutil.copytree(registry.FOLDER, copy)
    content = bytearray((copy / "rdovae_start.tflite").read_bytes())
    content[1000] ^= 1
    (copy / "rdovae_start.tflite").write_bytes(content)
    monkeypatch.setattr(registry, "FOLDER", copy)
    registry.manifest.cache_clear()
    registry._checked.cache_clear()
    try:
        with pytest.raises(ModelError, match=r"rdovae_start\.tflite: damaged"):
            registry.weight_path("rdovae_start.tflite")
        assert registry.weight_path("rdovae_decoder.tflite").parent == copy
    finally:
        registry.manifest.cache_clear()
        registry._checked.cache_clear()
