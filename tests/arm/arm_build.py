# SPDX-License-Identifier: BSD-2-Clause
"""Compiles levels.c and the product's int8 LPCNet, natively or for arm64, and runs it."""

from __future__ import annotations

import ast
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
C_DIR = ROOT / "cython_kernels/c"
HARNESS = Path(__file__).with_name("levels.c")
NATIVE = "gcc"
CROSS = "aarch64-linux-gnu-gcc"
EMULATOR = "qemu-aarch64"


def setup_constant(name: str) -> Any:
    """The literal that setup.py assigns to `name`, read without running setup.py."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and t.id == name for t in targets):
            return ast.literal_eval(node.value)  # type: ignore[attr-defined]
    raise LookupError(f"setup.py assigns no {name}")


def missing(*commands: str) -> list[str]:
    return [name for name in commands if shutil.which(name) is None]


def compile_c(compiler: str, arguments: list[str]) -> None:
    done = subprocess.run([compiler, *arguments, f"-I{C_DIR}"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr, done.stderr


class Build:
    """Objects of the product's sources and of the harness; programs linked from them, some with a part replaced."""

    def __init__(self, compiler: str, folder: Path) -> None:
        self.compiler, self.folder = compiler, folder
        self.flags: list[str] = setup_constant("CFLAGS")
        self.objects: dict[str, Path] = {}
        for name in setup_constant("EXTRA")["lpcnet"]["sources"]:
            self.objects[name] = self.compile(C_DIR / name)
        self.harness = self.compile(HARNESS, ["-O1"])

    def compile(self, source: Path, more: list[str] | None = None, name: str = "") -> Path:
        made = self.folder / f"{name or source.stem}.o"
        compile_c(self.compiler, [*self.flags, *(more or []), "-c", str(source), "-o", str(made)])
        return made

    def link(self, name: str = "levels", **replaced: Path) -> Path:
        """replaced: source name without folder and .c = the object to take instead."""
        objects = {key: replaced.get(Path(key).stem, made) for key, made in self.objects.items()}
        program = self.folder / name
        static = ["-static"] if self.compiler == CROSS else []
        compile_c(self.compiler, [*static, str(self.harness), *map(str, objects.values()), "-lm", "-o", str(program)])
        return program

    def edited(self, name: str, old: str, new: str) -> Path:
        """The object of source `name` with one piece of text replaced."""
        text = (C_DIR / name).read_text()
        assert text.count(old) == 1, f"{name}: {old!r} is there {text.count(old)} times"
        source = self.folder / f"edited_{Path(name).name}"
        source.write_text(text.replace(old, new))
        return self.compile(source)


@dataclass
class Level:
    name: str
    products: str
    samples: str
    codes: int


@dataclass
class Result:
    status: int
    error: str
    frame: str
    levels: list[Level]

    @property
    def names(self) -> list[str]:
        return [level.name for level in self.levels]


def run_levels(program: Path, cpu: str = "", seed: int = 1, nets: int = 99) -> Result:
    """Runs the harness, on an emulated processor if one is named; parses what it prints."""
    emulator = [EMULATOR, "-cpu", cpu] if cpu else []
    done = subprocess.run([*emulator, str(program), str(seed), str(nets)],
                          capture_output=True, text=True, timeout=120)
    lines = [line.split() for line in done.stdout.splitlines()]
    levels = [Level(w[0], w[2], w[4], int(w[6])) for w in lines[1:]]
    return Result(done.returncode, done.stderr, lines[0][1] if lines else "", levels)
