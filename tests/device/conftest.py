# SPDX-License-Identifier: BSD-2-Clause
"""Property tests must not fail because a board or a shared machine is slow."""

from hypothesis import HealthCheck, settings

settings.register_profile("dredge", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dredge")
