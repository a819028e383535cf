# SPDX-License-Identifier: BSD-2-Clause
"""Rebuilds weights/manifest.json from the model cards:  python -m models.training.manifest

Every file in the folder must be named by exactly one <id>.card.json; the tool adds sizes and sums.
"""

import argparse
import hashlib
import json
import os
import sys
from pathlib import Path

FORMAT = 1
FOLDER = Path(__file__).resolve().parent.parent / "dredge_models" / "weights"
_FROM_CARD = ("title", "licence", "version")


def file_entry(path: Path, model: str, kind: str, version: int | None) -> dict:
    """Return one line of the manifest."""
    content = path.read_bytes()
    entry = {"file": path.name, "model": model, "kind": kind, "bytes": len(content),
             "sha256": hashlib.sha256(content).hexdigest()}
    if version is not None:
        entry["version"] = version
    return entry


def build(folder: Path) -> dict:
    """Return the manifest of a weights folder. Raises ValueError when cards and files do not match."""
    models: dict[str, dict] = {}
    files: list[dict] = []
    owner: dict[str, str] = {}
    for path in sorted(folder.glob("*.card.json")):
        card = json.loads(path.read_text(encoding="utf-8"))
        model, version = card["id"], card.get("version")
        models[model] = {k: card[k] for k in _FROM_CARD if k in card} | {"card": path.name}
        for name, kind in sorted({**card["files"], path.name: "card"}.items()):
            if name in owner:
                raise ValueError(f"{name}: named by the cards of {owner[name]} and {model}")
            if not (folder / name).is_file():
                raise ValueError(f"{name}: named by the card of {model}, but not there")
            owner[name] = model
            files.append(file_entry(folder / name, model, kind, version))
    stray = [p.name for p in sorted(folder.iterdir())
             if p.is_file() and p.name not in owner and p.name != "manifest.json"]
    if stray:
        raise ValueError(f"{', '.join(stray)}: named by no card")
    return {"format": FORMAT, "models": models, "files": sorted(files, key=lambda e: e["file"])}


def write(folder: Path) -> dict:
    """Build and write manifest.json; return it."""
    content = build(folder)
    part = folder / "manifest.part"
    part.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    os.replace(part, folder / "manifest.json")
    return content


def main() -> int:
    """Run the command line; return 1 with one sentence when cards and files do not match."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    folder = parser.parse_args().folder
    try:
        content = write(folder)
    except (ValueError, KeyError) as error:
        print(f"manifest: {error}", file=sys.stderr)
        return 1
    total = sum(entry["bytes"] for entry in content["files"])
    print(f"{len(content['models'])} models, {len(content['files'])} files, {total} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
