# SPDX-License-Identifier: BSD-2-Clause
"""Evaluation of quality: clips x losses x methods, judged by metrics."""
