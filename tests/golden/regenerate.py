# SPDX-License-Identifier: BSD-2-Clause
"""Rewrites hashes.json for the libopus and the instruction set of this machine; those of others stay.

    python tests/golden/regenerate.py             rewrite
    python tests/golden/regenerate.py NAME [DIR]  write what is hashed of one case into DIR (default: golden-NAME) as
                                                  files, to compare them with those of another commit

Rewriting is right when weights or behaviour were changed on purpose, in a commit of its own that says what changed and
why, or when a libopus is added that the file does not know, from a commit whose hashes are equal for a known one. It is
never right to make a restructuring pass: there, different hashes are the fault that this file is for. When behaviour
was changed on purpose, the hashes of other versions of libopus must be rewritten too, or removed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

_data = tempfile.TemporaryDirectory(prefix="dredge-golden-")
os.environ["XDG_DATA_HOME"] = _data.name  # models that this user has imported play no part

from golden_grid import CASES, HASHES, canonical, environment, outcome, run  # noqa: E402


def rewrite() -> None:
    """Run the whole grid and replace this environment's part of the file."""
    golden = json.loads(HASHES.read_text(encoding="utf-8")) if HASHES.is_file() else {}
    golden[environment()] = {name: _told(name) for name in CASES}
    temporary = HASHES.with_suffix(".new")
    temporary.write_text(json.dumps(dict(sorted(golden.items())), indent=1) + "\n", encoding="utf-8")
    temporary.replace(HASHES)
    print(f"{HASHES}: {len(CASES)} cases for {environment()}")


def _told(name: str) -> dict[str, str]:
    print(name, file=sys.stderr)
    return run(name)


def show(name: str, folder: Path) -> None:
    """Write what is hashed of one case: NAME.json for documents, NAME.bin for bytes (pcm: int16, 16 kHz)."""
    if name not in CASES:
        sys.exit(f"there is no case '{name}', expected a name in {HASHES}")
    folder.mkdir(parents=True, exist_ok=True)
    for part, value in outcome(name).items():
        if isinstance(value, bytes):
            (folder / f"{part}.bin").write_bytes(value)
        else:
            (folder / f"{part}.json").write_text(canonical(value, indent=1) + "\n", encoding="utf-8")
    print(folder)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        show(sys.argv[1], Path(sys.argv[2] if len(sys.argv) > 2 else "golden-" + sys.argv[1].replace(" ", "-")))
    else:
        rewrite()
