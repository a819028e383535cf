# SPDX-License-Identifier: BSD-2-Clause
"""Where datagrams come from and go to."""
