# SPDX-License-Identifier: BSD-2-Clause
"""The bill of materials: complete, true to the files, and CycloneDX."""

from __future__ import annotations

import hashlib
import json
import zipfile

import pytest
import sbom

from dredge_models import registry

AUDITWHEEL = {"components": [{"name": "libopus0", "version": "1.3.1-3", "purl": "pkg:deb/debian/libopus0@1.3.1-3"}]}


@pytest.fixture
def wheel(tmp_path):
    """The real models in a wheel with a stand-in for libopus."""
    path = tmp_path / "dredge-0.1.0-cp311-abi3-linux_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(registry.FOLDER.iterdir()):
            archive.write(file, sbom.WEIGHTS + file.name)
        archive.writestr("dredge.libs/libopus-b9b1c55e.so.0.8.0", b"library")
        info = "dredge-0.1.0.dist-info"
        fields = ["Metadata-Version: 2.1", "Name: dredge", "Version: 0.1.0", "License: BSD-2-Clause", ""]
        archive.writestr(f"{info}/METADATA", "\n".join(fields))
        archive.writestr(f"{info}/sboms/auditwheel.cdx.json", json.dumps(AUDITWHEEL))
    return path


@pytest.fixture
def bill(wheel):
    return sbom.document(wheel, sbom.LOCK.read_text())


def test_every_model_file_is_listed_with_its_sum_and_the_models_licence(bill):
    listed = {}
    for model in (c for c in bill["components"] if c["type"] == "machine-learning-model"):
        assert model["licenses"] == [{"license": {"id": "BSD-2-Clause"}}]
        listed |= {f["name"].removeprefix(sbom.WEIGHTS): f["hashes"][0]["content"] for f in model["components"]}
    assert listed == {entry["file"]: entry["sha256"] for entry in registry.manifest()["files"]}


def test_libopus_is_listed_with_its_origin(bill):
    (opus,) = [c for c in bill["components"] if c["name"] == "libopus"]
    assert (opus["version"], opus["purl"]) == ("1.3.1-3", "pkg:deb/debian/libopus0@1.3.1-3")
    assert opus["hashes"][0]["content"] == hashlib.sha256(b"library").hexdigest()
    assert opus["licenses"] == [{"license": {"id": "BSD-3-Clause"}}]


def test_every_pin_of_the_lock_is_listed(bill):
    lock = sbom.LOCK.read_text()
    packages = [c for c in bill["components"] if c.get("purl", "").startswith("pkg:pypi/")]
    assert len(packages) == lock.count("==") - lock.count("== '") and len(packages) >= 10
    assert sum(len(p["hashes"]) for p in packages) == lock.count("--hash=sha256:")
    assert {p["properties"][0]["value"] for p in packages if p["name"] == "tflite-runtime"} == {
        "python_full_version < '3.12'"
    }


def test_references_are_unique_and_the_product_depends_on_all(bill):
    references = [c["bom-ref"] for c in bill["components"]]
    assert len(set(references)) == len(references)
    (edge,) = bill["dependencies"]
    assert edge["dependsOn"] == references and edge["ref"] == bill["metadata"]["component"]["bom-ref"]


def test_the_same_input_gives_the_same_document(wheel, tmp_path):
    out = [tmp_path / "a.json", tmp_path / "b.json"]
    assert [sbom.main([str(wheel), "--out", str(path)]) for path in out] == [0, 0]
    assert out[0].read_bytes() == out[1].read_bytes()


def test_it_is_cyclonedx(bill):
    validation = pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx-python-lib is not installed")
    from cyclonedx.schema import SchemaVersion

    assert validation.JsonStrictValidator(SchemaVersion.V1_5).validate_str(json.dumps(bill)) is None


def test_a_model_that_is_not_the_manifests_is_refused(wheel, tmp_path, capsys):
    other = tmp_path / "dredge-0.1.0-other.whl"
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + b"!" * name.endswith("plc_step.tflite"))
    assert sbom.main([str(other)]) == 2
    assert "plc_step.tflite: its SHA-256 differs" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"no zip"])
def test_what_is_no_wheel_is_one_sentence(tmp_path, capsys, content):
    (tmp_path / "x.whl").write_bytes(content)
    out = tmp_path / "out.json"
    assert sbom.main([str(tmp_path / "x.whl"), "--out", str(out)]) == 2 and not out.exists()
    assert capsys.readouterr().err.startswith("sbom.py: x.whl: expected a wheel of dredge")
