#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The bill of materials of a wheel, as CycloneDX 1.5 (JSON): what is inside it, and what is installed beside it.

    scripts/sbom.py dist/dredge-….whl [--lock FILE] [--out FILE]

Inside: every model with the SHA-256 of its files and its licence, and the libraries that auditwheel took in (libopus).
Beside: the packages of a lock (by default that of a board) with the SHA-256 of their wheels. The same wheel and lock
give the same document, byte for byte. Without --out it goes to standard output.
"""

from __future__ import annotations

import argparse
import email.parser
import hashlib
import json
import re
import sys
import uuid
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "host/dredge_host/assets/device-lock.txt"
WEIGHTS = "dredge_models/weights/"
LIBRARY = re.compile(r"dredge\.libs/(lib\w+)-[0-9a-f]+\.so")
LICENCES = {"libopus": "BSD-3-Clause"}  # of what auditwheel copies; its text is in the wheel as LICENSE.libopus


class SbomError(RuntimeError):
    """The file is no wheel of ours, or the lock is none."""


def digest(content: bytes) -> dict[str, str]:
    """A hash as CycloneDX has it."""
    return {"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}


def licence(expression: str) -> list[dict[str, Any]]:
    """A licence as CycloneDX has it: one SPDX id, an expression, or free text."""
    if re.fullmatch(r"[A-Za-z0-9.+-]+", expression):
        return [{"license": {"id": expression}}]
    return [{"license": {"name": expression}}]


def models(archive: zipfile.ZipFile) -> list[dict[str, Any]]:
    """One component per model, its files inside; SbomError when a file is not what the wheel's manifest says."""
    manifest = json.loads(archive.read(f"{WEIGHTS}manifest.json"))
    found = []
    for name, about in sorted(manifest["models"].items()):
        files = []
        for entry in manifest["files"]:
            if entry["model"] != name:
                continue
            found_sum = digest(archive.read(WEIGHTS + entry["file"]))
            if found_sum["content"] != entry["sha256"]:
                raise SbomError(f"{entry['file']}: its SHA-256 differs from the manifest; build the wheel again")
            files.append({"type": "file", "name": WEIGHTS + entry["file"], "hashes": [found_sum]})
        found.append(
            {
                "type": "machine-learning-model", "bom-ref": f"model:{name}", "name": name, "version": "1",
                "description": about["title"], "licenses": licence(about["licence"]), "components": files,
            }
        )  # fmt: skip
    return found


def libraries(archive: zipfile.ZipFile) -> list[dict[str, Any]]:
    """The shared libraries inside, with the Debian package that auditwheel's own document names."""
    origin = {}
    for name in archive.namelist():
        if name.endswith("sboms/auditwheel.cdx.json"):
            for part in json.loads(archive.read(name))["components"]:
                origin[part["name"]] = part
    found = []
    for name in sorted(archive.namelist()):
        if match := LIBRARY.match(name):
            package = next((p for n, p in origin.items() if n.startswith(match[1])), {})
            component = {
                "type": "library", "bom-ref": f"file:{name}", "name": match[1],
                "hashes": [digest(archive.read(name))], "licenses": licence(LICENCES.get(match[1], "unknown")),
            }  # fmt: skip
            component |= {key: package[key] for key in ("version", "purl") if key in package}
            found.append(component)
    return found


def pinned(lock: str) -> list[dict[str, Any]]:
    """The packages of a lock; a hash is that of one wheel of several, the one that fits is installed."""
    found = []
    for part in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]:
        head = re.match(r"([a-z0-9-]+)==([^ ]+)(?: ; ([^\\\n]+))?", part)
        if head is None:
            raise SbomError(f"the lock has a line that is no pin: {part.splitlines()[0]}")
        purl = f"pkg:pypi/{head[1]}@{head[2]}"
        component: dict[str, Any] = {
            "type": "library", "bom-ref": purl, "name": head[1], "version": head[2], "purl": purl,
            "hashes": [{"alg": "SHA-256", "content": s} for s in re.findall(r"sha256:([0-9a-f]{64})", part)],
        }  # fmt: skip
        if head[3]:
            component["properties"] = [{"name": "dredge:marker", "value": head[3].strip()}]
        found.append(component)
    return found


def document(wheel: Path, lock: str) -> dict[str, Any]:
    """The whole bill. Raises SbomError, OSError."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(n for n in archive.namelist() if re.fullmatch(r"dredge-[^/]+\.dist-info/METADATA", n))
            metadata = email.parser.Parser().parsestr(archive.read(name).decode())
            inside = models(archive) + libraries(archive)
    except (zipfile.BadZipFile, StopIteration, KeyError, ValueError) as error:
        raise SbomError(f"{wheel.name}: expected a wheel of dredge ({error!r})") from None
    beside = pinned(lock)
    whole, purl = digest(wheel.read_bytes()), f"pkg:pypi/dredge@{metadata['Version']}"
    serial = uuid.uuid5(uuid.NAMESPACE_URL, whole["content"] + hashlib.sha256(lock.encode()).hexdigest())
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": f"urn:uuid:{serial}", "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": purl, "name": "dredge", "version": metadata["Version"], "purl": purl,
                "hashes": [whole], "licenses": licence(metadata["License"]),
            },
        },
        "components": inside + beside,
        "dependencies": [{"ref": purl, "dependsOn": [part["bom-ref"] for part in inside + beside]}],
    }  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0, or 2 with a sentence on standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--lock", type=Path, default=LOCK)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args(arguments)
    try:
        text = json.dumps(document(given.wheel, given.lock.read_text()), indent=1) + "\n"
        if given.out:
            part = given.out.with_name(f".{given.out.name}.part")
            part.write_text(text)
            part.replace(given.out)
        else:
            print(text, end="")
    except (SbomError, OSError) as error:
        print(f"sbom.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
