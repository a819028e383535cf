# SPDX-License-Identifier: BSD-2-Clause
"""The pipeline on a virtual clock."""
