# SPDX-License-Identifier: BSD-2-Clause
"""What share of a Raspberry Pi's core the vocoder will take: ``python tests/arm/cycles/predict.py [--model small]``.

Two bounds per board. Low: cycles of the processor model, every access a hit in the first cache. High: besides,
every access that misses the simulated first cache waits for the second one in full, and one that misses that too
waits for memory; no real processor is that idle. See counted.py for the method.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tests/arm"), str(ROOT / "tests/arm/cycles")]

import counted  # noqa: E402
from counted import Caches, Profile  # noqa: E402

FRAMES = 20
MEMORY_CYCLES = 150  # of a miss in both caches


@dataclass(frozen=True)
class Core:
    """cpu: qemu's name; model: llvm-mca's; l2_cycles: of a hit in the second cache (assumed, after public
    latency tables such as 7-cpu.com)."""

    cpu: str
    level: str
    model: str
    caches: Caches
    l2_cycles: int


CORES = {
    "Cortex-A53": Core("cortex-a53", "neon", "cortex-a53", Caches(32, 4, 512, 16), 15),
    "Cortex-A72": Core("cortex-a72", "neon", "cortex-a72", Caches(32, 2, 1024, 16), 18),
    "Cortex-A76": Core("cortex-a76", "neon_dotprod", "neoverse-n1", Caches(64, 4, 512, 8), 11),
}
BOARDS = (
    ("Pi Zero 2 W", "Cortex-A53", 1.0),
    ("Pi 3B", "Cortex-A53", 1.2),
    ("Pi 3B+", "Cortex-A53", 1.4),
    ("Pi 4", "Cortex-A72", 1.5),
    ("Pi 4 (1.8 GHz)", "Cortex-A72", 1.8),
    ("Pi 5", "Cortex-A76", 2.4),
)


def shipped(model: str) -> dict[str, np.ndarray]:
    """The arrays of a shipped vocoder."""
    from dredge_kernels.lpcnet_weights import checked
    from dredge_models.vocoder import vocoder_arrays

    return checked(vocoder_arrays(model))


def speech_features(frames: int) -> np.ndarray:
    """Rows of the bundled clip: twice the frames, and the vocoder's context."""
    from dredge_host.sending.audio import bundled_clip, read_audio
    from dredge_kernels.features import FeatureExtractor

    with bundled_clip() as path:
        pcm = read_audio(path).pcm
    return FeatureExtractor().process(pcm[16000 : 16000 + 160 * (2 * frames + 4)])


def figures(core: Core, found: Profile, cycles: float, frames: int) -> dict[str, float]:
    """Per 20 ms of speech."""
    share = 2 / frames
    waits = (found.l1_misses - found.l2_misses) * core.l2_cycles + found.l2_misses * MEMORY_CYCLES
    return {
        "instructions": round(found.instructions * share),
        "cycles_low": round(cycles * share),
        "cycles_high": round((cycles + waits) * share),
        "l1_misses": round(found.l1_misses * share),
        "l2_misses": round(found.l2_misses * share),
        "touched_kib": round(found.lines * 64 / 1024),
    }


def percent_of_core(figures: dict[str, float], ghz: float) -> tuple[float, float]:
    """Low and high share of a core in percent: cycles per 20 ms against those there are."""
    there = ghz * 1e9 * 0.02
    return round(100 * figures["cycles_low"] / there, 1), round(100 * figures["cycles_high"] / there, 1)


def predict(arrays: dict[str, np.ndarray], folder: Path, frames: int = FRAMES) -> dict[str, dict[str, float]]:
    """Figures per core. Raises RuntimeError with the tool's own words when a tool fails."""
    weights, features = folder / "weights.bin", folder / "features.bin"
    counted.write_weights(weights, arrays)
    speech_features(frames).tofile(features)
    program, plugin = counted.build(folder), counted.build_plugin(folder)
    result = {}
    for name, core in CORES.items():
        found = counted.profile(program, plugin, core.cpu, core.level, (weights, features), frames, core.caches)
        result[name] = figures(core, found, counted.cycles(program, found, core.model), frames)
    return result


def lines(result: dict[str, dict[str, float]]) -> list[str]:
    """Markdown: one row per core, then one per board."""
    out = ["| core | instructions | cycles, all hits | cycles, all misses wait | first-cache misses | touched |"]
    out += ["|---|---|---|---|---|---|"]
    for name, f in result.items():
        out.append(
            f"| {name} | {f['instructions'] / 1e6:.2f} M | {f['cycles_low'] / 1e6:.2f} M "
            f"| {f['cycles_high'] / 1e6:.2f} M | {f['l1_misses'] / 1e3:.0f} k | {f['touched_kib']:.0f} KiB |"
        )
    out += ["", "| board | clock | share of a core | headroom |", "|---|---|---|---|"]
    for board, core, ghz in BOARDS:
        low, high = percent_of_core(result[core], ghz)
        out.append(f"| {board} | {ghz:g} GHz | {low:.0f} to {high:.0f} % | {100 / high:.1f} to {100 / low:.1f} x |")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="standard", help="a shipped vocoder")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = predict(shipped(options.model), Path(folder))
    print(json.dumps(result, indent=2) if options.json else "\n".join(lines(result)))


if __name__ == "__main__":
    main()
