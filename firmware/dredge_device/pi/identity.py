# SPDX-License-Identifier: BSD-2-Clause
"""What the device says about itself in its hello."""

import platform
from pathlib import Path
from typing import Any

from dredge_device.control import PROTOCOL_VERSION

CAPABILITIES = ("opus", "lbrr", "dred", "plc", "report", "timeline")


def board() -> str:
    """The board's own name on a Pi, else the machine type."""
    model = Path("/proc/device-tree/model")
    try:
        return model.read_text(encoding="utf-8").rstrip("\0\n")
    except (OSError, UnicodeDecodeError):
        return platform.machine()


def describe() -> dict[str, Any]:
    """Protocol version, capabilities, model ids, SIMD level, libopus version, board."""
    from dredge_kernels.lpcnet import simd_level
    from dredge_kernels.opus import opus_version
    from dredge_models import registry

    return {
        "ok": True,
        "protocol": PROTOCOL_VERSION,
        "role": "device",
        "capabilities": list(CAPABILITIES),
        "models": registry.model_ids(),
        "simd": simd_level(),
        "opus": opus_version(),
        "board": board(),
        "python": platform.python_version(),
    }
