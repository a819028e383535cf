# SPDX-License-Identifier: BSD-2-Clause
"""The pipeline inside somebody's own program: a receiver that threads may share, a duplex end for asyncio."""
