# SPDX-License-Identifier: BSD-2-Clause
"""The manifest, its checks, and the sentences for damaged installations."""

import ast
import io
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from rdovae_numpy import load_master

from dredge_models import modelset, registry
from dredge_models.fargan import FarganVocoder
from dredge_models.plc import PlcPredictor
from dredge_models.rdovae import RdoVaeDecoder, RdoVaeEncoder
from dredge_models.registry import ModelError, ModelFile, Problem
from dredge_models.tflite.runtime import TfliteModel
from dredge_models.vocoder import vocoder_arrays

PACKAGES = Path(registry.__file__).resolve().parents[2]


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
        assert len(registry.weight_file(entry["file"]).content) == entry["bytes"]


def test_shipped_models_have_a_card_with_their_origin():
    for name, model in registry.manifest()["models"].items():
        card = json.loads(registry.weight_file(model["card"]).content)
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
    ('{"format": 1, "files": [{"file": 1, "bytes": 1, "sha256": "%s"}]}' % ("0" * 64), "lacks its name"),
    ('{"format": 1, "files": [{"file": "a", "bytes": "1", "sha256": "%s"}]}' % ("0" * 64), "lacks its name, size"),
    ('{"format": 1, "files": [{"file": "a", "bytes": 1, "sha256": "0"}]}', "lacks its name, size or sum"),
    ('{"format": 1, "files": [{"file": "../../etc/shadow", "bytes": 1, "sha256": "%s"}]}' % ("0" * 64), "lacks its"),
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
        registry.weight_file("nothing.bin")


# --- every way a model file gets into the program ---

