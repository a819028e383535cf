# SPDX-License-Identifier: BSD-2-Clause
"""Streams whose DRED was made by another model: the receiver picks the model by the version byte."""

import os
import struct
from pathlib import Path

import numpy as np
import pytest
from blob_cases import write_model

from dredge_device import rtp
from dredge_device.pi.factory import OpusPacketReader
from dredge_device.pi.interfaces import UnknownVersionError
from dredge_device.pi.receiver import Receiver
from dredge_device.pi.service import capabilities
from dredge_device.timeline import Timeline
from dredge_kernels import opus
from dredge_kernels.extensions import add_extension
from dredge_kernels.features import FeatureExtractor
from dredge_kernels.framing import build_packet
from dredge_models import modelset
from dredge_models.dred import DRED_EXTENSION_ID, DredEncoder
from dredge_models.libopus.importer import import_rdovae, read_sources

VECTORS = Path(os.environ.get("DREDGE_VECTORS", ""))
needs_vectors = pytest.mark.skipif(not os.environ.get("DREDGE_VECTORS"), reason="needs vectors: set DREDGE_VECTORS")


def play(packets, lost=(), playout_ms=400):
    """Every Played of a stream, and the receiver."""
    now_us = 0
    receiver = Receiver(playout_ms, "dred", False, clock_us=lambda: now_us)
    receiver.announce(1, 0)
    played = []
    for step in range(len(packets) + playout_ms // 20):
        now_us = step * 20_000
        if step < len(packets) and step not in lost:
            receiver.push(rtp.build(step, 960 * step, 1, packets[step]), now_us)
        period = receiver.pull()
        if period.packet is not None:
            played.append(period)
    return played, receiver


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return import_rdovae(read_sources(write_model(tmp_path_factory.mktemp("files"))), root)


@pytest.fixture
def imported(made_up, monkeypatch):
    monkeypatch.setattr(modelset, "user_folder", lambda: made_up.folder.parent)
    return made_up


def stream(model, seconds=1.4):
    rng = np.random.default_rng(4)
    pcm = (4000 * np.sin(np.cumsum(0.05 + 0.02 * rng.random(int(16000 * seconds) // 320 * 320)))).astype(np.int16)
    encoder, packets = opus.OpusEncoder(), []
    history = DredEncoder(encoder.lookahead, model)
    for piece in pcm.reshape(-1, 320):
        data = encoder.encode(piece)
        history.push(piece)
        packets.append(add_extension(data, DRED_EXTENSION_ID, history.payload(0.4)))
    return packets


def test_a_gap_is_filled_by_the_imported_model(imported):
    packets = stream(imported)
    lost = range(30, 36)
    played, receiver = play(packets, lost)
    assert [p.source for p in played[30:36]] == ["dred"] * 6
    assert receiver.report()["dred"]["payloads_parsed"] == 1


def test_without_the_model_the_same_gap_is_concealed(made_up):
    played, receiver = play(stream(made_up), range(30, 36))
    assert {p.source for p in played[30:36]} == {"plc"}
    assert set(receiver.report()["reasons"]) == {"no model for version 10"}
    timeline = Timeline()
    for frame in played:
        timeline.add(frame.packet, frame.source, frame.delay_us, 0, frame.reason)
    assert timeline.part()["reasons"][30:36] == "m" * 6


def test_one_stream_may_change_its_model_in_the_middle(imported):
    ours, theirs = stream(modelset.SHIPPED), stream(imported)
    played, _ = play(ours[:35] + theirs[35:], [*range(20, 25), *range(45, 50)])
    assert [p.source for p in played[20:25] + played[45:50]] == ["dred"] * 10


def test_the_carrier_takes_known_versions_on_the_first_frame_only(imported):
    carrier = OpusPacketReader()
    plain = build_packet(8 << 3, [b"ab", b"cd"])
    for version, frame, taken in ((10, 0, True), (0xD1, 0, True), (12, 0, False), (99, 0, False), (10, 1, False)):
        data = b"D" + bytes([version]) + b"payload"
        packet = add_extension(plain, DRED_EXTENSION_ID, data, frame)
        if frame or taken:
            assert carrier.dred(packet) == (data if taken else None)
        else:
            with pytest.raises(UnknownVersionError, match=f"no model for version {version}"):
                carrier.dred(packet)
    assert carrier.dred(add_extension(plain, DRED_EXTENSION_ID, b"D")) is None
    both = add_extension(add_extension(plain, DRED_EXTENSION_ID, b"D\x63x"), DRED_EXTENSION_ID, b"D\x0ay")
    assert carrier.dred(both) == b"D\x0ay"


def test_the_device_tells_which_versions_it_decodes(made_up, monkeypatch):
    assert capabilities.describe()["dred_versions"] == [0xD1]
    monkeypatch.setattr(modelset, "user_folder", lambda: made_up.folder.parent)
    assert capabilities.describe()["dred_versions"] == [10, 0xD1]


@needs_vectors
@pytest.mark.vectors
def test_a_stream_of_libopus_is_recovered_in_time_and_loudness(tmp_path, monkeypatch):
    """8 s of the 44 kb/s case with its own losses: recovered frames sound like what was sent."""
    names = ["rdovae_enc.bin", "rdovae_dec.bin", "rdovae_stats_and_tables.npz"]
    import_rdovae(read_sources([VECTORS / "weights" / name for name in names]), tmp_path)
    monkeypatch.setattr(modelset, "user_folder", lambda: tmp_path)
    case = VECTORS / "v4_B44k30"
    packets = bit_packets(case / "packets.bit")[:400]
    loss = [int(word) for word in (case / "loss.txt").read_text().split()][:400]
    lost = {i for i, one in enumerate(loss) if one}
    played, _ = play(packets, lost, playout_ms=1000)
    sources = [p.source for p in played]
    gone = [p.packet for p in played if p.packet in lost]
    filled = [n for n in gone if sources[n] == "dred"]
    assert len(filled) > 0.8 * len(gone) > 50
    clean = np.fromfile(case / "pcm_clean.s16", "<i2")[: 320 * 400]
    heard = np.concatenate([p.pcm for p in played])[: 320 * 400]
    distances = [track_distance(clean, heard, filled, shift) for shift in (-320, -160, 0, 160, 320)]
    assert np.argmin(distances) == 2
    assert distances[2] < 0.9 * min(distances[0], distances[4])


def track_distance(clean, heard, packets, shift):
    """RMS distance of band levels over the frames of these packets, the heard ones `shift` samples later."""
    a, b = (FeatureExtractor().process(np.ascontiguousarray(x))[:, :18] for x in (clean, np.roll(heard, shift)))
    frames = [f for n in packets for f in (2 * n, 2 * n + 1) if a[f, 0] > -2]
    return float(np.sqrt(np.mean((a[frames] - b[frames]) ** 2)))


def bit_packets(path):
    data, at, out = path.read_bytes(), 0, []
    while at < len(data):
        size = struct.unpack_from(">I", data, at)[0]
        out.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    return out
