# SPDX-License-Identifier: BSD-2-Clause
"""The device's description of itself in its hello."""

import platform

from dredge_device.control import PROTOCOL_VERSION
from dredge_device.pi.input.opus_abilities import opus_abilities
from dredge_device.pi.machine import Machine
from dredge_device.pi.schema.documents import Description

CAPABILITIES = ("opus", "lbrr", "dred", "plc", "report", "timeline", "probe", "adaptive", "dtx")


def describe(machine: Machine | None = None) -> Description:
    """Return the protocol version, capabilities, model ids, SIMD level, libopus version and its decoder's abilities,
    board.
    """
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
        "opus_complexity": opus_abilities().best,
        "board": (machine or Machine()).board or platform.machine(),
        "python": platform.python_version(),
    }
