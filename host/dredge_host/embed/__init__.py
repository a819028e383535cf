# SPDX-License-Identifier: BSD-2-Clause
"""The pipeline for other programs: a receiver that threads may share, and a duplex end for asyncio."""
