# SPDX-License-Identifier: BSD-2-Clause
"""Every fuzz target on its corpus, on what was ever found, and on a few hundred random inputs; without atheris."""

from __future__ import annotations

import random
import subprocess
import sys
from types import SimpleNamespace

import campaign
import pytest
import targets
from target import CORPUS, Broken, Plan, Target, mutated, piece

ALL = targets.load()
BYTES = 300_000              # of all corpora together


@pytest.mark.parametrize("name", ALL)
def test_corpus_and_found_cases(name: str) -> None:
    target = ALL[name]
    files = target.files()
    assert files, f"no corpus in {CORPUS / name}"
    accepted = [target.run(path.read_bytes()) for path in files]
    assert any(accepted)


@pytest.mark.parametrize("name", ALL)
def test_random_inputs(name: str) -> None:
    """The same ones in every run: the seed is the target's name."""
    target = ALL[name]
    rng, seeds = random.Random(name), [path.read_bytes() for path in target.files()]
    for _ in range(target.repeat):
        data = mutated(rng, rng.choice(seeds), target.words)[: target.limit]
        try:
            target.run(data)
        except Exception as error:
            raise AssertionError(f"{name} breaks on {data.hex()}: {error!r}") from error


def test_the_corpus_is_small_and_is_what_the_seeds_say() -> None:
    assert sum(path.stat().st_size for path in CORPUS.rglob("*")) < BYTES
    assert {path.name for path in CORPUS.iterdir()} == set(ALL)
    for target in ALL.values():
        assert all(path.stat().st_size <= target.limit for path in target.files())


def test_a_plan_reads_what_piece_wrote_and_then_nothing() -> None:
    plan = Plan(piece(b"short") + piece(b"x" * 300) + b"\7\1\0")
    assert (plan.piece(), len(plan.piece()), plan.below(5), plan.number(2)) == (b"short", 300, 2, 256)
    assert not plan
    assert (plan.piece(), plan.number(4), plan.below(9), plan.rest()) == (b"", 0, 0, b"")


def test_mutations_are_deterministic_and_many() -> None:
    streams = [[mutated(random.Random(seed + k), b"seed of it", (b"WORD",)) for k in range(300)] for seed in (1, 1)]
    assert streams[0] == streams[1]
    assert len(set(streams[0])) > 200 and any(b"WORD" in data for data in streams[0])


def broken(data: bytes) -> bool:
    if b"!" in data:
        raise Broken("as it must not be")
    return True


def fake_run(output: str, code: int):  # type: ignore[no-untyped-def]
    return lambda words, **_: SimpleNamespace(stdout="", stderr=output, returncode=code)


SAID = """#2 INITED cov: 10 ft: 20 corp: 1/1b
#9 NEW cov: 31 ft: 52 corp: 2/9b
{extra}stat::number_of_executed_units: 1234
"""


@pytest.mark.parametrize(
    ("extra", "code", "broken_by", "why"),
    [
        ("", 0, [], ""),
        ("Broken: not so\nTest unit written to /x/crash-1\n", 77, ["/x/crash-1"], "Broken: not so"),
        ("==7==ERROR: AddressSanitizer: heap-buffer-overflow\n", 1, ["none kept"], "==7==ERROR: AddressSanitizer"),
        ("", 9, ["none kept"], "ended without a word"),
    ],
)
def test_a_campaign_reads_what_libfuzzer_says(monkeypatch, tmp_path, extra, code, broken_by, why) -> None:
    target = Target("fake", "nothing", broken, lambda: [b"a"])
    monkeypatch.setattr(campaign, "FOUND", tmp_path / "found")
    monkeypatch.setattr(campaign.subprocess, "run", fake_run(SAID.format(extra=extra), code))
    row = campaign.fuzz(target, 1, tmp_path)
    assert (row.executions, row.edges, row.features) == (1234, 31, 52)
    assert row.why.startswith(why) and len(row.broken) == len(broken_by)
    assert all(said.startswith(wanted) for said, wanted in zip(row.broken, broken_by, strict=True))
    assert (tmp_path / "fake" / "seeds" / "000").read_bytes() == b"a"
    assert not (tmp_path / "found").joinpath("fake").exists()
    assert campaign.table([row])[1].split()[:3] == ["fake", "0", "1234"]


def test_sanitised_kernels_are_for_native_targets_only(monkeypatch) -> None:
    monkeypatch.setenv("DREDGE_GUIDED", "built")
    monkeypatch.setenv("DREDGE_FUZZER", "runtime.so")
    plain, native = (Target("t", "", broken, list, native=native) for native in (False, True))
    assert "LD_PRELOAD" not in campaign.environment(plain) or campaign.environment(plain)["LD_PRELOAD"] != "runtime.so"
    assert campaign.environment(native)["LD_PRELOAD"] == "runtime.so"
    assert campaign.environment(native)["PYTHONPATH"].startswith("built")


def test_the_command_lists_targets_and_refuses_unknown_ones() -> None:
    script = [sys.executable, campaign.__file__]
    listed = subprocess.run([*script, "--list"], capture_output=True, text=True, timeout=120)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(ALL)
    unknown = subprocess.run([*script, "--target", "rtp,nothing"], capture_output=True, text=True, timeout=120)
    assert unknown.returncode == 2 and "target is 'nothing', expected all or some of rtp" in unknown.stderr


@pytest.mark.slow
def test_two_seconds_under_libfuzzer(tmp_path) -> None:
    """The whole way: seeds, instrumentation, mutations, statistics."""
    pytest.importorskip("atheris", reason="needs atheris: dredge extras add fuzz")
    row = campaign.fuzz(ALL["rtp"], 2, tmp_path)
    assert not row.broken, row.why
    assert row.executions > 1000 and row.edges > 10 and row.inputs > 5
