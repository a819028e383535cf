# SPDX-License-Identifier: BSD-2-Clause
"""The device process from the shell: ``python -m dredge_device --listen udp://127.0.0.1:5004``."""

import argparse
import sys

from dredge_device.jitter import parse_playout
from dredge_device.pi.parts import CONCEAL_MODES
from dredge_device.pi.process import Options, run


def _playout(text: str) -> int:
    try:
        return parse_playout(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dredge_device", description="Receives speech over a lossy link and plays it."
    )
    parser.add_argument("--listen", default=Options.listen, metavar="udp://HOST:PORT")
    parser.add_argument("--out", default=Options.out, metavar="null|play|FILE.wav")
    parser.add_argument("--playout", default=1000, type=_playout, metavar="fixed:MS")
    parser.add_argument("--conceal", default="dred", choices=CONCEAL_MODES)
    parser.add_argument("--no-lbrr", action="store_true", help="do not use LBRR")
    parser.add_argument("--once", action="store_true", help="leave after the first session")
    parser.add_argument(
        "--allow-remote", action="store_true", help="listen on an address others can reach"
    )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Parses the arguments, runs the process, returns the exit code."""
    given = _parser().parse_args(arguments)
    return run(
        Options(
            listen=given.listen,
            out=given.out,
            once=given.once,
            allow_remote=given.allow_remote,
            playout_ms=given.playout,
            conceal=given.conceal,
            lbrr=not given.no_lbrr,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
