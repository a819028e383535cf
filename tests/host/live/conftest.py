# SPDX-License-Identifier: BSD-2-Clause
"""What several tests of live streams need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rtp_agent import Agent


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Any]:
    """Starts real agents with these options; they end with the test."""
    started: list[Agent] = []

    def start(*options: str) -> Agent:
        started.append(Agent(tmp_path, *options))
        return started[-1]

    yield start
    for each in started:
        each.close()
