# SPDX-License-Identifier: BSD-2-Clause
"""From speech to packets, and what a network does to them."""
