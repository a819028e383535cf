# SPDX-License-Identifier: BSD-2-Clause
"""The content of captured packets, and the distance of two recordings of the same stream."""
