# SPDX-License-Identifier: BSD-2-Clause
"""The page about an evaluation."""
