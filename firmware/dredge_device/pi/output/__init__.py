# SPDX-License-Identifier: BSD-2-Clause
"""Where played speech goes."""
