# SPDX-License-Identifier: BSD-2-Clause
"""One self-contained HTML page about one run."""

from dredge_host.report.page import render, timeline_rows, write_report

__all__ = ["render", "timeline_rows", "write_report"]
