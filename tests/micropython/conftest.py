# SPDX-License-Identifier: BSD-2-Clause
"""Imports of these tests: the folders of the board programs and of the portable tests."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE / "portable", HERE.parents[1] / "firmware/boards"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
collect_ignore_glob = ["portable/*"]  # test_under_micropython.py runs them, under CPython too
