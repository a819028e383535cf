# SPDX-License-Identifier: BSD-2-Clause
"""Figures of measurements as SVG: one module measures and draws one picture (extra `report`).

Every picture is drawn from a plain document, so that it can be kept as JSON and drawn again.
"""
