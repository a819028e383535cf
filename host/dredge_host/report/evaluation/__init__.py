# SPDX-License-Identifier: BSD-2-Clause
"""The page of an evaluation."""
