# SPDX-License-Identifier: BSD-2-Clause
"""The start of `dredge`, also as `python -m dredge_host`."""

import signal


def main() -> None:
    """Load the command line and run it; until it is loaded, which takes seconds on a small board, Ctrl-C ends the
    process without a traceback.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from dredge_host.cli.main import main as run

    run()


if __name__ == "__main__":
    main()
