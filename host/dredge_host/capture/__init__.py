# SPDX-License-Identifier: BSD-2-Clause
"""Captured packets: files are read, written and explained."""
