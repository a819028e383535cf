# SPDX-License-Identifier: BSD-2-Clause
"""Speech and losses of an evaluation."""
