# SPDX-License-Identifier: BSD-2-Clause
"""Makes the modules in scripts/ importable."""

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
if str(_ROOT / "scripts") not in sys.path:
    sys.path.insert(0, str(_ROOT / "scripts"))
