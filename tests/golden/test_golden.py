# SPDX-License-Identifier: BSD-2-Clause
"""Wire, samples, decisions and reports are the same, bit for bit, as when hashes.json was written."""

from __future__ import annotations

import json

import pytest
from golden_grid import CASES, HASHES, RECEIVED, SIMULATED, environment, run, targets

GOLDEN = json.loads(HASHES.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", CASES)
def test_nothing_has_changed(name: str) -> None:
    """Where hashes.json knows no such system, two runs are at least equal."""
    got = run(name)
    known = GOLDEN.get(environment())
    if known is None:
        assert run(name) == got
    else:
        assert got == known.get(name), "see tests/golden/regenerate.py: what differs, and when new hashes are right"


def test_the_hashes_of_this_system_are_known() -> None:
    if environment() not in GOLDEN:
        pytest.skip(f"this system ({environment()}) is not in hashes.json: two runs are compared with each other")


@pytest.mark.parametrize("name", GOLDEN)
def test_the_file_has_the_cases_of_the_grid(name: str) -> None:
    assert list(GOLDEN[name]) == list(CASES)


@pytest.mark.parametrize(("kind", "factors"), [("simulate", SIMULATED), ("receiver", RECEIVED)])
def test_all_targets_occur(kind: str, factors: dict[str, tuple[str, ...]]) -> None:
    cases = [case for name, case in CASES.items() if name.startswith(kind)]
    for target in targets(factors):
        assert any(target <= case.items() for case in cases), target
