# SPDX-License-Identifier: BSD-2-Clause
"""The table of all fuzz targets."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
HELPERS = tuple(str(TESTS / name) for name in ("fuzz", "device", "host", "kernels", "models"))
MODULES = ("rtp", "link", "session", "opus", "receiver", "models", "tflite", "files", "text", "voice")


def load() -> dict:
    """Every Target by name, in the order of the documentation."""
    sys.path[:0] = [folder for folder in HELPERS if folder not in sys.path]
    os.environ.setdefault("XDG_DATA_HOME", os.devnull)      # no model that somebody has imported takes part
    modules = [import_module(f"targets_{name}") for name in MODULES]
    return {target.name: target for module in modules for target in module.TARGETS}
