# SPDX-License-Identifier: BSD-2-Clause
"""The virtual board: one arm64 core and 512 MB under QEMU, whose clock is the number of executed instructions."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
from pathlib import Path
from typing import Any

from debian import tied

PROGRAM = "qemu-system-aarch64"
CPUS = ("cortex-a53", "cortex-a72", "cortex-a76")
SLOWEST, FASTEST = 16, 4000  # million instructions per second
MARK, CODE = "PI-JSON ", "PI-RC "  # begin the job's lines on the console
_LONGEST_S = 1500  # of CPU time, however busy this machine is: a guest that hangs would spin for ever
_REPEATABLE = "nokaslr norandmaps mitigations=off random.trust_cpu=off"
_WORDS = f"console=ttyAMA0 quiet panic=-1 rdinit=/init rootfstype=ramfs {_REPEATABLE}"


class BoardError(RuntimeError):
    """The board did not come to the end of its job; the message holds the end of its console."""


def rate(mips: float) -> tuple[int, int]:
    """Return (shift, counter frequency in Hz) for so many million instructions per second of the guest's time.

    QEMU knows only 2**shift nanoseconds per instruction. What lies between is made with the guest's counter: QEMU
    counts whole nanoseconds per tick, here one, and tells the guest the frequency, so that a second of the guest is
    frequency / 1e9 seconds of QEMU's.
    """
    if not SLOWEST <= mips <= FASTEST:
        raise ValueError(f"mips is {mips:g}, expected {SLOWEST} to {FASTEST} million instructions per second")
    shift = 0
    while mips * 2 ** (shift + 1) <= 1000:
        shift += 1
    return shift, round(mips * 1e6 * 2**shift)


def command(kernel: Path, image: Path, mips: float, cpu: str) -> list[str]:
    """Return the command that starts QEMU.

    Nothing that could differ between two runs reaches the guest: no disk, no network card, no host clock, no random
    numbers.
    """
    shift, frequency = rate(mips)
    return [
        PROGRAM, "-M", "virt,gic-version=2,dtb-randomness=off", "-cpu", f"{cpu},cntfrq={frequency}",
        "-smp", "1", "-m", "512", "-accel", "tcg,thread=single", "-icount", f"shift={shift},sleep=off", "-seed", "1",
        "-rtc", "base=2026-01-01T00:00:00,clock=vm", "-nic", "none", "-nodefaults", "-no-user-config",
        "-display", "none", "-serial", "stdio", "-no-reboot",
        "-kernel", str(kernel), "-initrd", str(image), "-append", _WORDS,
    ]  # fmt: skip


def run(kernel: Path, image: Path, mips: float, cpu: str) -> dict[str, Any]:
    """Return the job's result, the last JSON document on the console. Raises BoardError."""
    words = tied(command(kernel, image, mips, cpu))
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace")  # fmt: skip
    try:
        resource.prlimit(process.pid, resource.RLIMIT_CPU, (_LONGEST_S, _LONGEST_S))
        said, _ = process.communicate()
    finally:
        process.kill()
    if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise BoardError(f"the virtual board was ended, at the latest after {_LONGEST_S} s of CPU time")
    lines = [line.strip() for line in said.splitlines()]
    documents = [line.removeprefix(MARK) for line in lines if line.startswith(MARK)]
    if f"{CODE}0" not in lines or not documents:
        raise BoardError("the virtual board did not finish its job: " + " | ".join(lines[-12:]))
    document: dict[str, Any] = json.loads(documents[-1])
    return document
