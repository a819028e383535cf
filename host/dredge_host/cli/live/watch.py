# SPDX-License-Identifier: BSD-2-Clause
"""`dredge watch`"""

from __future__ import annotations

import click

from dredge_host.cli.options import Whole, json_option
from dredge_host.console import emit, to_json

SCHEMA = "dredge.watch/1"
EPILOG = """\b
Examples
  dredge watch udp://192.168.1.40:5005              until Ctrl-C
  dredge watch udp://192.168.1.40:5005 --count 10 --json
"""


@click.command(epilog=EPILOG)
@click.argument("url", metavar="URL")
@click.option("--count", type=Whole(min=1), help="Stop after this many reports (one per second).")
@json_option
def command(url: str, count: int | None, as_json: bool) -> None:
    """Show the reports of a MicroPython bridge: counters of both sides, CPU time, heap.

    URL is the board's report port, 5005 unless dredge.json says otherwise.
    """
    from dredge_host.links.open import open_link
    from dredge_host.live.watch import Watch, line

    link = open_link(url)
    try:
        watch = Watch(link)
        about = watch.info
        if not as_json:
            words = f"{about.get('role')} on {about.get('board')}, MicroPython {about.get('version')}"
            emit({}, [words], as_json=False)
        documents = []
        for report in watch.reports(count):
            documents.append(report)
            if not as_json:
                click.echo(line(report))
        watch.close()
        if as_json:
            click.echo(to_json({"schema": SCHEMA, "board": about, "reports": documents}))
    finally:
        link.close()
