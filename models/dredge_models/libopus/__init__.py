# SPDX-License-Identifier: BSD-2-Clause
"""Import of libopus' models."""
