# SPDX-License-Identifier: BSD-2-Clause
"""The input: converts the RTP packets of any Opus sender to periods of 20 ms."""
