# SPDX-License-Identifier: BSD-2-Clause
"""Packages that only some verbs need: loaded on use, missed in one sentence."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from dredge_host.errors import CapabilityError

METRICS = "pip install 'dredge[metrics]'"


def need(package: str, purpose: str, how: str = METRICS) -> Any:
    """The imported package. Raises CapabilityError, which says what it is for and how to get it."""
    try:
        return import_module(package)
    except (ImportError, OSError) as error:  # OSError: the package is there, its library is not
        name = package.partition(".")[0].replace("_", "-")
        raise CapabilityError(f"{purpose} needs {name} ({error}); {how}") from None
