# SPDX-License-Identifier: BSD-2-Clause
"""The way from packet periods to 20 ms of output: the waiting speech, rendering ahead, the report."""
