# SPDX-License-Identifier: BSD-2-Clause
"""Made-up evaluations (`dredge.evaluate/2`), for tests of what shows them."""

import random

from dredge_host.evaluation.methods.methods import METHODS as EVALUATED
from dredge_host.evaluation.methods.methods import PEERS

METHODS = tuple(name for name in EVALUATED if name not in PEERS)  # peers need programs of the user
_PLCMOS = {
    "clean": 3.55, "silence": 2.3, "opus": 2.82, "lbrr": 3.05, "red": 3.28, "plc": 3.1, "dred_100": 3.12,
    "dred_200": 3.16, "dred_500": 3.24, "dred": 3.31, "dred_lbrr": 3.37,
}  # fmt: skip
_RATES = {
    "lbrr": {"lbrr": 16600.0}, "red": {"red": 48000.0}, "dred_100": {"dred": 5200.0}, "dred_200": {"dred": 8100.0},
    "dred_500": {"dred": 14900.0}, "dred": {"dred": 23200.0}, "dred_lbrr": {"dred": 23200.0, "lbrr": 16600.0},
}  # fmt: skip
_STRATA = {"short": 0.1, "medium": 0.0, "long": -0.1}  # how much better than on average
_RATE_CLASSES = {"0 to 10 %": 0.1, "10 to 20 %": 0.0}
_PARTS = ("speech", "lbrr", "dred", "red", "headers")


def around(mean, half):
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


def row(method, clips, lift=0.0):
    """One line of a table; `lift` moves the quality."""
    plcmos = _PLCMOS[method] + lift
    share = (plcmos - _PLCMOS["opus"] - lift) / (_PLCMOS["clean"] - _PLCMOS["opus"])
    rates = dict.fromkeys(_PARTS, 0.0) | {"speech": 23600.0, "headers": 16000.0} | _RATES.get(method, {})
    made = {
        "method": method,
        "text": method.replace("_", " "),
        "clips": clips,
        "cells": 3 * clips,
        "loss_pct": 0.0 if method == "clean" else 19.8,
        "plcmos": around(plcmos, 0.13),
        "wer": around(0.9 - 0.16 * plcmos, 0.05),
        "words": 240,
        "estoi": around(0.2 * plcmos + 0.12, 0.02),
        "bitrate_total_bps": sum(rates.values()),
        "bitrate_bps": rates,
        "cpu_us_per_packet": {"send": 510.2, "receive": 233.4},
        "seams": 1827,
        "clicks": 1,
        "lag_ms_median": 0.08,
        "lag_ms_worst": 0.23,
    }
    if method not in ("clean", "opus"):
        made["gap_won_back"] = around(share, 0.07)
    if method != "clean":
        made |= {
            "cepstral_distance_db": around(9.5 - 1.6 * plcmos, 0.3),
            "pitch_error_pct": around(30.0 - 7.0 * plcmos, 2.0),
            "lag_recovered_ms": 0.4,
        }
    return made


def document(methods=METHODS, clips=4, seed=1):
    """A whole document: every clip meets one trace per stratum."""
    rng = random.Random(seed)
    names = [f"reader{k:02d}_{k}.flac" for k in range(clips)]
    records = [
        {
            "clip": name, "method": method, "stratum": stratum, "trace_seed": 1000 * seed + k,
            "loss_pct": 0.0 if method == "clean" else round(rng.uniform(8, 30), 1),
            "longest_burst_ms": longest, "plcmos": round(_PLCMOS[method] + rng.gauss(0, 0.3), 3),
            "estoi": round(rng.uniform(0.5, 0.9), 3), "words": 20, "word_errors": rng.randrange(12),
            "bitrate_total_bps": row(method, 1)["bitrate_total_bps"], "cached": False,
        }
        for k, name in enumerate(names)
        for stratum, longest in (("short", 100), ("medium", 260), ("long", 640))
        for method in methods
    ]  # fmt: skip
    return {
        "schema": "dredge.evaluate/2",
        "plan": {
            "folder": "test", "clips": names, "seconds": 12.0, "seed": seed, "bitrate_bps": 24000,
            "methods": list(methods), "strata": ["short", "medium", "long"], "crossed": True,
            "recogniser": "pocketsphinx",
        },
        "environment": {"cpu": "Made-up CPU", "cores": 2, "simd_level": "avx2", "models": {"rdovae": "x1"}},
        "word_reference": "the same recogniser on the original recording",
        "plcmos_noise_sd": 0.018,
        "summary": [row(m, clips) for m in methods],
        "strata": {s: [row(m, clips, lift) for m in methods] for s, lift in _STRATA.items()},
        "loss_rates": {s: [row(m, clips, lift) for m in methods] for s, lift in _RATE_CLASSES.items()},
        "records": records,
        "timing": {
            "seconds_taken": 81.5, "workers": 2, "cells": len(records), "cells_cached": 0,
            "cell_seconds_mean": 1.2, "by_part_s": {"simulate": 40.0, "plcmos": 25.5, "words": 14.0},
        },
    }  # fmt: skip
