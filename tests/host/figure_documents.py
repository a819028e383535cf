# SPDX-License-Identifier: BSD-2-Clause
"""Made-up documents of the measurements behind figures."""

from evaluation_documents import row

from dredge_host.figures import bitrate, delay, encodercost


def cost_rows(base=200.0, slope=0.0):
    return [
        {"redundancy_ms": 100 * k, "bytes": 25.0 + k, "cpu_us": {"p50": base + slope * k, "p95": 260.0}}
        for k in range(1, 11)
    ]


def cost(ratio=1.02):
    return {
        "schema": encodercost.SCHEMA,
        "packets": 9,
        "goal_ratio": 1.1,
        "ratio": ratio,
        "rows": cost_rows(),
        "machine": {"cpu": "Made-up CPU"},
    }


def policy(name, mean, share, plcmos=3.5):
    return {"policy": name, "mean_ms": mean, "p95_ms": mean, "lost_packets": 9, "recovered_pct": share, "predicted": 3,
            "given_up": 0, "plcmos": plcmos}  # fmt: skip


def delays():
    rows = [policy("fixed:60", 60.0, 43.0), policy("fixed:1000", 1000.0, 100.0, 3.9), policy("adaptive:60", 58.0, 60.0),
            policy("adaptive", 95.0, 81.0)]  # fmt: skip
    paths = [{"loss": loss, "rows": rows} for loss in ("harsh", "phases:20s/none/harsh")]
    return {"schema": delay.SCHEMA, "seed": 1, "seconds": 10.0, "policies": [], "paths": paths}


def rates(**changed):
    rows = [
        {"redundancy_s": s, "q0": q0, "dq": dq, "bytes": 60 * s, "dred_bps": round(24000 * s), "per_second_bps": 480}
        for s in bitrate.LENGTHS_S
        for q0, dq in bitrate.QUANTISERS
    ]
    speech = [{"set_bps": bps, "speech_bps": bps - 200} for bps in bitrate.SPEECH_BPS]
    split = [{"method": name, "bitrate_bps": row(name, 1)["bitrate_bps"]} for name in bitrate.SPLITS]
    return {"schema": bitrate.SCHEMA, "from": "test", "clips": 2, "seconds": 9.0,
            "default": {"q0": 5, "dq": 6}, "rows": rows, "speech": speech,
            "split": split, **changed}  # fmt: skip
