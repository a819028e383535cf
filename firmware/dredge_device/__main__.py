# SPDX-License-Identifier: BSD-2-Clause
"""The device process from the shell: ``python -m dredge_device --listen udp://127.0.0.1:5004``."""

import argparse
import sys

from dredge_device.pi.factory import VOCODERS
from dredge_device.pi.output.files import PRIVATE, parse_mode
from dredge_device.pi.service.process import Options, run
from dredge_device.playout import parse_playout
from dredge_device.units import CONCEAL_MODES


def _playout(text: str) -> tuple[str, int]:
    try:
        return parse_playout(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _mode(text: str) -> int:
    try:
        return parse_mode(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dredge_device", description="Receives speech over a lossy link and plays it."
    )
    parser.add_argument("--listen", default=Options.listen, metavar="udp://HOST:PORT|serial://DEV?baud=N")
    parser.add_argument("--out", default=Options.out, metavar="null|play|FILE.wav")
    parser.add_argument("--overwrite", action="store_true", help="replace recordings that are there already")
    parser.add_argument("--file-mode", default=PRIVATE, type=_mode, metavar="OCTAL", help="permissions of recordings")
    parser.add_argument("--playout", default=("fixed", 1000), type=_playout, metavar="fixed:MS|adaptive")
    parser.add_argument("--conceal", default="dred", choices=CONCEAL_MODES)
    parser.add_argument("--vocoder", default="standard", choices=VOCODERS)
    parser.add_argument("--no-lbrr", action="store_true", help="do not use LBRR")
    parser.add_argument("--once", action="store_true", help="leave after the first session")
    parser.add_argument(
        "--allow-remote", action="store_true", help="listen on an address others can reach"
    )
    parser.add_argument("--key-file", help="pre-shared key: SRTP, authenticated control")
    parser.add_argument("--streams", type=int, default=1, help="hosts at the same time")
    parser.add_argument("--realtime", action="store_true", help="SCHED_FIFO for the decoding thread")
    parser.add_argument("--core", type=int, help="decode on this core")
    parser.add_argument("--lock-memory", action="store_true", help="no page faults")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Parses the arguments, runs the process, returns the exit code."""
    given = _parser().parse_args(arguments)
    return run(
        Options(
            listen=given.listen,
            out=given.out,
            overwrite=given.overwrite,
            file_mode=given.file_mode,
            once=given.once,
            allow_remote=given.allow_remote,
            key_file=given.key_file,
            streams=given.streams,
            realtime=given.realtime,
            core=given.core,
            lock_memory=given.lock_memory,
            playout_ms=given.playout[1],
            adaptive=given.playout[0] == "adaptive",
            conceal=given.conceal,
            lbrr=not given.no_lbrr,
            vocoder=given.vocoder,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
