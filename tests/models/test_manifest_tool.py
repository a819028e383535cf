# SPDX-License-Identifier: BSD-2-Clause
"""The tool that rebuilds the manifest from model cards, and the cards themselves."""

import json
import subprocess
import sys

import pytest
from repo_path import ROOT

from dredge_models import registry
from models.training import cards, manifest


def card(name, files, **more):
    return {"id": name, "title": "T", "licence": "L", "data": {}, "command": "c", "seed": 1,
            "steps": 2, "losses": {"a": 1}, "quality": {"b": 2}, "files": files, **more}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"alpha")
    (tmp_path / "b.bin").write_bytes(b"beta")
    cards.write_card(tmp_path, card("one", {"a.bin": "tflite"}, version=0xD1))
    cards.write_card(tmp_path, card("two", {"b.bin": "int8"}))
    return tmp_path


def test_built_manifest_verifies(folder):
    content = manifest.write(folder)
    assert registry.verify(folder) == []
    assert content["models"]["one"] == {"title": "T", "licence": "L", "version": 0xD1,
                                        "card": "one.card.json"}
    kinds = {e["file"]: (e["model"], e["kind"], e.get("version")) for e in content["files"]}
    assert kinds == {"a.bin": ("one", "tflite", 0xD1), "b.bin": ("two", "int8", None),
                     "one.card.json": ("one", "card", 0xD1), "two.card.json": ("two", "card", None)}


def test_building_twice_changes_nothing(folder):
    manifest.write(folder)
    before = (folder / "manifest.json").read_bytes()
    manifest.write(folder)
    assert (folder / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(("damage", "sentence"), [
    (lambda f: (f / "c.bin").write_bytes(b"x"), r"c\.bin: named by no card"),
    (lambda f: (f / "b.bin").unlink(), r"b\.bin: named by the card of two, but not there"),
    (lambda f: cards.write_card(f, card("three", {"a.bin": "x"})),
     r"a\.bin: named by the cards of one and three"),
])
def test_cards_and_files_must_match(folder, damage, sentence):
    damage(folder)
    with pytest.raises(ValueError, match=sentence):
        manifest.build(folder)


def test_a_card_without_its_origin_is_refused(tmp_path):
    incomplete = card("x", {})
    del incomplete["command"], incomplete["seed"]
    with pytest.raises(ValueError, match="model card: command, seed missing"):
        cards.write_card(tmp_path, incomplete)


def test_the_shipped_manifest_is_up_to_date():
    assert manifest.build(registry.FOLDER) == registry.manifest()


def test_command_line(folder):
    command = [sys.executable, "-m", "models.training.manifest", "--folder", str(folder)]
    good = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert good.returncode == 0 and good.stdout.startswith("2 models, 4 files, ")
    (folder / "a.bin").unlink()
    bad = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert bad.returncode == 1
    assert bad.stderr == "manifest: a.bin: named by the card of one, but not there\n"
    assert json.loads((folder / "manifest.json").read_text())["format"] == 1
