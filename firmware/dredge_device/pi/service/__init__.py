# SPDX-License-Identifier: BSD-2-Clause
"""The device process: sessions, load and timing."""
