# SPDX-License-Identifier: BSD-2-Clause
"""One page of facts about this machine."""
