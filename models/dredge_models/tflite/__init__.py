# SPDX-License-Identifier: BSD-2-Clause
"""TFLite graphs: written, checked, run."""
