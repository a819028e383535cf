# SPDX-License-Identifier: BSD-2-Clause
"""Drawings that several pages share."""
