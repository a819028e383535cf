# SPDX-License-Identifier: BSD-2-Clause
"""The cost of periods on this machine, and the vocoder, queue and quality levels that follow from it."""
