# SPDX-License-Identifier: BSD-2-Clause
"""Timing of every stage."""
