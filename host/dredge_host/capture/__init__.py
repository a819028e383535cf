# SPDX-License-Identifier: BSD-2-Clause
"""Captured packets: reading, writing and inspection of files."""
