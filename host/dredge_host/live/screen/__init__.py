# SPDX-License-Identifier: BSD-2-Clause
"""The live display of a stream."""
