# SPDX-License-Identifier: BSD-2-Clause
"""libopus beside us: a stand-in for opus_demo made of our own codec, called as the real one is."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dredge_host.errors import CapabilityError, UsageError
from dredge_host.evaluation.material.plan import Plan
from dredge_host.evaluation.material.traces import recorded_trace
from dredge_host.evaluation.methods.methods import DEFAULT_METHODS, PEERS
from dredge_host.evaluation.running.peer import CONDITIONS, LOOKAHEAD, Peer

SPEECH = soundfile.read(Path(__file__).parents[3] / "data" / "speech_short.flac", dtype="int16")[0][:32000]
LOST = [number % 10 in (4, 5) for number in range(101)]
STAND_IN = '''#!{python}
import sys
import numpy as np
from dredge_host.capture import opus_demo
from dredge_kernels.extensions import add_extension
from dredge_kernels.opus import OpusDecoder, OpusEncoder

mode, *rest = sys.argv[1:]
source, target = rest[-2:]
if mode == "-e":
    application, rate, channels, bitrate = rest[:4]
    assert (application, rate, channels, rest[4:6]) == ("voip", "16000", "1", ["-loss", "30"])
    encoder = OpusEncoder(bitrate=int(bitrate), lbrr="-inbandfec" in rest, loss_pct=30)
    pcm = np.fromfile(source, "<i2").reshape(-1, 320)
    packets = [encoder.encode(row) for row in pcm]
    if "-dred" in rest and {dred}:
        packets = [add_extension(packet, 126, b"D" + bytes(50)) for packet in packets]
    open(target, "wb").write(opus_demo.write([(packet, 0) for packet in packets]))
else:
    lost = [int(word) for word in open(rest[rest.index("-lossfile") + 1]).read().split()]
    packets = opus_demo.read(open(source, "rb").read()).packets
    assert len(lost) == len(packets) and rest[:2] == ["16000", "1"]
    decoder = OpusDecoder()
    heard = [decoder.conceal() if gone else decoder.decode(p.data) for p, gone in zip(packets, lost)]
    np.concatenate(heard).tofile(target)
'''


@pytest.fixture
def program(tmp_path):
    def make(dred=True):
        path = tmp_path / "opus_demo"
        path.write_text(STAND_IN.replace("{python}", sys.executable).replace("{dred}", str(dred)))
        path.chmod(0o755)
        return path

    return make


@pytest.mark.parametrize("method", CONDITIONS)
def test_what_is_heard_is_aligned_and_what_was_sent_is_counted(program, method):
    played, cell = Peer(program()).send(SPEECH, method, recorded_trace("every tenth", LOST), 24000)
    assert len(played.pcm) == len(SPEECH) and played.result["alignment"]["opus_lookahead_samples"] == LOOKAHEAD
    assert [row[1] == "plc" for row in played.timeline][:98] == LOST[:98] and not any(played.trace[-3:])
    first = slice(0, 4 * 320 - LOOKAHEAD)
    assert np.corrcoef(played.pcm[first], SPEECH[first])[0, 1] > 0.8
    rates = cell["bitrate_bps"]
    assert rates["dred"] == pytest.approx(8 * 53 / 0.02, rel=0.1) if "dred" in method else rates["dred"] == 0
    assert rates["headers"] == 16000 and cell["bitrate_total_bps"] == pytest.approx(sum(rates.values()), abs=0.2)
    assert rates["speech"] > 30000 if "lbrr" in method else rates["speech"] < 30000
    assert cell["loss_pct"] == pytest.approx(20, abs=2) and cell["longest_burst_ms"] == 40


def test_a_libopus_without_dred_says_so(program):
    with pytest.raises(CapabilityError, match="sends no DRED"):
        Peer(program(dred=False)).send(SPEECH, "peer_dred", None, 24000)


def test_no_program_or_a_failing_one_is_one_sentence(tmp_path):
    with pytest.raises(UsageError, match="there is no such program"):
        Peer(tmp_path / "nothing")
    for content in ("#!/bin/sh\necho wrong >&2\nexit 3\n", ""):
        path = tmp_path / "opus_demo"
        path.write_text(content)
        path.chmod(0o755 if content else 0o644)
        with pytest.raises(CapabilityError, match=r"failed: wrong|does not run"):
            Peer(path).send(SPEECH, "peer_opus", None, 24000)


def test_a_plan_with_a_peers_method_needs_the_peer():
    assert not set(PEERS) & set(DEFAULT_METHODS)
    with pytest.raises(UsageError, match="--peer opus_demo=PATH"):
        Plan(methods=("dred", "peer_dred"))
    assert Plan(methods=("peer_dred",), peer="opus_demo").methods == ("peer_dred",)
