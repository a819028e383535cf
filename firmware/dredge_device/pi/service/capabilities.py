# SPDX-License-Identifier: BSD-2-Clause
"""What the device says about itself in its hello."""

import os
import platform
from pathlib import Path
from typing import Any

from dredge_device.control import PROTOCOL_VERSION

CAPABILITIES = ("opus", "lbrr", "dred", "plc", "report", "timeline", "probe", "adaptive", "dtx")


def board() -> str:
    """The board's own name on a Pi, else the machine type."""
    return _text(Path("/proc/device-tree/model")) or platform.machine()


# Raspberry Pi firmware, bits of get_throttled (raspberrypi.com, "vcgencmd").
_THROTTLED = {
    0: "under-voltage now", 1: "clock capped now", 2: "throttled now", 3: "soft temperature limit now",
    16: "under-voltage since boot", 17: "clock was capped since boot", 18: "throttled since boot",
    19: "soft temperature limit reached since boot",
}  # fmt: skip


def machine(root: str | Path = "/") -> dict[str, Any]:
    """How the board runs now: clock, governor, temperature, throttling; None where nothing says so."""
    base = Path(root)
    cpu = base / "sys/devices/system/cpu/cpu0/cpufreq"
    clock = _number(cpu / "scaling_cur_freq")
    heat = _number(base / "sys/class/thermal/thermal_zone0/temp")
    flags = _text(base / "sys/devices/platform/soc/soc:firmware/get_throttled")
    try:
        throttling = None if flags is None else [w for bit, w in _THROTTLED.items() if int(flags, 16) >> bit & 1]
    except ValueError:
        throttling = None
    return {
        "board": _text(base / "proc/device-tree/model") or platform.machine(),
        "cpu": _cpu(base),
        "cores": os.cpu_count(),
        "clock_mhz": None if clock is None else clock / 1000,
        "governor": _text(cpu / "scaling_governor"),
        "temperature_c": None if heat is None else heat / 1000,
        "throttling": throttling,
    }


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "replace").strip("\0 \n\t") or None
    except OSError:
        return None


def _number(path: Path) -> float | None:
    try:
        return float(_text(path) or "")
    except ValueError:
        return None


def _cpu(base: Path) -> str | None:
    for line in (_text(base / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "Hardware") and value.strip():
            return value.strip()
    return None


def describe() -> dict[str, Any]:
    """Protocol version, capabilities, model ids, SIMD level, libopus version, board."""
    from dredge_kernels.lpcnet import simd_level
    from dredge_kernels.opus import opus_version
    from dredge_models import modelset, registry

    return {
        "ok": True,
        "protocol": PROTOCOL_VERSION,
        "role": "device",
        "capabilities": list(CAPABILITIES),
        "models": registry.model_ids(),
        "dred_versions": sorted(modelset.versions()),
        "simd": simd_level(),
        "opus": opus_version(),
        "board": board(),
        "python": platform.python_version(),
    }
