# SPDX-License-Identifier: BSD-2-Clause
"""RTP packets of any Opus sender become periods of 20 ms."""
