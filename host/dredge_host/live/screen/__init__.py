# SPDX-License-Identifier: BSD-2-Clause
"""What a person watches while a stream runs."""
