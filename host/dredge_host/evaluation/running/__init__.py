# SPDX-License-Identifier: BSD-2-Clause
"""The cells of an evaluation, computed on all cores or on a cluster."""
