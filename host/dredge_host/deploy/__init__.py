# SPDX-License-Identifier: BSD-2-Clause
"""Installation on a Raspberry Pi or a board."""
