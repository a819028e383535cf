# SPDX-License-Identifier: BSD-2-Clause
"""The facts about this installation, with advice for each problem."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from dataclasses import asdict

from dredge_device.pi.input.opus_abilities import DEEP_PLC, LACE, NOLACE, opus_abilities
from dredge_device.pi.machine import Machine
from dredge_device.pi.schema.report import MachineReport
from dredge_host import __version__
from dredge_host.doctor import devices, works
from dredge_host.doctor.finding import FAIL, INFO, OK, WARN, Finding

SCHEMA = "dredge.doctor/1"


def examine(machine: Machine | None = None) -> list[Finding]:
    """Return all findings. It never raises: a fact that cannot be determined becomes a finding."""
    machine = machine or Machine()
    found = [*_software(), *_board(machine), *devices.examine(machine.root)]
    for name, check in _PARTS:
        found.append(_guard(name, check))
    found.append(_guard("calibration", lambda: works.calibration(machine)))
    return found


def result(findings: list[Finding]) -> dict[str, object]:
    """Return the findings as a JSON document."""
    return {
        "schema": SCHEMA,
        "pass": not any(finding.state == FAIL for finding in findings),
        "findings": [asdict(finding) for finding in findings],
    }


def page(findings: list[Finding]) -> list[str]:
    """Return the findings as lines of text, each followed by its advice."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.state:<5}{finding.name:<16}{finding.value}")
        if finding.advice:
            lines.append(f"{'':<21}-> {finding.advice}")
    return lines


def _guard(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        return Finding(name, FAIL, text, "reinstall the package, or run `make build` in a checkout")


def _software() -> list[Finding]:
    return [
        Finding("dredge", INFO, __version__),
        Finding("python", INFO, f"{platform.python_version()} ({platform.machine()})"),
    ]


def _board(machine: Machine) -> list[Finding]:
    facts = machine.facts()
    board = facts["board"] or "not a Raspberry Pi (no device tree)"
    found = [
        Finding("system", INFO, f"{facts['os']}, kernel {facts['kernel']}"),
        Finding("board", INFO, board + (f", {facts['soc']}" if facts["soc"] else "")),
        Finding("cpu", INFO, f"{facts['cpu']}, {facts['cores']} cores"),
    ]
    if facts["bits"] != 64:
        advice = "the neural runtime has no 32-bit wheels; use a 64-bit Raspberry Pi OS"
        found.append(Finding("bits", FAIL, "32-bit Python", advice))
    clock = facts["clock_mhz"]
    found.append(Finding("clock", INFO, "unknown" if clock is None else f"{clock:.0f} MHz"))
    return [
        *found,
        _governor(facts["governor"]),
        _temperature(facts["temperature_c"]),
        _power(facts),
    ]


def _governor(governor: str | None) -> Finding:
    if governor in ("powersave", "conservative"):
        advice = "sudo cpupower frequency-set -g performance (or ondemand)"
        return Finding("governor", WARN, governor, advice)
    return Finding("governor", INFO, governor or "unknown")


def _temperature(celsius: float | None) -> Finding:
    if celsius is None:
        return Finding("temperature", INFO, "unknown")
    if celsius >= 80:  # the firmware of a Raspberry Pi caps the clock from here on
        return Finding("temperature", WARN, f"{celsius:.0f} °C", "cool the board")
    return Finding("temperature", OK, f"{celsius:.0f} °C")


def _power(facts: MachineReport) -> Finding:
    flags = facts["throttling"]
    if flags is None:
        return Finding("throttling", INFO, "unknown")
    if flags:
        advice = "use the official power supply and a heat sink, then reboot"
        return Finding("throttling", WARN, ", ".join(flags), advice)
    return Finding("throttling", OK, "none")


def _libopus() -> Finding:
    """Return the version of libopus and its abilities: DRED is our own, but the low-rate copies and the decoder's
    networks are libopus'.
    """
    abilities = opus_abilities()
    version = abilities.version
    digits = re.search(r"(\d+)\.(\d+)", version)
    if digits is None:
        return Finding("libopus", OK, f"{version} (version not understood)")
    number = (int(digits[1]), int(digits[2]))
    if number < (1, 3):
        return Finding("libopus", WARN, version, "1.3 or newer is tested; upgrade libopus0")
    can = ["LBRR and classic concealment"]
    can += [f"concealment by a network (--opus-complexity {DEEP_PLC})"] if abilities.deep_plc else []
    can += [f"enhanced speech (--opus-complexity {LACE} or {NOLACE})"] if abilities.enhancement else []
    own = "may have a DRED of its own, which is not used" if number >= (1, 5) else "no DRED of its own, none is needed"
    return Finding("libopus", OK, f"{version}: {', '.join(can)}; {own}")


def _tflite() -> Finding:
    from dredge_models.registry import ModelError
    from dredge_models.tflite.runtime import runtime_name

    try:
        return Finding("neural runtime", OK, runtime_name())
    except ModelError as error:
        return Finding("neural runtime", FAIL, str(error), works.RUNTIME)


def _numpy() -> Finding:
    import numpy

    return Finding("numpy", INFO, numpy.__version__)


def _simd() -> Finding:
    from dredge_host.simd import simd_level
    from dredge_kernels.lpcnet import simd_levels

    level, levels = simd_level(), list(simd_levels())
    value = f"{level} (this machine has: {', '.join(levels)})"
    if level == "scalar":
        advice = "DREDGE_SIMD may be set; scalar kernels are the slow reference"
        return Finding("kernels", WARN, value, advice)
    return Finding("kernels", OK, value)


def _models() -> Finding:
    from dredge_models.registry import manifest, verify

    problems = [str(problem) for problem in verify()]
    if problems:
        return Finding("models", FAIL, "; ".join(problems), "reinstall the package")
    return Finding("models", OK, f"{len(manifest()['files'])} files, as pinned")


_PARTS: list[tuple[str, Callable[[], Finding]]] = [
    ("numpy", _numpy),
    ("libopus", _libopus),
    ("neural runtime", _tflite),
    ("kernels", _simd),
    ("models", _models),
    ("recovery", works.recovery),
    ("audio files", works.audio_files),
    ("network", works.network),
    ("user folders", works.user_folders),
]
