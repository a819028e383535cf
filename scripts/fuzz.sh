#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
# Runs tests/fuzz/fuzz_packets.py on kernels built with AddressSanitizer and UBSan: scripts/fuzz.sh [its options]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${VENV:-.venv}/bin/python
OUT=build/sanitised
KERNELS=layout,framing,lbrr,extensions,rangecore,rangecoder,laplace,quantiser,payloadheader,payload

asan=$(gcc -print-file-name=libasan.so)
ubsan=$(gcc -print-file-name=libubsan.so)
if [[ $asan != /* || $ubsan != /* ]]; then
    echo "fuzz: gcc has no libasan and libubsan here: install them (Debian: libgcc-NN-dev of this gcc), then try again" >&2
    exit 5
fi

mkdir -p "$OUT/dredge_kernels"
log=$OUT/build.log
DREDGE_SANITIZE=1 DREDGE_ONLY=$KERNELS "$PYTHON" setup.py -q build_ext \
    --build-lib "$OUT" --build-temp "$OUT/objects" >"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    echo "fuzz: the kernels did not compile with sanitisers; the whole log is in $log" >&2
    exit 1
}
cp cython_kernels/dredge_kernels/*.py "$OUT/dredge_kernels/"

# Python's own allocator would hide over-reads inside its pools; Python itself leaks at exit by design.
exec env PYTHONPATH="$OUT" PYTHONMALLOC=malloc LD_PRELOAD="$asan:$ubsan" \
    ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
    "$PYTHON" tests/fuzz/fuzz_packets.py "$@"
