# SPDX-License-Identifier: BSD-2-Clause
"""The device process from the shell: ``python -m dredge_device --listen udp://127.0.0.1:5004``."""

import argparse
import sys
from collections.abc import Callable
from typing import Any

from dredge_device.pi.service.options import OPTIONS, Option, from_values
from dredge_device.pi.service.process import run
from dredge_device.pi.standard_streams import make_safe


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dredge_device", description="Receives speech over a lossy link and plays it."
    )
    for option in OPTIONS:
        if option.kind is bool:
            parser.add_argument(
                f"--{option.name}", action=argparse.BooleanOptionalAction, default=option.initial(), help=option.help
            )
        else:
            parser.add_argument(
                f"--{option.name}", default=option.initial(), type=_kind(option), choices=option.choices or None,
                help=option.help,
            )  # fmt: skip
    return parser


def _kind(option: Option) -> Callable[[str], Any]:
    """Return the function that converts an argument's text."""

    def number(text: str) -> Any:
        value = option.kind(text)
        if (option.least is not None and value < option.least) or (option.most is not None and value > option.most):
            raise argparse.ArgumentTypeError(f"{value} is not from {option.least} to {option.most or 'any'}")
        return value

    return str if option.kind is str else number


def main(arguments: list[str] | None = None) -> int:
    """Parse the arguments, run the process and return the exit code."""
    make_safe()
    parser = _parser()
    try:
        options = from_values(vars(parser.parse_args(arguments)))
    except ValueError as error:
        parser.error(str(error))
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
