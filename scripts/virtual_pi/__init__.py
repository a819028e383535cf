# SPDX-License-Identifier: BSD-2-Clause
"""A Raspberry Pi whose clock counts instructions, with an agent (`make test-pi`, docs/reference/virtual-pi.md)."""
