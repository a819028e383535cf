# SPDX-License-Identifier: BSD-2-Clause
"""Instructions and cache misses of one frame of the vocoder, and the cycles that a processor model gives it.

Method: the product's C files are cross-compiled with the product's flags and run under qemu-user; a plugin counts how
often every stretch of instructions (up to a branch) runs and simulates two caches. llvm-mca then says how many cycles
a processor needs for each stretch when it follows itself again and again. The sum over all stretches is the time with
every access a hit in the first cache and every branch foreseen. What it cannot see: dependences from one stretch into
another (too optimistic), work of two stretches overlapping out of order (too pessimistic), wrong guesses of branches.
"""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from arm_build import C_DIR, CROSS, EMULATOR, setup_constant

HERE = Path(__file__).parent
PLUGIN_HEADER = HERE.parents[2] / "scripts/instruction_count"
LAYERS = ("conv1", "conv2", "dense1", "dense2", "cond_a", "cond_b")
MATRICES = ("recur_a", "input_b", "recur_b")
RARE = 1e-4  # stretches below this share of the instructions are taken at one instruction per cycle
REPEATED = 100


@dataclass(frozen=True)
class Stretch:
    """Instructions from ``address`` on, ``length`` of them, run ``count`` times."""

    address: int
    length: int
    count: int


@dataclass(frozen=True)
class Profile:
    """Of all measured frames: stretches; lines of 64 bytes that missed the first and the second cache, and that were
    touched at all; what the program printed."""

    stretches: list[Stretch]
    l1_misses: int
    l2_misses: int
    lines: int
    output: str

    @property
    def instructions(self) -> int:
        return sum(s.length * s.count for s in self.stretches)


def write_weights(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """What frame.c loads."""
    names = ["bias_a", "bias_b", "table", "table_scale", "table_b", "table_b_scale"]
    names += [f"{name}_{part}" for name in MATRICES for part in ("blocks", "column", "count", "scale")]
    names += ["tree", "tree_scale", "tree_bias", "tree_gain", "pitch"]
    names += [name + part for name in LAYERS for part in ("", "_bias")]
    with path.open("wb") as file:
        for name in names:
            data = np.ascontiguousarray(arrays[name]).tobytes()
            file.write(struct.pack("<i", len(data)) + data)


def _run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed ({done.returncode}): {done.stderr.strip()[-500:]}")
    return done.stdout


def build(folder: Path, compiler: str = CROSS, more: tuple[str, ...] = ()) -> Path:
    """frame.c with the kernels, as the product compiles them."""
    sources = [C_DIR / name for name in setup_constant("EXTRA")["lpcnet"]["sources"]]
    program = folder / f"frame-{compiler}"
    static = ["-static"] if compiler == CROSS else []
    flags = [*setup_constant("CFLAGS"), *static, *more, f"-I{C_DIR}"]
    _run(compiler, *flags, HERE / "frame.c", *sources, "-lm", "-o", program)
    return program


def build_plugin(folder: Path) -> Path:
    plugin = folder / "plugin.so"
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{PLUGIN_HEADER}"]
    _run("gcc", *flags, HERE / "plugin.c", "-o", plugin)
    return plugin


@dataclass(frozen=True)
class Caches:
    """KiB and ways of both."""

    l1: int = 32
    l1ways: int = 4
    l2: int = 512
    l2ways: int = 16


def profile(program: Path, plugin: Path, cpu: str, level: str, files: tuple[Path, Path], frames: int,
            caches: Caches = Caches()) -> Profile:
    """Runs ``frames`` frames under the counter. files: weights, features."""
    out = program.with_suffix(".counts")
    options = ",".join(f"{name}={value}" for name, value in vars(caches).items())
    counter = f"{plugin},out={out},{options}"
    printed = _run(EMULATOR, "-cpu", cpu, "-plugin", counter, program, level, *files, str(frames))
    cache, *runs = (line.split() for line in out.read_text().splitlines())
    stretches = [Stretch(int(w[1], 16), int(w[2]), int(w[3])) for w in runs]
    return Profile(stretches, *map(int, cache[1:]), printed.strip())


def mca_name() -> str | None:
    """The newest llvm-mca there is; older ones than 19 know the Cortex-A76 less well."""
    names = [f"llvm-mca-{version}" for version in range(25, 13, -1)] + ["llvm-mca"]
    return next((name for name in names if shutil.which(name)), None)


def disassembled(program: Path) -> dict[int, str]:
    """Address -> instruction, in words that an assembler takes back."""
    out: dict[int, str] = {}
    for line in _run("aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", program).splitlines():
        match = re.match(r"\s*([0-9a-f]+):\s+(\S.*)", line)
        if match:
            out[int(match[1], 16)] = _assembler(match[2])
    return out


def _assembler(text: str) -> str:
    """Targets of branches mean nothing to the model, and would not be found."""
    text = re.sub(r"\s*//.*", "", text)
    text = re.sub(r"\b[0-9a-f]+ <[^>]*>", "0", text)
    return re.sub(r"^(adrp\s+\w+,).*", r"\1 0", text)


def cycles(program: Path, found: Profile, model: str) -> float:
    """Cycles of all stretches on llvm-mca's model of a processor."""
    code = disassembled(program)
    often = [s for s in found.stretches if s.length * s.count > RARE * found.instructions]
    rare = sum(s.length * s.count for s in found.stretches) - sum(s.length * s.count for s in often)
    each = stretch_cycles([[code[s.address + 4 * i] for i in range(s.length)] for s in often], model)
    return rare + sum(s.count * c for s, c in zip(often, each, strict=True))


def stretch_cycles(stretches: list[list[str]], model: str) -> list[float]:
    """Cycles of one pass through each list of instructions, when many follow one another."""
    text = []
    for index, lines in enumerate(stretches):
        text += [f"# LLVM-MCA-BEGIN r{index}", *lines, f"# LLVM-MCA-END r{index}"]
    command = [str(mca_name()), "-mtriple=aarch64", f"-mcpu={model}", f"-iterations={REPEATED}", "-json"]
    done = subprocess.run(command, input="\n".join(text) + "\n", capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise RuntimeError(f"llvm-mca failed: {done.stderr.strip()[-500:]}")
    regions: list[dict[str, Any]] = json.loads(done.stdout)["CodeRegions"]
    if [r["Name"] for r in regions] != [f"r{index}" for index in range(len(stretches))]:
        raise RuntimeError(f"llvm-mca: expected {len(stretches)} regions, got {len(regions)}")
    return [r["SummaryView"]["TotalCycles"] / REPEATED for r in regions]
