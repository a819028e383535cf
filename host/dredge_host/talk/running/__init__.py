# SPDX-License-Identifier: BSD-2-Clause
"""What keeps both halves of a talk going, and tells that they are alive."""
