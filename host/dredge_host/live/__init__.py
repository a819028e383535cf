# SPDX-License-Identifier: BSD-2-Clause
"""A stream to a device in real time."""
