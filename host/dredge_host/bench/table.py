# SPDX-License-Identifier: BSD-2-Clause
"""Benchmark results as lines of text."""

from __future__ import annotations

from typing import Any

from dredge_host.bench.documents import BenchResult
from dredge_host.console import table

QUANTILES = ("min", "p50", "p95", "p99", "max")


def lines(result: BenchResult) -> list[str]:
    """Return one table per section, and the description of the machine."""
    made = {
        "stages": _stages,
        "live": _live,
        "burst": _burst,
        "redundancy": _redundancy,
        "streams": _streams,
    }
    out: list[str] = []
    for name, text in made.items():
        if name in result:
            out += [*text(result), ""]
    return [*out, *_machine(result)]


def _stages(result: BenchResult) -> list[str]:
    rows = [
        [stage["stage"], f"{stage['covers_ms']:g} ms", *_times(stage["throughput_us"]), *_times(stage["paced_us"])]
        for stage in result["stages"]
    ]
    head = ["CPU µs per call", "covers", *QUANTILES, *(f"paced {name}" for name in QUANTILES)]
    return table(rows, head)


def _live(result: BenchResult) -> list[str]:
    live = result["live"]
    rows = [[name, f"{row['frames']}", *_times(row)] for name, row in live["by_source_us"].items()]
    rows.append(["all", f"{live['frames']}", *_times(live["cpu_us"])])
    share = f"p99 is {live['p99_pct_of_period']:.1f} % of the period, {live['late_frames']} frames late"
    return [*table(rows, [f"live, {live['loss']}", "frames", *QUANTILES]), share]


def _burst(result: BenchResult) -> list[str]:
    rows = []
    for name, row in result["burst"].items():
        rows.append([f"first 20 ms, {name}", *_times(row["first_20_ms"]["cpu_us"])])
        rows.append([f"all {row['gap_ms']} ms, {name}", *_times(row["whole_gap"]["cpu_us"])])
    return table(rows, ["packet after a gap", *QUANTILES])


def _redundancy(result: BenchResult) -> list[str]:
    rows = [
        [
            f"{row['redundancy_ms']} ms",
            f"{row['bytes']:.1f}",
            f"{row['cpu_us']['p50']:.1f}",
            f"{row['gap']['first_20_ms']['cpu_us']['p50']:.1f}",
            f"{row['gap']['whole_gap']['cpu_us']['p50']:.1f}",
        ]
        for row in result["redundancy"]
    ]
    head = ["redundancy", "bytes", "sender p50", "gap: first 20 ms", "gap: all"]
    ratio = result["encoder_cpu"]["ratio"]
    return [*table(rows, head), f"sender CPU with 1 s of redundancy: {ratio:.3f} times that with 100 ms"]


def _streams(result: BenchResult) -> list[str]:
    rows = [
        [f"{row['streams']}", *_times(row["cpu_us"]), "yes" if row["real_time"] else "no"] for row in result["streams"]
    ]
    return table(rows, ["streams", *QUANTILES, "p99 within 20 ms"])


def _machine(result: BenchResult) -> list[str]:
    machine = result["machine"]
    facts = [
        machine["board"] or machine["cpu"] or "unknown board",
        _known("{:.0f} MHz", machine["clock_mhz"], "clock unknown"),
        _known("governor {}", machine["governor"], "governor unknown"),
        _known("{:.0f} °C", machine["temperature_c"], "temperature unknown"),
        _throttling(machine["throttling"]),
    ]
    software = [f"{result['simd_level']} kernels", *result["models"], result["libopus"], result["neural_runtime"]]
    return [", ".join(facts), ", ".join(software)]


def _known(form: str, value: Any, otherwise: str) -> str:
    return otherwise if value is None else form.format(value)


def _throttling(flags: list[str] | None) -> str:
    if flags is None:
        return "throttling unknown"
    return "; ".join(flags) or "not throttled"


def _times(row: dict[str, float]) -> list[str]:
    return [f"{row[name]:.1f}" for name in QUANTILES]
