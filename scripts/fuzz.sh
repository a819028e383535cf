#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Fuzzes on kernels built with AddressSanitizer and UBSan.
#   scripts/fuzz.sh [--count N] [--seconds N] [--seed N]       hostile packets by the million: tests/fuzz/fuzz_packets.py
#   scripts/fuzz.sh --target NAME|all [--seconds N] [--list]   guided by coverage (clang, atheris): tests/fuzz/campaign.py
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${VENV:-.venv}/bin/python
KERNELS=layout,framing,lbrr,extensions,rangecore,rangecoder,laplace,quantiser,payloadheader,payload,lpcnet,postfilter

missing() { # missing "what lacks" "what to do"
    echo "fuzz: $1: $2, then try again" >&2
    exit 5
}

# build FOLDER VARIABLE=VALUE ...: the kernels with sanitisers in a folder of their own
build() {
    local out=$1 log=$1/build.log
    shift
    mkdir -p "$out/dredge_kernels"
    env DREDGE_SANITIZE=1 "$@" "$PYTHON" setup.py -q build_ext \
        --build-lib "$out" --build-temp "$out/objects" >"$log" 2>&1 || {
        tail -n 30 "$log" >&2
        echo "fuzz: the kernels did not compile with sanitisers; the whole log is in $log" >&2
        exit 1
    }
    cp cython_kernels/dredge_kernels/*.py "$out/dredge_kernels/"
}

guided=
for word; do
    case $word in --target | --target=* | --list) guided=1 ;; esac
done

if [[ $guided ]]; then
    clang=$(compgen -c clang | grep -E '^clang(-[0-9]+)?$' | sort -V | tail -n 1) || true
    [[ $clang ]] || missing "there is no clang here" "install it (Debian: clang)"
    runtime=$("$PYTHON" -c 'import atheris; print(atheris.path() + "/asan_with_fuzzer.so")') ||
        missing "atheris is not installed" "dredge extras add fuzz"
    OUT=build/guided
    build "$OUT" CC="$clang" LDSHARED="$clang -shared" CFLAGS=-fsanitize=fuzzer-no-link LDFLAGS=-fsanitize=fuzzer-no-link
    # Only targets that run compiled code go through the sanitisers, the others would only be slower.
    exec env PYTHONPATH=cython_kernels:models:firmware:host DREDGE_GUIDED="$OUT" DREDGE_FUZZER="$runtime" \
        "$PYTHON" tests/fuzz/campaign.py "$@"
fi

asan=$(gcc -print-file-name=libasan.so)
ubsan=$(gcc -print-file-name=libubsan.so)
[[ $asan == /* && $ubsan == /* ]] ||
    missing "gcc has no libasan and libubsan here" "install them (Debian: libgcc-NN-dev of this gcc)"
OUT=build/sanitised
build "$OUT" DREDGE_ONLY="$KERNELS"

# Python's own allocator would hide over-reads inside its pools; Python itself leaks at exit by design.
exec env PYTHONPATH="$OUT" PYTHONMALLOC=malloc LD_PRELOAD="$asan:$ubsan" \
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
    "$PYTHON" tests/fuzz/fuzz_packets.py "$@"
