# SPDX-License-Identifier: BSD-2-Clause
"""The streams of a device process: who is heard, and what is played of each."""
