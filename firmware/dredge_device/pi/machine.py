# SPDX-License-Identifier: BSD-2-Clause
"""The facts about this machine, read from /proc and /sys; every record of a measurement contains them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

from dredge_device.pi.schema.report import MachineReport

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
# Part numbers of ARM's cores in /proc/cpuinfo (ARM, main ID register).
CORES = {0xD03: "Cortex-A53", 0xD04: "Cortex-A35", 0xD08: "Cortex-A72", 0xD0B: "Cortex-A76"}
_FREQUENCY = "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"
_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"


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
    def soc(self) -> str | None:
        """The chip, by its name in the device tree: bcm2710, bcm2711, bcm2712."""
        names = (self._read("proc/device-tree/compatible") or "").split("\0")
        return names[-1].rpartition(",")[2] or None

    def _cpuinfo(self, key: str) -> str | None:
        for line in (self._read("proc/cpuinfo") or "").splitlines():
            name, colon, value = line.partition(":")
            if colon and name.strip() == key and value.strip():
                return value.strip()
        return None

    @property
    def cpu(self) -> str:
        """The processor's name; on ARM it is known by its part number only."""
        try:
            core = CORES.get(int(self._cpuinfo("CPU part") or "0", 16))
        except ValueError:
            core = None
        for found in (self._cpuinfo("model name"), core, self._cpuinfo("Model"), self._cpuinfo("Hardware")):
            if found:
                return found
        return platform.processor() or platform.machine()

    def vcgencmd(self, *words: str) -> str | None:
        """Return the text after the equals sign in the output of the firmware's command vcgencmd, None without the
        command.
        """
        program = self.root / "usr/bin/vcgencmd"
        try:
            done = subprocess.run([str(program), *words], capture_output=True, text=True, timeout=5, check=False)
        except (OSError, subprocess.SubprocessError):
            return None
        _, equals, value = done.stdout.strip().partition("=")
        return value if equals and done.returncode == 0 else None

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
        kilohertz = self._number(_FREQUENCY)
        if kilohertz is not None:
            return kilohertz / 1000
        hertz = self.vcgencmd("measure_clock", "arm")
        return int(hertz) / 1e6 if hertz and hertz.isdigit() else None

    @property
    def temperature_c(self) -> float | None:
        millidegrees = self._number("sys/class/thermal/thermal_zone0/temp")
        return None if millidegrees is None else millidegrees / 1000

    @property
    def throttling(self) -> list[str] | None:
        """The states that the Raspberry Pi firmware reports, None without such firmware."""
        text = self._read(_THROTTLED) or self.vcgencmd("get_throttled")
        try:
            flags = int(text or "", 16)
        except ValueError:
            return None
        return [words for bit, words in THROTTLE_BITS.items() if flags >> bit & 1]

    def cache_bytes(self, level: int) -> int | None:
        """Return the size of the first core's data cache of this level, None where the system does not report it."""
        for index in range(8):
            folder = f"sys/devices/system/cpu/cpu0/cache/index{index}"
            size = self._read(f"{folder}/size") or ""
            if self._read(f"{folder}/level") == str(level) and self._read(f"{folder}/type") != "Instruction":
                return int(size[:-1]) * 1024 if size.endswith("K") and size[:-1].isdigit() else None
        return None

    def facts(self) -> MachineReport:
        """Return all facts for JSON; unknown ones are None."""
        return {
            "board": self.board,
            "soc": self.soc,
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
