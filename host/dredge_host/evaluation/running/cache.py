# SPDX-License-Identifier: BSD-2-Clause
"""Finished cells on disk, each under the SHA-256 of everything that determines its result."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from dredge_device.pi.output.files import write_text
from dredge_device.pi.transport.errors import refusal
from dredge_host.errors import InputError
from dredge_host.evaluation.judging.registry import Measurement
from dredge_host.evaluation.material.clips import Clip
from dredge_host.evaluation.material.plan import Plan
from dredge_host.evaluation.material.traces import Trace
from dredge_host.evaluation.methods.methods import METHODS
from dredge_host.evaluation.running.identity import Identity

FORMAT = 1  # of the files below


def default_folder() -> Path | None:
    """Return `dredge/evaluate` in the user's cache folder (XDG Base Directory Specification); None where there is no
    such.
    """
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dredge" / "evaluate"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def cell_key(plan: Plan, clip: Clip, trace: Trace, method: str, identity: Identity) -> str:
    """Return the SHA-256 of speech, losses (none for a lossless method), settings, metrics, and `identity`, whose peer
    entry matters only for the peer's methods."""
    chosen = METHODS[method]
    same = identity if chosen.transport == "peer" else {key: identity[key] for key in identity if key != "peer"}
    content = {
        "format": FORMAT,
        "speech": clip.digest,
        "losses": "" if chosen.lossless else "".join("01"[lost] for lost in trace.lost),
        "method": [method, chosen.transport],
        "settings": chosen.settings(plan.bitrate).as_dict(),
        "words": bool(plan.recogniser) and clip.english,
        "metrics": plan.metrics(),
        **same,
    }
    return digest_of(content)


def digest_of(content: Any) -> str:
    """Return the SHA-256 of JSON values, independent of the order of their names."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Cache:
    """Measurements by key; without a folder nothing is kept.

    Files are complete or absent; a damaged one counts as absent. Raises InputError when the folder
    cannot be used.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{refusal(error, folder)}; it cannot be used as a cache, try --no-cache") from None

    @property
    def keeps(self) -> bool:
        """Whether cells are kept."""
        return self._folder is not None

    def get(self, key: str) -> Measurement | None:
        """Return an earlier measurement, or None."""
        path = self._path(key)
        if path is None:
            return None
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            whole = entry["key"] == key and entry["sha256"] == digest_of(entry["cell"])
            return dict(entry["cell"]) if whole else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: str, cell: Measurement) -> None:
        """Keep a finished cell."""
        path = self._path(key)
        if path is None:
            return
        path.parent.mkdir(exist_ok=True)
        entry = {"key": key, "sha256": digest_of(cell), "cell": cell}
        write_text(path, json.dumps(entry, allow_nan=False))

    def _path(self, key: str) -> Path | None:
        return None if self._folder is None else self._folder / key[:2] / f"{key}.json"
