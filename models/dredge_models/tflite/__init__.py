# SPDX-License-Identifier: BSD-2-Clause
"""TFLite graphs are written, checked and run."""
