# SPDX-License-Identifier: BSD-2-Clause
"""A Raspberry Pi whose clock counts instructions, and the real agent on it (`make test-pi`, docs/virtual-pi.md)."""
