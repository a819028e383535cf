# SPDX-License-Identifier: BSD-2-Clause
"""TFLite graphs: writing, checking and running."""
