# SPDX-License-Identifier: BSD-2-Clause
"""How far the state machines go: a few seconds in the test suite, hours with DREDGE_HYPOTHESIS=long."""

import atexit
import os
import sys
from collections import Counter

from hypothesis import HealthCheck, Phase, settings

LONG = os.environ.get("DREDGE_HYPOTHESIS") == "long"
_HEALTH = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
_HUNT = (Phase.reuse, Phase.generate)  # making a failure small takes longer than finding it; the short run does that

steps: Counter[str] = Counter()  # examples, rules and periods by machine; a long run prints them at its end


def _told():
    for name, count in sorted(steps.items()):
        print(f"{name}: {count}", file=sys.stderr)


if LONG:
    atexit.register(_told)


def profile(examples: int, rules: int, long_examples: int, long_rules: int) -> settings:
    """Short runs are the same every time; long ones look elsewhere every time, and remember what failed."""
    if LONG:
        return settings(
            max_examples=long_examples, stateful_step_count=long_rules, deadline=None,
            suppress_health_check=_HEALTH, phases=_HUNT, report_multiple_bugs=False, print_blob=True,
        )  # fmt: skip
    return settings(
        max_examples=examples, stateful_step_count=rules, deadline=None, suppress_health_check=_HEALTH,
        derandomize=True, database=None, report_multiple_bugs=False, print_blob=True,
    )  # fmt: skip
