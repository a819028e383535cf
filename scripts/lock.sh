#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Pins everything that Dredge is installed with, by version and SHA-256, from the ranges in pyproject.toml:
#
#     scripts/lock.sh             versions stay as they are where the ranges still allow them
#     scripts/lock.sh --upgrade   takes the newest versions that the ranges allow
#
# locks/base.txt: `dredge` without extras, and what building it needs; dev: and the tests; ci: and metrics, report,
# cluster, docs; host/dredge_host/assets/device-lock.txt: what the agent on a board imports, with key and sound card.
# For Python 3.11 and later, on every system; wheels only, so that no package runs a program of its own while it is
# installed. The resolver is uv (extra dev, or `pip install uv`).
set -eu
cd "$(dirname "$0")/.."
uv=.venv/bin/uv
[ -x "$uv" ] || uv=uv
again=$*
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '%s\n' 'setuptools>=68' wheel 'cython>=3.0' >"$work/build.in"

lock() { # file, then what uv is told; the file is whole or as it was
    file=$1
    shift
    rm -f "$work/out.txt"
    # Versions alone are kept: sums are asked for anew, so that those of every Python and machine are there.
    if [ -f "$file" ]; then sed -e '/--hash=/d' -e 's/ \\$//' "$file" >"$work/out.txt"; fi
    "$uv" pip compile -q --universal --generate-hashes --only-binary :all: --python-version 3.11 --no-header \
        --no-annotate --no-emit-index-url -c locks/held.txt $again "$@" -o "$work/out.txt"
    { printf '# SPDX-License-Identifier: BSD-2-Clause\n# Written by scripts/lock.sh from pyproject.toml.\n'
      grep -v '^#' "$work/out.txt"; } >"$work/whole.txt"
    cp "$work/whole.txt" "$file"
    echo "$file"
}

lock locks/ci.txt pyproject.toml "$work/build.in" --extra dev --extra metrics --extra report --extra cluster --extra docs
lock locks/dev.txt pyproject.toml "$work/build.in" --extra dev -c locks/ci.txt
lock locks/base.txt pyproject.toml "$work/build.in" -c locks/ci.txt
lock host/dredge_host/assets/device-lock.txt scripts/device.in -c locks/ci.txt
