# SPDX-License-Identifier: BSD-2-Clause
"""A receiver that says what it was told, for the benchmark's own tests."""

from types import SimpleNamespace

PERIOD_US = 20_000


class FakeReceiver:
    """Plays packet n at n + delay; a packet that did not arrive by then is 'dred' if a later one did."""

    def __init__(self, clock, playout_ms, work=0):
        self.clock, self.delay, self.work = clock, playout_ms // 20, work
        self.arrived, self.times = set(), []

    def push(self, datagram, now_us):
        assert now_us == self.clock.now_us
        self.arrived.add(int(datagram))

    def pull(self):
        sum(range(self.work))
        self.times.append(self.clock.now_us)
        number = self.clock.now_us // PERIOD_US - self.delay
        source = "silence" if number < 0 else "opus" if number in self.arrived else "plc"
        if source == "plc" and any(later > number for later in self.arrived):
            source = "dred"
        return SimpleNamespace(source=source, packet=number)


def numbered(count):
    """A stream whose datagrams are their own numbers."""
    return [str(number).encode() for number in range(count)]


def times(scale=1.0):
    """Percentiles as the benchmark gives them."""
    return {"min": scale, "p50": 2 * scale, "p95": 3 * scale, "p99": 4 * scale, "max": 5 * scale}


def result(scale=1.0, **changes):
    """A whole result, every time multiplied by `scale`."""
    both = {"cpu_us": times(scale), "wall_us": times(scale)}
    gap = {"gap_ms": 1000, "recovered_pct": 100.0, "first_20_ms": both, "whole_gap": both}
    stage = {"stage": "features", "side": "both", "covers_ms": 20.0, "times_real_time": 9.0}
    made = {
        "schema": "dredge.bench/2",
        "stages": [{**stage, "throughput_us": times(scale), "paced_us": times(scale), "paced_wall_us": times(scale)}],
        "live": {
            "loss": "20%", "frames": 7, **both, "p99_pct_of_period": 0.02, "late_frames": 0,
            "by_source_us": {"opus": {"frames": 7, **times(scale)}},
        },
        "burst": {"warm": gap, "cold": gap},
        "redundancy": [{"redundancy_ms": 1000, "bytes": 62.0, "cpu_us": times(scale), "gap": gap}],
        "encoder_cpu": {"ratio": 1.01},
        "streams": [{"streams": 1, "cpu_us": times(scale), "real_time": True}],
        "simd_level": "scalar", "models": ["a-1", "b-2"], "libopus": "libopus 1.3.1", "neural_runtime": "tflite 2",
        "machine": {
            "board": "Raspberry Pi 4", "cpu": "x", "python": "3.11", "governor": "ondemand", "clock_mhz": 1500.0,
            "temperature_c": 51.2, "throttling": [],
        },
    }  # fmt: skip
    return {**made, **changes}
