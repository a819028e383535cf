# SPDX-License-Identifier: BSD-2-Clause
"""Counting instructions and cycles of emulated boards."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from arm_build import CROSS, EMULATOR, missing

sys.path.append(str(Path(__file__).parent / "cycles"))

import counted
import predict
from counted import Caches, Profile, Stretch
from lpcnet_cases import random_net

needs_mca = pytest.mark.skipif(counted.mca_name() is None, reason="needs llvm-mca: apt-get install llvm")
FIGURES = {
    "instructions": 9e6, "cycles_low": 10e6, "cycles_high": 15e6, "l1_misses": 3e5, "l2_misses": 1e3, "touched_kib": 700
}  # fmt: skip


@pytest.fixture(scope="module")
def emulated(tmp_path_factory):
    """The counted program with a small random vocoder; returns a function that runs it."""
    if absent := missing(CROSS, EMULATOR, "gcc"):
        pytest.skip(f"needs {' and '.join(absent)}: apt-get install gcc gcc-aarch64-linux-gnu qemu-user")
    folder = tmp_path_factory.mktemp("cycles")
    weights, features = folder / "weights.bin", folder / "features.bin"
    counted.write_weights(weights, random_net(3))
    predict.speech_features(4).tofile(features)
    program, plugin = counted.build(folder), counted.build_plugin(folder)

    def run(frames, cpu="cortex-a53", level="neon", caches=Caches()):  # noqa: B008 frozen
        return counted.profile(program, plugin, cpu, level, (weights, features), frames, caches)

    run.program = program
    return run


def test_counts_repeat_and_grow_with_the_frames(emulated):
    once, again, twice = emulated(2), emulated(2), emulated(4)
    assert once.instructions == again.instructions > 100_000
    assert twice.instructions == pytest.approx(2 * once.instructions, rel=0.02)
    assert twice.output != once.output


def test_levels_give_the_same_speech_and_vectors_take_fewer_instructions(emulated):
    scalar, neon, dot = (
        emulated(2, cpu, level)
        for cpu, level in (("cortex-a53", "scalar"), ("cortex-a53", "neon"), ("cortex-a76", "neon_dotprod"))
    )
    assert scalar.output.split()[0] == neon.output.split()[0] == dot.output.split()[0]
    assert scalar.instructions > 2 * neon.instructions


def test_larger_caches_miss_less(emulated):
    small, large = emulated(2, caches=Caches(4, 4, 16, 4)), emulated(2, caches=Caches(32, 4, 512, 16))
    assert small.l1_misses > 2 * large.l1_misses and small.l2_misses > large.l2_misses
    assert small.lines == large.lines and small.l1_misses > small.l2_misses


@needs_mca
def test_cycles_of_a_processor_that_waits_and_of_one_that_does_not(emulated):
    found = emulated(2)
    a53, a72 = (counted.cycles(emulated.program, found, model) for model in ("cortex-a53", "cortex-a72"))
    assert found.instructions / 2 < a53
    assert a72 < a53


@needs_mca
def test_a_chain_of_products_takes_its_latency_and_independent_ones_do_not():
    chain, free = ["mul x0, x0, x1"], ["mul x2, x0, x1", "mul x3, x0, x1"]
    slow, fast = counted.stretch_cycles([chain, free], "cortex-a72")
    assert slow == pytest.approx(3, abs=0.5) or slow > 2.5
    assert fast < 2 * slow


@needs_mca
def test_instructions_that_the_model_does_not_know_are_an_error():
    with pytest.raises(RuntimeError, match="llvm-mca"):
        counted.stretch_cycles([["frobnicate x0"]], "cortex-a53")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b.ne\t408e58 <ln_product+0x238>  // b.any", "b.ne\t0"),
        ("adrp\tx0, 490000 <a+0x10>", "adrp\tx0, 0"),
        ("ldr\tw3, [x4, #8]", "ldr\tw3, [x4, #8]"),
    ],
)
def test_disassembly_becomes_assembly(text, expected):
    assert counted._assembler(text) == expected


def test_a_tool_that_fails_says_why():
    with pytest.raises(RuntimeError, match=r"gcc failed \(1\).*no_such_file"):
        counted._run("gcc", "no_such_file.c")


def test_figures_are_per_20_ms():
    found = Profile([Stretch(0, 10, 100)], l1_misses=50, l2_misses=10, lines=32, output="")
    core = predict.Core("c", "neon", "m", Caches(), l2_cycles=10)
    made = predict.figures(core, found, 2000.0, frames=4)
    waits = 40 * 10 + 10 * predict.MEMORY_CYCLES
    assert made["instructions"] == 500 and made["cycles_low"] == 1000
    assert made["cycles_high"] == (2000 + waits) / 2
    assert made["touched_kib"] == 2


def test_share_of_a_core_and_the_table():
    assert predict.percent_of_core(FIGURES, 1.0) == (50.0, 75.0)
    text = "\n".join(predict.lines(dict.fromkeys(predict.CORES, FIGURES)))
    assert "| Pi Zero 2 W | 1 GHz | 50 to 75 % | 1.3 to 2.0 x |" in text
    assert all(board in text for board, *_ in predict.BOARDS)


def test_every_array_of_a_shipped_model_is_written(tmp_path):
    arrays = predict.shipped("standard")
    counted.write_weights(tmp_path / "w", arrays)
    assert (tmp_path / "w").stat().st_size == sum(array.nbytes + 4 for array in arrays.values())
