# SPDX-License-Identifier: BSD-2-Clause
"""The report of one run as a self-contained HTML page."""

from dredge_host.report.page import render, write_page, write_report
from dredge_host.report.timeline import timeline_rows

__all__ = ["render", "timeline_rows", "write_page", "write_report"]
