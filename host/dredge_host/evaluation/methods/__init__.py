# SPDX-License-Identifier: BSD-2-Clause
"""The methods against losses that are compared."""
