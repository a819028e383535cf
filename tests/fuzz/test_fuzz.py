# SPDX-License-Identifier: BSD-2-Clause
"""The fuzzer itself: deterministic, reaches the entropy decoder, notices wrong answers; and a run under sanitisers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import fuzz_packets
import pytest
from fuzz_packets import Broken, Fuzzer

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests" / "fuzz" / "fuzz_packets.py"


def has_sanitisers() -> bool:
    if shutil.which("gcc") is None or not (ROOT / "setup.py").is_file():
        return False
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True)
    return found.stdout.startswith("/")


def test_most_packets_reach_the_entropy_decoder_and_many_decode() -> None:
    fuzzer = Fuzzer(3)
    fuzz_packets.run(fuzzer, 3000)
    assert fuzzer.counts["packets"] == 3000
    assert fuzzer.counts["latents"] > 10_000
    assert 0 < fuzzer.counts["refused carriers"] < 300
    assert 300 < fuzzer.counts["refused payloads"] < 1500


def test_the_same_seed_gives_the_same_packets() -> None:
    streams = []
    for seed in (5, 5, 6):
        fuzzer = Fuzzer(seed)
        streams.append([fuzzer.packet(10, fuzzer.payload()) for _ in range(200)])
    assert streams[0] == streams[1] != streams[2]


def test_a_lost_extension_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_packets, "read_extensions", lambda packet: [])
    with pytest.raises(Broken, match="is not found in"):
        fuzz_packets.run(Fuzzer(1), 50)


def test_parsers_that_disagree_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_packets, "packet_has_lbrr", lambda packet: True)
    with pytest.raises(Broken, match="which parse_packet refuses"):
        fuzz_packets.run(Fuzzer(1), 3000)


def test_impossible_values_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    real = fuzz_packets.decode_payload

    def one_latent_too_many(payload, tables):
        got = real(payload, tables)
        object.__setattr__(got, "tells", got.tells[:-1])
        return got

    monkeypatch.setattr(fuzz_packets, "decode_payload", one_latent_too_many)
    with pytest.raises(Broken, match="impossible header or count"):
        fuzz_packets.run(Fuzzer(1), 50)


def test_the_command_prints_its_seed_and_counts() -> None:
    words = [sys.executable, str(SCRIPT), "--count", "300", "--seed", "12"]
    run = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("seed 12\n300 packets, ")
    fresh = [subprocess.run([*words[:-2]], capture_output=True, text=True, timeout=120).stdout for _ in range(2)]
    assert fresh[0].splitlines()[0] != fresh[1].splitlines()[0]


def test_no_watch_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    cancelled = []
    monkeypatch.setattr(fuzz_packets, "read_extensions", lambda packet: [])
    monkeypatch.setattr(fuzz_packets.faulthandler, "cancel_dump_traceback_later", lambda: cancelled.append(True))
    monkeypatch.setattr(fuzz_packets.faulthandler, "dump_traceback_later", lambda *_, **__: None)
    with pytest.raises(Broken):
        fuzz_packets.run(Fuzzer(1), 50)
    assert cancelled


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not has_sanitisers(), reason="needs gcc with libasan and the source tree: apt-get install gcc")
@pytest.mark.parametrize(
    "limit", [("--count", "3000"), pytest.param(("--seconds", "60"), marks=pytest.mark.nightly)], ids=" ".join
)
def test_kernels_under_sanitisers(limit: tuple[str, str]) -> None:
    """`make fuzz` with a fresh seed: no crash, no over-read, no undefined step, no hang."""
    environment = {**os.environ, "VENV": str(Path(sys.executable).parent.parent)}
    run = subprocess.run(
        [str(ROOT / "scripts" / "fuzz.sh"), *limit], capture_output=True, text=True, env=environment
    )
    assert run.returncode == 0, run.stdout + run.stderr
    seed, counts = run.stdout.splitlines()
    assert re.fullmatch(r"seed \d+", seed)
    assert int(counts.split()[0]) >= 1000
    # The kernels that ran were the checked ones.
    built = next((ROOT / "build" / "sanitised" / "dredge_kernels").glob("payload.*.so")).read_bytes()
    assert b"__asan_report_load" in built and b"__ubsan_handle" in built
