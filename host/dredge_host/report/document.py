# SPDX-License-Identifier: BSD-2-Clause
"""Saved results of `dredge demo`, `stream` and `simulate` in the one shape that the page reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dredge_device.pi.text import read_text
from dredge_device.pi.transport.errors import refusal
from dredge_host.capture.reader import is_capture
from dredge_host.errors import InputError

SCHEMAS = ("dredge.demo/1", "dredge.stream/1", "dredge.simulate/1", "dredge.replay/1")
LOOKAHEAD = 104
_LIVE = ("dredge.demo/1", "dredge.stream/1")
_SHOWN = ("packets", "timeline", "files", "input", "output")  # one of them is in every result
_KEPT = ("schema", "settings", "seconds", "packets", "models", "timeline", "alignment")


def load(path: Path) -> dict[str, Any]:
    """Return the result in a JSON file. Raises InputError when no page can be made from it."""
    try:
        result = json.loads(read_text(path))
    except OSError as error:
        raise InputError(refusal(error, path)) from None
    except (ValueError, RecursionError):
        raise InputError(f"{path}: not a JSON file; save one with --json") from None
    schema = result.get("schema") if isinstance(result, Mapping) else None
    if schema not in SCHEMAS:
        raise InputError(f"{path}: schema is {schema!r}, expected one of {', '.join(SCHEMAS)}")
    if not any(key in result for key in _SHOWN):
        raise InputError(f"{path}: there is no result in it; expected the whole document that --json prints")
    return dict(result)


def normal(result: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result in the shape of a stream's; missing parts are left out. It never raises."""
    if result.get("schema") not in SCHEMAS or result.get("schema") in _LIVE:
        return dict(result)
    settings, cpu, loss = part(result, "settings"), part(result, "cpu"), part(result, "loss")
    times = part(cpu, "receiver_us_per_packet")
    stream = {key: result[key] for key in ("bitrate_total_bps", "bitrate_bps") if key in result}
    rate = loss.get("rate")
    if isinstance(rate, (int, float)):
        stream["loss"] = {"model": settings.get("loss"), "seed": result.get("seed"),
                          "measured_pct": round(100 * rate, 3), **loss}  # fmt: skip
    facts = {k: v for k, v in cpu.items() if k not in ("receiver_us_per_packet", "machine")}
    return {
        **{k: result[k] for k in _KEPT if k in result},
        "stream": stream,
        "frames": {"by_source": part(result, "frames"), "total": result.get("packets"),
                   "reasons": part(result, "reasons")},
        "cpu": {f"{name}_us": value for name, value in times.items() if name != "min"},
        "environment": {"host": {**part(cpu, "machine"), "simd": result.get("simd_level"), **facts}},
        "device_report": {"dred": part(result, "dred")},
    }  # fmt: skip


def sound_files(result: Mapping[str, Any], folder: Path) -> dict[str, Path]:
    """Return the sound files that a result names: those a demo wrote beside it, or a run's input and output."""
    found = {str(n): folder / str(f) for n, f in part(result, "files").items()}
    if not found and isinstance(result.get("input"), str):
        found["original"] = Path(result["input"])
        if isinstance(result.get("output"), str):
            found["received"] = Path(result["output"])
    if found.get("original") and is_capture(found["original"]):
        del found["original"]  # a capture of packets, not a sound file
    return found


def lookahead(result: Mapping[str, Any]) -> int:
    """Return the samples by which decoded Opus is later than the input; libopus' value at 16 kHz where none is
    given.
    """
    samples = part(result, "alignment").get("opus_lookahead_samples")
    return samples if isinstance(samples, int) else LOOKAHEAD


def part(result: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """Return the mapping below these keys, empty where there is none."""
    value: Any = result
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def adaptive(result: Mapping[str, Any]) -> bool:
    """Return whether playout was adaptive, so that a recording is not aligned with the packets."""
    return bool(part(result, "settings").get("adaptive") or part(result, "device_report").get("adaptive"))