SHIPPED_LOADERS = {
    "rdovae_encoder.tflite": RdoVaeEncoder,
    "rdovae_decoder.tflite": RdoVaeDecoder,
    "rdovae_decoder_rows.tflite": RdoVaeDecoder,
    "rdovae_start.tflite": RdoVaeDecoder,
    "rdovae_tables.npz": lambda: modelset.SHIPPED.tables,
    "rdovae.npz": load_master,
    "plc_step.tflite": PlcPredictor,
    "vocoder_standard.npz": lambda: vocoder_arrays.__wrapped__("standard"),  # past its cache
    "vocoder_small.npz": lambda: vocoder_arrays.__wrapped__("small"),
}
IMPORTED_LOADERS = {
    "rdovae_encoder.tflite": lambda: RdoVaeEncoder(modelset.find(10)),
    "rdovae_decoder.tflite": lambda: RdoVaeDecoder(modelset.find(10)),
    "rdovae_start.tflite": lambda: RdoVaeDecoder(modelset.find(10)),
    "rdovae_tables.npz": lambda: modelset.find(10).tables,
    "fargan.npz": FarganVocoder,
}


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A copy of the weights, where the product looks for them."""
    copy = tmp_path / "weights"
    shutil.copytree(registry.FOLDER, copy)
    monkeypatch.setattr(registry, "FOLDER", copy)
    registry.manifest.cache_clear()
    yield copy
    registry.manifest.cache_clear()


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """User models of both kinds, made of shipped files: only the loading is looked at."""
    monkeypatch.setattr(modelset, "user_folder", lambda: tmp_path)
    for folder, names in (("libopus-rdovae-10", list(IMPORTED_LOADERS)[:4]), (modelset.FARGAN_ID, ["fargan.npz"])):
        (tmp_path / folder).mkdir()
        entries = []
        for name in names:
            content = registry.weight_file("vocoder_small.npz" if name == "fargan.npz" else name).content
            (tmp_path / folder / name).write_bytes(content)
            entries.append({"file": name, "bytes": len(content), "version": 10,
                            "sha256": registry.sha256(tmp_path / folder / name)})
        content = {"format": registry.FORMAT, "models": {}, "files": entries}
        (tmp_path / folder / "manifest.json").write_text(json.dumps(content))
    return tmp_path


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def link(path):
    """A link to something else is read like any file, and is something else."""
    other = path.with_name("other")
    other.write_bytes(path.read_bytes()[::-1])
    path.unlink()
    path.symlink_to(other)


def pipe(path):
    path.unlink()
    os.mkfifo(path)


TAMPERING = [
    (flip, "its SHA-256 differs"), (cut, "bytes instead of"), (link, "its SHA-256 differs"),
    (pipe, "not a regular file"), (Path.unlink, "missing"),
]  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED_LOADERS)
def test_every_shipped_file_is_loaded_only_as_pinned(shipped, name):
    SHIPPED_LOADERS[name]()
    for tamper, sentence in TAMPERING:
        kept = (shipped / name).read_bytes()
        tamper(shipped / name)
        with pytest.raises(ModelError, match=rf"^{name}: .*{sentence}.*reinstall dredge"):
            SHIPPED_LOADERS[name]()
        (shipped / name).unlink(missing_ok=True)
        (shipped / name).write_bytes(kept)
    SHIPPED_LOADERS[name]()


@pytest.mark.parametrize("name", IMPORTED_LOADERS)
def test_every_imported_file_is_loaded_only_as_it_was_imported(imported, name):
    (path,) = imported.glob(f"*/{name}")
    for tamper, sentence in TAMPERING:
        kept = path.read_bytes()
        tamper(path)
        with pytest.raises(ModelError, match=rf"^{path.parent.name}/{name}: .*{sentence}.*import it again"):
            IMPORTED_LOADERS[name]()
        path.unlink(missing_ok=True)
        path.write_bytes(kept)
    if name == "fargan.npz":  # intact again: now it is looked into, and is no FARGAN
        with pytest.raises(ModelError, match="embed: missing"):
            IMPORTED_LOADERS[name]()
    else:
        IMPORTED_LOADERS[name]()


def test_what_was_checked_is_what_is_used(shipped):
    """A file that is exchanged between the check and the use changes nothing."""
    file = registry.weight_file("rdovae_start.tflite")
    (shipped / file.name).write_bytes(b"\0\0\0\0TFL3" + bytes(100))
    graph = TfliteModel(file)
    assert "memory" in graph(start=np.zeros(graph.inputs["start"], np.float32))


def test_a_file_is_read_once(shipped, monkeypatch):
    """Exchanged at the very moment it has been read: the sum is that of what was read."""
    read = registry._read

    def exchange(path, most):
        content = read(path, most)
        path.write_bytes(bytes(most))
        return content

    before = (shipped / "plc_step.tflite").read_bytes()
    monkeypatch.setattr(registry, "_read", exchange)
    assert registry.weight_file("plc_step.tflite").content == before
    with pytest.raises(ModelError, match="SHA-256 differs"):
        registry.weight_file("plc_step.tflite")


def test_a_huge_file_is_not_read_to_its_end(folder):
    os.truncate(folder / "a.bin", 1 << 40)
    with pytest.raises(ModelError, match=r"damaged: 1099511627776 bytes instead of 5"):
        registry.checked(folder, "a.bin")


class Trap:
    def __reduce__(self):
        return (os.mkdir, ("unpickled",))


def test_nothing_is_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    np.savez(buffer, **{"w": np.array([Trap()], dtype=object)})
    for content in (buffer.getvalue(), pickle.dumps(Trap()), b"PK\3\4", b""):
        with pytest.raises(ModelError, match=r"x\.npz: not a readable \.npz"):
            ModelFile("x.npz", content).arrays()
    assert not (tmp_path / "unpickled").exists()


def test_no_code_of_the_product_allows_pickles():
    calls = []
    for top in ("models", "firmware", "host"):
        for path in (PACKAGES / top).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                    assert not names & {"pickle", "shelve", "marshal", "dill", "joblib"}, path
                if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
                    allowed = {k.arg: ast.unparse(k.value) for k in node.keywords}.get("allow_pickle", "False")
                    calls.append((path.name, allowed))
    assert {allowed for _, allowed in calls} == {"False"}
    assert not {name for name, _ in calls} & {"registry.py", "npz.py"}      # which have a reader of their own
