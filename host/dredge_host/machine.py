# SPDX-License-Identifier: BSD-2-Clause
"""What this machine is, read from /proc and /sys; every record of a measurement carries it."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

from dredge_host.errors import UsageError

# Raspberry Pi firmware, bits of get_throttled (raspberrypi.com, "vcgencmd").
THROTTLE_BITS = {
    0: "under-voltage now",
    1: "clock capped now",
    2: "throttled now",
    3: "soft temperature limit now",
    16: "under-voltage since boot",
    17: "clock was capped since boot",
    18: "throttled since boot",
    19: "soft temperature limit reached since boot",
}


class Machine:
    """Facts about the board below `root` (another root makes it testable)."""

    def __init__(self, root: str | Path = "/") -> None:
        self.root = Path(root)

    def _read(self, path: str) -> str | None:
        try:
            text = (self.root / path).read_bytes().decode("utf-8", "replace")
        except OSError:
            return None
        return text.strip("\0 \n\t") or None

    def _number(self, path: str) -> float | None:
        try:
            return float(self._read(path) or "")
        except ValueError:
            return None

    @property
    def board(self) -> str | None:
        """Model from the device tree; None on machines that have none (PCs)."""
        return self._read("proc/device-tree/model")

    @property
    def cpu(self) -> str:
        info = self._read("proc/cpuinfo") or ""
        for key in ("model name", "Model", "Hardware"):
            for line in info.splitlines():
                name, colon, value = line.partition(":")
                if colon and name.strip() == key and value.strip():
                    return value.strip()
        return platform.processor() or platform.machine()

    @property
    def os_name(self) -> str:
        for line in (self._read("etc/os-release") or "").splitlines():
            if line.startswith("PRETTY_NAME="):
                return line.split("=", 1)[1].strip('"')
        return platform.system()

    @property
    def governor(self) -> str | None:
        return self._read("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")

    @property
    def clock_mhz(self) -> float | None:
        kilohertz = self._number("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq")
        return None if kilohertz is None else kilohertz / 1000

    @property
    def temperature_c(self) -> float | None:
        millidegrees = self._number("sys/class/thermal/thermal_zone0/temp")
        return None if millidegrees is None else millidegrees / 1000

    @property
    def throttling(self) -> list[str] | None:
        """What the Raspberry Pi firmware reports; None where there is no such firmware."""
        text = self._read("sys/devices/platform/soc/soc:firmware/get_throttled")
        try:
            flags = int(text or "", 16)
        except ValueError:
            return None
        return [words for bit, words in THROTTLE_BITS.items() if flags >> bit & 1]

    def cache_bytes(self, level: int) -> int | None:
        """Size of the first core's data cache of this level; None where the system does not tell."""
        for index in range(8):
            folder = f"sys/devices/system/cpu/cpu0/cache/index{index}"
            size = self._read(f"{folder}/size") or ""
            if self._read(f"{folder}/level") == str(level) and self._read(f"{folder}/type") != "Instruction":
                return int(size[:-1]) * 1024 if size.endswith("K") and size[:-1].isdigit() else None
        return None

    def facts(self) -> dict[str, Any]:
        """Everything, for JSON; unknown things are None."""
        return {
            "board": self.board,
            "cpu": self.cpu,
            "cores": os.cpu_count(),
            "architecture": platform.machine(),
            "os": self.os_name,
            "kernel": platform.release(),
            "python": platform.python_version(),
            "l2_bytes": self.cache_bytes(2),
            "governor": self.governor,
            "clock_mhz": self.clock_mhz,
            "temperature_c": self.temperature_c,
            "throttling": self.throttling,
            "bits": 64 if sys.maxsize > 2**32 else 32,
        }


def simd_level() -> str:
    """The level that the vocoder kernel chose at import."""
    from dredge_kernels.lpcnet import simd_level as level

    return str(level())


def check_simd() -> None:
    """Raise UsageError if DREDGE_SIMD names a level that this machine does not have."""
    try:
        simd_level()
    except ValueError as error:
        raise UsageError(f"DREDGE_SIMD: {error}") from None
