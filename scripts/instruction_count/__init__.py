# SPDX-License-Identifier: BSD-2-Clause
"""Executed instructions of the receive path on an emulated arm64 processor (`make count-pi`)."""
