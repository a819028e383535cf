#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Makes .venv ready to run Dredge: missing Debian packages, virtual environment, dependencies, kernels.
#
#   scripts/setup.sh [EXTRA...]      extras from pyproject.toml: dev, metrics, train
#
# A second run with nothing changed only compares hashes and returns at once. Set PYTHON=/path/to/python3
# to choose the interpreter of a new .venv; VENV=DIR to put it somewhere else.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=${VENV:-.venv}
STATE=$VENV/.dredge
PIP_OPTIONS=(--disable-pip-version-check --no-input -qq)

say() { printf 'dredge setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# --- what is already there ------------------------------------------------------------------------

hash_of() { cat -- "$@" 2>/dev/null | sha256sum | cut -d' ' -f1; }
requirements_hash() { hash_of pyproject.toml setup.py locks/*.txt; }
kernels_hash() { hash_of setup.py cython_kernels/dredge_kernels/*.p[yx]* $(find cython_kernels/c -type f | sort); }
recorded() { cat "$STATE/$1" 2>/dev/null || true; }

requirements_current() { # every wanted extra was installed from the present pyproject.toml
    [ "$(recorded requirements)" = "$(requirements_hash)" ] || return 1
    local extra
    for extra in "$@"; do
        grep -qx "$extra" "$STATE/extras" 2>/dev/null || return 1
    done
}

kernels_current() {
    [ "$(recorded kernels)" = "$(kernels_hash)" ] || return 1
    local source
    for source in cython_kernels/dredge_kernels/*.pyx; do
        compgen -G "${source%.pyx}.*.so" >/dev/null || return 1
    done
}

# --- the operating system's part ------------------------------------------------------------------

python_suits() { # 64-bit wheels of the TFLite runtimes exist for these versions
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null
}

choose_python() {
    local name
    for name in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        if [ -n "$name" ] && command -v "$name" >/dev/null && python_suits "$name"; then
            command -v "$name"
            return
        fi
    done
}

has_python_headers() {
    "$1" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' 2>/dev/null
}

has_opus() { # header and library, whatever way they were installed
    echo '#include <opus/opus.h>
int main(void) { return opus_get_version_string() == 0; }' |
        gcc -x c - -lopus -o /dev/null 2>/dev/null
}

missing_packages() { # names of Debian packages, one per line
    local python
    python=$(choose_python)
    command -v gcc >/dev/null || echo gcc
    [ -e /usr/include/stdio.h ] || echo libc6-dev
    has_opus || echo libopus-dev
    ldconfig -p 2>/dev/null | grep -q libportaudio || echo libportaudio2
    if [ -z "$python" ]; then
        printf '%s\n' python3 python3-dev python3-venv
        return
    fi
    # A python outside /usr/bin brings its own headers and venv; Debian splits them off.
    local own=python3
    [ "$("$python" -c 'import sys; print(sys.version_info[:2])')" = \
        "$(/usr/bin/python3 -c 'import sys; print(sys.version_info[:2])' 2>/dev/null)" ] ||
        own=$(basename "$python")
    has_python_headers "$python" || echo "$own-dev"
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo "$own-venv"
    if [ "$(uname -m)" = armv7l ] && ! ldconfig -p 2>/dev/null | grep -q libsndfile; then
        echo libsndfile1
    fi
}

install_packages() {
    local root=()
    command -v apt-get >/dev/null ||
        die "this system has no apt-get; please install the equivalents of: $*"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null ||
            die "not root and no sudo here; ask an administrator to run: apt-get install $*"
        root=(sudo)
        [ -t 0 ] || root+=(-n)
    fi
    say "installing $* (apt)"
    local apt=("${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
    "${apt[@]}" install -y --no-install-recommends "$@" </dev/null >/dev/null 2>&1 && return
    "${apt[@]}" update </dev/null >/dev/null || true
    "${apt[@]}" install -y --no-install-recommends "$@" </dev/null >/dev/null ||
        die "apt could not install them; see the message above, then run: apt-get install $*"
}

# --- the virtual environment ----------------------------------------------------------------------

make_venv() {
    local python
    if [ -x "$VENV/bin/python" ] && python_suits "$VENV/bin/python"; then
        return
    fi
    python=$(choose_python)
    [ -n "$python" ] || die "no Python 3.11 to 3.13 found; install one, or set PYTHON to its path"
    say "creating $VENV with $("$python" --version)"
    "$python" -m venv --clear "$VENV"
}

lock_for() { # the smallest lock that has the extras given, for a Python and machine that locks are made for; else nothing
    case "$("$VENV/bin/python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-$(uname -s)-$(uname -m)" in
        3.1[123]-Linux-x86_64 | 3.1[123]-Linux-aarch64) ;;
        *) return 0 ;;
    esac
    local extra lock=base
    for extra in "$@"; do
        case $extra in
            dev) [ $lock = ci ] || lock=dev ;;
            metrics | report | cluster | docs) lock=ci ;;
            *) return 0 ;;
        esac
    done
    echo "locks/$lock.txt"
}

wanted_extras() { # one per line: those of earlier runs too
    touch "$STATE/extras"
    printf '%s\n' "$@" | cat - "$STATE/extras" | sed '/^$/d' | sort -u
}

install_locked() { # every package in the version and with the SHA-256 that scripts/lock.sh has written
    say "installing the packages of $1"
    "$VENV/bin/python" -m pip install "${PIP_OPTIONS[@]}" --no-deps --require-hashes -r "$1"
}

install_build_tools() { # what setup.py imports; the same versions the package then runs with
    "$VENV/bin/python" -m pip install "${PIP_OPTIONS[@]}" 'setuptools>=68' wheel 'cython>=3.0' \
        "numpy>=1.23.2,<2; python_version < '3.12'" "numpy>=2; python_version >= '3.12'"
}

build_kernels() {
    say "compiling the kernels (a minute or two on two cores)"
    mkdir -p "$STATE"
    "$VENV/bin/python" setup.py -q build_ext --inplace -j "$(nproc)" >"$STATE/build.log" 2>&1 || {
        tail -n 30 "$STATE/build.log" >&2
        die "the kernels did not compile; the whole log is in $STATE/build.log"
    }
    kernels_hash >"$STATE/kernels"
}

install_package() {
    local extras lock=$1
    shift
    extras=$(wanted_extras "$@")
    say "installing the package${extras:+ with extras: $(paste -sd, <<<"$extras")}"
    # build_kernels has compiled them already, on all cores.
    DREDGE_ONLY=none "$VENV/bin/python" -m pip install "${PIP_OPTIONS[@]}" --no-build-isolation ${lock:+--no-deps} \
        -e ".${extras:+[$(paste -sd, <<<"$extras")]}"
    printf '%s\n' "$extras" >"$STATE/extras"
    requirements_hash >"$STATE/requirements"
}

main() {
    if [ -x "$VENV/bin/python" ] && requirements_current "$@" && kernels_current; then
        return
    fi
    local wanted
    mapfile -t wanted < <(missing_packages)
    [ ${#wanted[@]} = 0 ] || install_packages "${wanted[@]}"
    make_venv
    if ! requirements_current "$@"; then
        say "fetching the Python packages (a few minutes on a first run)"
        mkdir -p "$STATE"
        local lock
        # shellcheck disable=SC2046  # extras are words
        lock=$(lock_for $(wanted_extras "$@"))
        if [ -n "$lock" ]; then
            install_locked "$lock"
        else
            say "no lock for this Python, machine or extra: taking what the ranges in pyproject.toml allow"
            install_build_tools
        fi
        kernels_current || build_kernels
        install_package "$lock" "$@"
    else
        kernels_current || build_kernels
    fi
    say "ready"
}

main "$@"
