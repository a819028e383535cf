# SPDX-License-Identifier: BSD-2-Clause
"""Checks of a device or a line by streaming to it."""
