# SPDX-License-Identifier: BSD-2-Clause
"""Import this first: makes the namespace package `models.training` importable from any folder."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
