# SPDX-License-Identifier: BSD-2-Clause
"""How good the result is."""
