# SPDX-License-Identifier: BSD-2-Clause
"""The conversion of packet periods to 20 ms of output: the speech queue, rendering ahead, the report."""
