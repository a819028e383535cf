# SPDX-License-Identifier: BSD-2-Clause
"""Tables, statistics and texts of an evaluation."""
