# SPDX-License-Identifier: BSD-2-Clause
"""The streams of a device process: their admission, their sessions and their rendering."""
