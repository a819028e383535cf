# SPDX-License-Identifier: BSD-2-Clause
"""The same pipeline without a clock."""
