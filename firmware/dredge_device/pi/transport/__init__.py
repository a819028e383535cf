# SPDX-License-Identifier: BSD-2-Clause
"""The transports of datagrams: UDP and serial lines."""
