# SPDX-License-Identifier: BSD-2-Clause
"""The SIMD level of the vocoder kernel on this machine."""

from __future__ import annotations

from dredge_host.errors import UsageError


def simd_level() -> str:
    """Return the level that the vocoder kernel chose at import."""
    from dredge_kernels.lpcnet import simd_level as level

    return str(level())


def check_simd() -> None:
    """Raise UsageError if DREDGE_SIMD names a level that this machine does not have."""
    try:
        simd_level()
    except ValueError as error:
        raise UsageError(f"DREDGE_SIMD: {error}") from None
