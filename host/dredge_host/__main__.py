# SPDX-License-Identifier: BSD-2-Clause
"""`python -m dredge_host` is `dredge`."""

from dredge_host.cli.main import main

if __name__ == "__main__":
    main()
