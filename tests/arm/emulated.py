# SPDX-License-Identifier: BSD-2-Clause
"""Userlands that scripts/test_arm.py prepared, and how a program runs in one of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
INSIDE = Path(__file__).with_name("inside")
SPEECH = ROOT / "tests/data/speech_short.flac"
sys.path.insert(0, str(ROOT / "scripts"))

from userland import command  # noqa: E402

LEVELS = {
    "cortex-a53": ["scalar", "neon"],
    "cortex-a72": ["scalar", "neon"],
    "cortex-a76": ["scalar", "neon", "neon_dotprod"],
}
TEST_FILES = [
    *[f"kernels/test_{name}.py" for name in ("lpcnet", "features", "postfilter", "background", "extensions", "opus")],
    *[f"kernels/test_{name}.py" for name in ("payload", "payload_vectors", "laplace")],
    *[f"models/test_{name}.py" for name in ("rdovae", "tflite", "dred", "plc", "vocoder")],
    "device/receiver/test_receiver.py",
]


def lands() -> dict[str, Path]:
    """Suite to folder, from DREDGE_ARM_LANDS=bookworm=/path:trixie=/path; empty where nothing was prepared."""
    text = os.environ.get("DREDGE_ARM_LANDS", "")
    return {suite: Path(folder) for suite, _, folder in (part.partition("=") for part in text.split(":") if part)}


def is_short() -> bool:
    return os.environ.get("DREDGE_ARM_SHORT", "") == "1"


def places() -> list[tuple[str, str]]:
    """(suite, processor) of every combination to be run."""
    cpus = ["cortex-a53", "cortex-a76"] if is_short() else list(LEVELS)
    return [(suite, cpu) for suite in lands() for cpu in cpus]


def run(suite: str, cpu: str, *arguments: str, cwd: Path | None = None, more: dict[str, str] | None = None) -> str:
    """Standard output of the emulated Python; an assertion with what it said when it fails."""
    program, environment = command(lands()[suite], cpu)
    done = subprocess.run([*program, *arguments], env={**environment, **(more or {})}, cwd=cwd, capture_output=True,
                          text=True, timeout=1800, check=False)  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout


def facts(suite: str, cpu: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(suite, cpu, str(INSIDE / "facts.py"), str(SPEECH), "2"))
    return document


def native_facts() -> dict[str, Any]:
    done = subprocess.run([sys.executable, str(INSIDE / "facts.py"), str(SPEECH), "2"], capture_output=True, text=True,
                          timeout=600, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def copy_tests(folder: Path) -> None:
    """The tests without the packages they test, so that only the wheel can be imported."""
    for name in ("kernels", "models", "device", "data"):
        shutil.copytree(ROOT / "tests" / name, folder / "tests" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
