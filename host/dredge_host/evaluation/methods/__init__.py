# SPDX-License-Identifier: BSD-2-Clause
"""The ways to live with losses that are compared."""
