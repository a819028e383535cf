# SPDX-License-Identifier: BSD-2-Clause
"""`dredge doctor`"""

from __future__ import annotations

import click

from dredge_host.cli.options import json_option
from dredge_host.console import emit
from dredge_host.errors import CapabilityError


@click.command()
@json_option
def command(as_json: bool) -> None:
    """Show versions, board, clock, power, kernels and models, with advice for each problem.

    Exit code 5 when something is missing that the pipeline needs.
    """
    from dredge_host.doctor.doctor import examine, page, result

    findings = examine()
    document = result(findings)
    emit(document, page(findings), as_json)
    if not document["pass"]:
        failed = ", ".join(f.name for f in findings if f.state == "fail")
        raise CapabilityError(f"not ready: {failed}")
