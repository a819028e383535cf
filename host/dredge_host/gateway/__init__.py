# SPDX-License-Identifier: BSD-2-Clause
"""A browser at one end of a talk: WebRTC on its side, Opus with redundancy on the lossy leg."""
