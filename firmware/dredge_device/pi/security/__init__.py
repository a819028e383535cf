# SPDX-License-Identifier: BSD-2-Clause
"""Who may talk to the device, and the keys of a session."""
