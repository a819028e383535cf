# SPDX-License-Identifier: BSD-2-Clause
"""The threads of a talk, and the watchdog that tells that they are alive."""
