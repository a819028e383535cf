# SPDX-License-Identifier: BSD-2-Clause
"""Outputs for the played speech."""
