# SPDX-License-Identifier: BSD-2-Clause
"""Verbs that work with devices."""
