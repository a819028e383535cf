# SPDX-License-Identifier: BSD-2-Clause
"""The `dredge` command: a table of verbs, loaded on use, and one place for exit codes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from dredge_device.pi.standard_streams import make_safe
from dredge_host.cli.interrupts import interrupt_on
from dredge_host.errors import CHECK_FAILED, INTERRUPTED, exit_code, sentence

if TYPE_CHECKING:
    from dredge_host.cli.options import Given


class Verb(NamedTuple):
    """One command: the module that defines `command`, and its line in the help."""

    module: str
    section: str
    summary: str


VERBS = {
    "demo": Verb("live.demo", "Start here", "Bundled speech through harsh loss, with a report."),
    "doctor": Verb("live.doctor", "Start here", "Facts about this machine and installation, with advice."),
    "extras": Verb("live.extras", "Start here", "Optional packages: list them, install them."),
    "agent": Verb("live.agent", "Live audio", "The device side: receive, recover, play or record."),
    "talk": Verb("live.talk", "Live audio", "Microphone and loudspeaker at both ends, full duplex."),
    "stream": Verb("live.stream", "Live audio", "Send a file or a microphone to an agent in real time."),
    "gateway": Verb("live.gateway", "Live audio", "Talk from a browser, through this machine."),
    "devices": Verb("live.devices", "Live audio", "Sound cards and serial ports, with the names to use."),
    "deploy": Verb("live.deploy", "Devices", "Install the agent on a Pi, or a program on a board."),
    "watch": Verb("live.watch", "Devices", "Show the reports of a MicroPython bridge."),
    "check": Verb("live.check", "Measure", "Does the device keep up? A verdict with an exit code."),
    "simulate": Verb("measure.simulate", "Measure", "The same pipeline offline and deterministic."),
    "report": Verb("measure.report", "Measure", "One page to listen to and look at, from a saved result."),
    "inspect": Verb("measure.inspect", "Measure", "Show what the packets of a capture carry."),
    "report-card": Verb("measure.report_card", "Measure", "Measure the cost of DRED here, and its recovery."),
    "bench": Verb("measure.bench", "Measure", "Time every stage against the 20 ms period."),
    "evaluate": Verb("measure.evaluate", "Measure", "Clips x losses x methods: quality, bitrate."),
    "figures": Verb("measure.figures", "Measure", "The figures of the DRED article, from measurements here."),
    "traces": Verb("measure.traces", "Measure", "Make, show and convert loss traces and sets of them."),
    "models": Verb("measure.models", "Models", "List, verify and import the neural models."),
}

EPILOG = """\b
Examples
  dredge demo
  dredge simulate speech.wav received.wav --loss gilbert:rate=20%,burst=5
  dredge agent --listen udp://0.0.0.0:5004 --allow-remote --out received.wav     (on the Pi)
  dredge stream speech.wav --to udp://raspberrypi:5004 --loss harsh

\b
Exit codes
  0 pass        1 check failed      2 usage or bad input   3 unreachable
  4 version mismatch                5 capability missing   130 interrupted
"""


class VerbGroup(click.Group):
    """Knows its verbs without importing them, and turns exceptions into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = import_module(f"dredge_host.cli.{VERBS[cmd_name].module}").command
        if not isinstance(command, click.Command):
            return None
        command.name = cmd_name  # every module names its command `command`
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section in dict.fromkeys(verb.section for verb in VERBS.values()):
            rows = [(name, v.summary) for name, v in VERBS.items() if v.section == section]
            with formatter.section(section):
                formatter.write_dl(rows, col_max=12)

    def main(  # type: ignore[override]
        self, args: Any = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        extra["standalone_mode"] = False
        sys.exit(self._run(args, prog_name or "dredge", extra))

    def _run(self, args: Sequence[str] | None, prog_name: str, extra: Given) -> int:
        try:
            value: Any = super().main(args, prog_name, **extra)
        except click.exceptions.Exit as stop:
            return int(stop.exit_code)
        except click.ClickException as error:
            click.echo(_usage(error), err=True)
            return exit_code(error) or error.exit_code
        except BrokenPipeError:
            return CHECK_FAILED  # the reader of stdout is gone, so no message can reach it
        except (Exception, KeyboardInterrupt) as error:
            code = exit_code(error)
            if code is None:
                raise
            click.echo(f"dredge: {sentence(error)}", err=True)
            return code
        return value if isinstance(value, int) else 0


def _usage(error: click.ClickException) -> str:
    """Return one line with the error and a pointer to the help; without any argument (`dredge`, `dredge traces`) the
    help itself.
    """
    if type(error).__name__ == "NoArgsIsHelpError":  # click 8.2 or newer; an older one prints the help
        return error.format_message()
    text = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return f"dredge: {text}; see `{context.command_path} --help`" if context else f"dredge: {text}"


def _show_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from dredge_host import __version__

        click.echo(f"dredge, version {__version__}")
        ctx.exit()


@click.group("dredge", cls=VerbGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_show_version,
              help="Show the version and exit.")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Speech that survives packet loss, made for Raspberry Pi.

    Every packet carries up to one second of compressed history; lost speech is recovered from the
    first packet that arrives. `dredge VERB --help` explains each verb.
    """
    if os.environ.get("DREDGE_SIMD") and ctx.invoked_subcommand != "doctor":
        from dredge_host.simd import check_simd

        check_simd()


def main() -> None:
    """Run the command line; the entry point of the console script."""
    try:
        make_safe()
        interrupt_on(signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        cli.main()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
