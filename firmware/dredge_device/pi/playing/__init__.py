# SPDX-License-Identifier: BSD-2-Clause
"""From packet periods to 20 ms of output: what was played, the speech that waits, the outlook, the report."""
