# SPDX-License-Identifier: BSD-2-Clause
"""The threads of a talk, and the watchdog that reports that they are alive."""
