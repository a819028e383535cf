# SPDX-License-Identifier: BSD-2-Clause
"""No memory: every allocation of every kernel call is refused once, and the call says so or works."""

import subprocess
import sys
from pathlib import Path

import preload
import pytest

CASES = Path(__file__).parent / "allocation_cases.py"
KERNELS = {
    "OpusEncoder", "OpusDecoder", "OpusEncoder.encode", "OpusDecoder.decode", "OpusDecoder.decode_fec",
    "OpusDecoder.conceal", "packet_samples", "encode_payload", "decode_payload", "add_extension", "read_extensions",
    "parse_packet", "RangeEncoder, RangeDecoder", "FeatureExtractor", "FeatureExtractor.process", "lpc_from_cepstrum",
    "Background", "lpcnet.Weights", "Lpcnet", "Lpcnet.synthesise", "Lpcnet.force", "Postfilter.process",
}  # fmt: skip


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return preload.compiled("failmalloc.c", tmp_path_factory.mktemp("shim"))


def run(shim, *arguments):
    environment = preload.environment(shim, PYTHONMALLOC="malloc")
    return subprocess.run(
        [sys.executable, str(CASES), *arguments], env=environment, capture_output=True, text=True, timeout=300
    )


def test_every_refused_allocation_is_a_memory_error_or_does_not_matter(shim):
    done = run(shim)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = dict(line.split(" allocations=") for line in done.stdout.splitlines() if "allocations=" in line)
    assert set(lines) == KERNELS
    for name, figures in lines.items():
        total, failed = (int(word.split("=")[-1]) for word in figures.split()[:2])
        assert total > 0 and failed > 0, f"{name}: nothing was refused"


def test_the_shim_refuses_what_it_is_asked_to(shim):
    """Without this the test above could pass because nothing happens."""
    program = (
        "import ctypes; s = ctypes.CDLL(None); room = bytearray()\n"
        "s.fail_arm.argtypes = (ctypes.c_long, ctypes.c_long); s.fail_arm(0, 1 << 40)\n"
        "try:\n    room.extend(b'.' * 100000)\n"
        "except MemoryError:\n    s.fail_disarm(); print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=preload.environment(shim), capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "refused\n", done.stderr
