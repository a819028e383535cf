# SPDX-License-Identifier: BSD-2-Clause
"""Access to the device, and the keys of a session."""
