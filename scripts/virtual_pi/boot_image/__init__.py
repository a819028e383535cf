# SPDX-License-Identifier: BSD-2-Clause
"""What the virtual board is made of: Debian's kernel and userland, and the arm64 wheel of this checkout."""
