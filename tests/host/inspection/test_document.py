# SPDX-License-Identifier: BSD-2-Clause
"""`dredge inspect`: the facts of made-up and of our own packets, totals, JSON, and the reasons for nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from capture_cases import datagrams, rtpdump
from click.testing import CliRunner, Result
from payload_cases import made_up_tables
from speech_packets import speech

from dredge_host.capture.opus_demo import write as bit_file
from dredge_host.capture.packets import Capture, Captured
from dredge_host.cli import main
from dredge_host.inspection.document import inspect, summarise
from dredge_host.inspection.packet import Inspector, toc_facts
from dredge_host.sending.audio import packets as pieces
from dredge_host.sending.sender import Sender
from dredge_kernels.extensions import Extension, add_extension, build_extensions
from dredge_kernels.framing import build_packet, parse_packet
from dredge_kernels.payload import encode_symbols
from dredge_models.dred import DQ, Q0

WB20 = 9 << 3


def dredge(*words: str) -> Result:
    return CliRunner().invoke(main.cli, ["inspect", *words])


@pytest.fixture(scope="module")
def ours() -> list[bytes]:
    """2 s of our own stream with LBRR and half a second of redundancy."""
    sender = Sender(redundancy_s=0.5, lbrr=True)
    return [sender.push(piece).data[12:] for piece in pieces(speech()[:32000])]


@pytest.mark.parametrize(
    ("config", "mode", "band", "ms"),
    [
        (0, "SILK", "NB", 10), (3, "SILK", "NB", 60), (5, "SILK", "MB", 20), (11, "SILK", "WB", 60),
        (12, "hybrid", "SWB", 10), (15, "hybrid", "FB", 20), (16, "CELT", "NB", 2.5), (21, "CELT", "WB", 5),
        (26, "CELT", "SWB", 10), (31, "CELT", "FB", 20),
    ],
)  # fmt: skip
def test_toc_of_all_modes(config: int, mode: str, band: str, ms: float) -> None:
    facts = toc_facts(parse_packet(build_packet(config << 3 | 4, [b"ab", b"c"])))
    assert (facts["mode"], facts["bandwidth"], facts["frame_ms"]) == (mode, band, ms)
    assert (facts["frames"], facts["stereo"], facts["code"], facts["config"]) == (2, True, 2, config)


def test_our_own_packets(ours: list[bytes]) -> None:
    result = inspect(Capture("x", [Captured(p) for p in ours]))
    assert result["schema"] == "dredge.inspect/1"
    last = result["packets"][-1]
    assert last["index"] == 99 and last["bytes"] == len(ours[-1]) and last["no_dred"] is None
    assert last["toc"] == {"config": 9, "mode": "SILK", "bandwidth": "WB", "frames": 1, "frame_ms": 20,
                           "stereo": False, "code": 3}  # fmt: skip
    dred = last["dred"]
    assert (dred["version"], dred["q0"], dred["dq"], dred["qmax"], dred["offset"]) == (0xD1, Q0, DQ, 15, 8)
    assert (dred["latents"], dred["span_ms"], dred["begins_ms"], dred["ends_ms"]) == (13, 520, -500, 20)
    assert dred["reason"] is None and dred["frame"] == 0 and dred["bytes"] < 80
    assert 8 * (dred["bytes"] - 2) - dred["latents"] * dred["bits_per_latent"] < 150      # header and state
    totals = result["totals"]
    assert (totals["packets"], totals["seconds"], totals["versions"]) == (100, 2.0, {"209": 100})
    assert totals["bytes"] == sum(map(len, ours))
    assert totals["bitrate_bps"] == pytest.approx(4 * totals["bytes"])
    assert totals["with_lbrr"] == sum(bool(p["lbrr"]) for p in result["packets"]) > 50
    assert totals["modes"] == {"SILK WB 1 x 20 ms": 100} and totals["span_ms_max"] == 520
    assert result["notes"] == []


def payload(version: int, offset: int = 10, n: int = 3) -> bytes:
    tables = made_up_tables(version)
    zeros = np.zeros((n, tables.latent_dim), np.int32)
    coded = encode_symbols(zeros, np.zeros(tables.state_dim, np.int32), tables, 6, 5, 15, offset)
    return b"D" + bytes([version]) + coded


@pytest.mark.parametrize("version", [10, 12])
def test_versions_without_a_model_are_told_apart_and_their_header_is_read(version: int) -> None:
    packet = add_extension(bytes([WB20]) + b"speech", 126, payload(version, offset=-45))
    dred = Inspector().packet(0, packet)["dred"]
    assert (dred["version"], dred["q0"], dred["dq"], dred["qmax"], dred["offset"]) == (version, 6, 5, 15, -45)
    assert dred["latents"] is None and dred["span_ms"] is None
    library = {10: "libopus 1.5", 12: "libopus 1.6"}[version]
    assert dred["reason"] == f"no model for version {version} ({library}): see `dredge models import`"


def test_unknown_versions_are_reported_not_guessed() -> None:
    dred = Inspector().packet(0, add_extension(bytes([WB20]) + b"speech", 126, b"D\x0b" + bytes(20)))["dred"]
    assert dred["version"] == 11 and dred["q0"] is None and dred["offset"] is None
    assert dred["reason"] == "version 11 is unknown: nothing behind it can be read"


@pytest.mark.parametrize(("frame", "ms", "config"), [(0, 10, 8), (2, 10, 8), (3, 20, 9), (1, 40, 10), (2, 2.5, 16)])
def test_the_frame_position_is_part_of_the_offset(frame: int, ms: float, config: int) -> None:
    plain = build_packet(config << 3, [b"ab"] * 4 if ms < 40 else [b"ab"] * 3)
    dred = Inspector().packet(0, add_extension(plain, 126, payload(10, offset=10), frame=frame))["dred"]
    assert dred["frame"] == frame
    assert dred["offset"] == 10 + frame * ms / 2.5


REASONS = {
    "no padding": bytes([WB20]) + b"speech",
    "50 bytes of padding, no extension in it": build_packet(WB20, [b"speech"], bytes(50)),
    "0 bytes of padding, no extension in it": build_packet(WB20, [b"speech"], b""),
    "extension 3, 40, not 126 or 32": add_extension(add_extension(bytes([WB20]) + b"s", 40, b"ab"), 3, b"x"),
    "extension 126 does not begin with 'D' and a version": add_extension(bytes([WB20]) + b"s", 126, b"E\x0aabcd"),
    "malformed packet: packet: expected at least 1 byte, got 0": b"",
    "malformed packet: frame count: expected 1 to 48 frames of at most 120 ms, got 0": bytes([WB20 | 3, 0]),
    "malformed padding: frame separator: expected a frame below 1, got 1": build_packet(WB20, [b"s"], b"\x02\xfc"),
}


@pytest.mark.parametrize("reason", REASONS)
def test_why_there_is_no_dred(reason: str) -> None:
    entry = Inspector().packet(4, REASONS[reason])
    assert entry["dred"] is None and entry["no_dred"] == reason and entry["index"] == 4


def test_the_first_dred_extension_of_several_counts() -> None:
    data = [(0, b"E"), (0, payload(10)), (1, payload(12))]
    both = build_extensions([Extension(126, frame, content) for frame, content in data], 2)
    entry = Inspector().packet(0, build_packet(WB20, [b"a", b"b"], both))
    assert entry["dred"]["version"] == 10 and entry["dred"]["frame"] == 0


@pytest.mark.parametrize("data", [b"D\xd1", b"D\xd1\x00", b"D\x0a"])
def test_damaged_payloads_have_a_reason(data: bytes) -> None:
    dred = Inspector().packet(0, add_extension(bytes([WB20]) + b"s", 126, data))["dred"]
    assert dred["reason"].startswith("damaged: ") and dred["latents"] is None


def test_faults_that_differ_in_their_amounts_count_as_one() -> None:
    cut = [add_extension(bytes([WB20]) + b"s", 126, payload(209, n=20)[:size]) for size in (7, 8, 9)]
    entries = [Inspector().packet(number, data) for number, data in enumerate(cut)]
    reasons = {entry["dred"]["reason"] for entry in entries}
    assert len(reasons) > 1, reasons
    assert list(summarise(entries)["unread"].values()) == [3]


def test_damaged_tables_become_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    from dredge_models import modelset
    from dredge_models.registry import ModelError

    def broken(version: int) -> None:
        raise ModelError("tables.npz: damaged")

    monkeypatch.setattr(modelset, "find", broken)
    packet = Captured(add_extension(bytes([WB20]) + b"s", 126, payload(10)))
    result = inspect(Capture("x", [packet, packet]))
    assert result["notes"] == ["tables.npz: damaged"]
    assert result["packets"][1]["dred"]["reason"].startswith("no model for version 10")


def test_the_command_in_words(ours: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "call.rtpdump"
    sent = datagrams(ours, first=7)
    path.write_bytes(rtpdump(sent[:20] + sent[25:]))
    result = dredge(str(path))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["packet", "bytes", "mode", "LBRR", "DRED", "q0/dQ/max", "offset", "latents", "from",
                                "to", "bytes", "bits"]  # fmt: skip
    assert lines[20].split()[0] == "26" and lines[21].split()[0] == "32"
    assert f"{Q0}/{DQ}/15" in lines[50] and "SILK WB 1x20" in lines[50] and "-500" in lines[95]
    assert any(line.startswith("95 packets, 1.9 s") and line.endswith("5 lost") for line in lines)
    short = dredge(str(path), "--summary").stdout.splitlines()
    assert short == lines[96:]


def test_the_command_as_json_with_symbols(ours: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.bit"
    path.write_bytes(bit_file([(p, 0) for p in ours]))
    document = json.loads(dredge(str(path), "--json", "--symbols").stdout)
    assert document["input"] == str(path) and document["format"] == "opus_demo"
    dred = document["packets"][60]["dred"]
    assert len(dred["latent_symbols"]) == dred["latents"] and len(dred["state_symbols"]) > 5
    assert "latent_symbols" in dredge(str(path), "--symbols").stdout
    assert "latent_symbols" not in json.loads(dredge(str(path), "--json").stdout)["packets"][60]["dred"]


def test_a_stream_without_dred_gets_advice(tmp_path: Path) -> None:
    path = tmp_path / "a.bit"
    path.write_bytes(bit_file([(bytes([WB20]) + b"speech", 0)] * 5))
    result = dredge(str(path))
    assert result.exit_code == 0
    assert "no DRED in 5: no padding" in result.stdout
    assert "an expected packet loss above 0" in result.stderr


def test_bad_arguments_are_one_sentence(tmp_path: Path) -> None:
    for words in ([str(tmp_path / "none")], [str(tmp_path / "none"), "--ssrc", "x"], [str(tmp_path), "--ssrc", "-1"]):
        result = dredge(*words)
        assert result.exit_code == 2 and result.output.startswith("dredge: ") and result.output.count("\n") == 1
