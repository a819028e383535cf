# SPDX-License-Identifier: BSD-2-Clause
"""What periods cost on this machine, and the vocoder, queue and quality levels that follow from it."""
