# SPDX-License-Identifier: BSD-2-Clause
"""What captured packets carry, and how far two recordings of the same stream are apart."""
