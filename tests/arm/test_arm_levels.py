# SPDX-License-Identifier: BSD-2-Clause
"""Every level of instructions of the int8 LPCNet gives the same bits, on this machine and on emulated arm64."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from arm_build import C_DIR, CROSS, EMULATOR, HARNESS, NATIVE, Build, compile_c, missing, run_levels, setup_constant

CPUS = {
    "cortex-a53": ["scalar", "neon"],                    # Zero 2 W, Pi 3
    "cortex-a72": ["scalar", "neon"],                    # Pi 4
    "cortex-a76": ["scalar", "neon", "neon_dotprod"],    # Pi 5
}
PACKAGES = "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user"


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    if missing(NATIVE):
        pytest.skip("needs gcc: apt-get install gcc")
    return Build(NATIVE, tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="module")
def arm(tmp_path_factory):
    if absent := missing(CROSS, EMULATOR):
        pytest.skip(f"needs {' and '.join(absent)}: {PACKAGES}")
    return Build(CROSS, tmp_path_factory.mktemp("arm"))


@pytest.fixture(scope="module")
def here(native):
    return run_levels(native.link())


@pytest.fixture(scope="module")
def arm_levels(arm):
    return arm.link()


def test_levels_of_this_machine_agree(here):
    assert here.status == 0, here.error
    assert here.names[0] == "scalar" and len(set(here.names)) == len(here.names)
    assert len({(level.products, level.samples) for level in here.levels}) == 1


def test_generated_signal_is_alive(here):
    """A dead or saturated network would agree everywhere and prove nothing."""
    assert all(level.codes > 128 for level in here.levels)


def test_seed_changes_every_hash(native, here):
    other = run_levels(native.folder / "levels", seed=2, nets=2)
    mine = run_levels(native.folder / "levels", seed=1, nets=2)
    assert other.status == mine.status == 0
    assert other.frame != mine.frame
    assert other.levels[0].products != mine.levels[0].products
    assert other.levels[0].samples != mine.levels[0].samples


@pytest.mark.parametrize("cpu", CPUS)
def test_emulated_arm_agrees_with_this_machine(cpu, arm_levels, here):
    result = run_levels(arm_levels, cpu)
    assert result.status == 0, result.error
    assert result.names == CPUS[cpu]
    assert result.frame == here.frame, "conditioning or filters differ between the architectures"
    scalar = here.levels[0]
    for level in result.levels:
        assert (level.products, level.samples) == (scalar.products, scalar.samples), level.name


def test_dispatch_is_what_keeps_dotprod_from_old_processors(arm):
    """With the check of the processor taken away, the A53 meets an instruction it lacks: the emulation is strict."""
    always = arm.edited("common/cpu.c", "(getauxval(AT_HWCAP) & HWCAP_ASIMDDP_BIT) != 0", "1")
    program = arm.link("always_dotprod", cpu=always)
    assert run_levels(program, "cortex-a53", nets=1).status in (-signal.SIGILL, 128 + signal.SIGILL)
    assert run_levels(program, "cortex-a76", nets=1).status == 0


@pytest.mark.parametrize(
    ("source", "old", "new", "cpu"),
    [
        ("lpcnet/levels/neon.c", "smlal v6.8h, v22.8b", "smlal v6.8h, v21.8b", "cortex-a53"),
        ("lpcnet/levels/dotprod.c", "vld1q_s8(w + 48)", "vld1q_s8(w + 32)", "cortex-a76"),
    ],
)
def test_wrong_kernel_is_caught(source, old, new, cpu, arm):
    program = arm.link("wrong", **{Path(source).stem: arm.edited(source, old, new)})
    result = run_levels(program, cpu, nets=1)
    assert result.status == 1
    assert "differs from scalar" in result.error


def test_contraction_would_change_the_samples(arm):
    """Why setup.py forbids it: one level compiled with fused multiply-adds already disagrees."""
    fused = arm.compile(C_DIR / "lpcnet/levels/neon.c", ["-ffp-contract=fast"], "fused")
    result = run_levels(arm.link("fused_levels", neon=fused), "cortex-a53", nets=2)
    assert result.status == 1
    assert result.levels[0].products == result.levels[1].products
    assert result.levels[0].samples != result.levels[1].samples


def test_nothing_undefined_happens(tmp_path):
    """Conversions out of range are what x86 and ARM do differently without any warning."""
    if missing(NATIVE):
        pytest.skip("needs gcc: apt-get install gcc")
    program = tmp_path / "sanitised"
    checks = "-fsanitize=address,undefined,float-cast-overflow"
    sources = [str(C_DIR / name) for name in setup_constant("EXTRA")["lpcnet"]["sources"]]
    flags = ["-O0", "-DDREDGE_DEBUG", "-ffp-contract=off", checks, "-fno-sanitize-recover=all"]
    compile_c(NATIVE, [*flags, str(HARNESS), *sources, "-lm", "-o", str(program)])
    result = run_levels(program, nets=4)
    assert result.status == 0, result.error


def test_flags_that_keep_the_bits_are_the_products_own():
    flags = setup_constant("CFLAGS")
    assert "-ffp-contract=off" in flags
    assert not {"-ffast-math", "-Ofast", "-march=native", "-mcpu=native"} & set(flags)


def test_the_sample_loop_can_neither_allocate_nor_call_python(native):
    """All that the compiled levels refer to: tables, and functions that move memory."""
    for name in ("scalar", "avx2", "vnni"):
        command = ["nm", "-u", native.objects[f"lpcnet/levels/{name}.c"]]
        symbols = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        outside = {line.split()[-1] for line in symbols.splitlines()} - {"_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}
        assert outside <= {"ln_expand", "ln_threshold", "ln_to_ulaw", "memcpy", "memmove", "memset"}, name
