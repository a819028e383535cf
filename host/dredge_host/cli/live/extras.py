# SPDX-License-Identifier: BSD-2-Clause
"""`dredge extras`"""

from __future__ import annotations

import click

from dredge_host.cli.options import json_option
from dredge_host.console import emit, table

EPILOG = """\b
Examples
  dredge extras                    what there is, and what of it is installed
  dredge extras add metrics        install PLCMOS, ESTOI and word errors
"""


@click.group(invoke_without_command=True, epilog=EPILOG)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List optional packages, and install them where this `dredge` runs."""
    if ctx.invoked_subcommand is not None:
        return
    from dredge_host.extras import PURPOSES, missing, names

    rows = [(name, missing(name), PURPOSES.get(name, "")) for name in names()]
    document = {
        "schema": "dredge.extras/1",
        "extras": [
            {"name": name, "installed": not absent, "missing": absent, "for": what} for name, absent, what in rows
        ],
    }
    lines = table([(name, "no" if absent else "yes", what) for name, absent, what in rows], ("extra", "here", "for"))
    emit(document, lines, as_json)


@command.command()
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Print the packages without installing them.")
def add(name: str, dry_run: bool) -> None:
    """Install the packages of the extra NAME with this interpreter's pip."""
    from dredge_host.extras import add as install

    done = install(name, dry_run)
    what = ", ".join(done)
    said = "would install" if dry_run else "installed"
    click.echo(f"{said} {what}" if done else f"{name}: everything is installed already")
