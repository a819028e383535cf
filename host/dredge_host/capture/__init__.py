# SPDX-License-Identifier: BSD-2-Clause
"""Packets in files: read, written, explained."""
