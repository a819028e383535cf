# SPDX-License-Identifier: BSD-2-Clause
"""Speech to RTP packets."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from host_fakes import Constant, History, PcmEncoder

from dredge_device import rtp
from dredge_host.errors import UsageError
from dredge_host.sending.sender import BitrateMeter, Sender, Split
from dredge_host.settings import Settings, parse_playout
from dredge_kernels.opus import packet_has_lbrr

SILENCE = np.zeros(320, np.int16)
SPEECH = soundfile.read(Path(__file__).parents[2] / "data" / "speech_short.flac", dtype="int16")[0]


def plain_sender(**options) -> Sender:
    return Sender(redundancy_s=0, encoder=Constant(60), **options)


def test_rtp_fields_count_up() -> None:
    sender = plain_sender(ssrc=0x1234, first_sequence=65534)
    packets = [rtp.parse(sender.push(SILENCE).data) for _ in range(4)]
    assert [p.sequence for p in packets] == [65534, 65535, 0, 1]
    assert [p.timestamp for p in packets] == [0, 960, 1920, 2880]
    assert {p.ssrc for p in packets} == {0x1234}
    assert [p.marker for p in packets] == [True, False, False, False]
    assert all(len(p.payload) == 60 for p in packets)


def test_split_without_redundancy() -> None:
    packet = plain_sender().push(SILENCE)
    assert packet.split == Split(60, 0, 0, 40)
    assert packet.split.total == len(packet.data) + 28
    assert packet.index == 0


@pytest.mark.parametrize(("real", "twin", "speech"), [(90, 60, 60), (50, 60, 50)])
def test_lbrr_is_what_exceeds_the_twin(real: int, twin: int, speech: int) -> None:
    sender = Sender(redundancy_s=0, lbrr=True, encoder=Constant(real), twin=Constant(twin))
    split = sender.push(SILENCE).split
    assert (split.speech, split.lbrr) == (speech, real - speech)


def test_bit_rate_and_lbrr_change_between_packets() -> None:
    encoder = Constant(60)
    sender = Sender(16000, redundancy_s=0, lbrr=True, encoder=encoder, twin=Constant(40))
    sender.push(SILENCE)
    sender.steer(32000, lbrr=True)
    assert sender.push(SILENCE).split == Split(80, 40, 0, 40) and sender.bitrate == 32000
    assert (encoder.lbrr, encoder.loss_pct) == (True, 2)
    sender.steer(40000, lbrr=False)
    assert sender.push(SILENCE).split == Split(100, 0, 0, 40) and not sender.lbrr
    assert (encoder.lbrr, encoder.loss_pct) == (False, 20)


def test_real_packets_grow_with_the_bit_rate_and_lose_their_copies() -> None:
    sender = Sender(16000, redundancy_s=0, lbrr=True)
    speech = SPEECH[16000:48000].reshape(-1, 320)
    sizes = []
    for bitrate, lbrr in ((16000, True), (40000, True), (40000, False)):
        sender.steer(bitrate, lbrr)
        sent = [sender.push(piece) for piece in speech]
        sizes.append(sum(packet.split.speech for packet in sent))
        assert any(packet_has_lbrr(rtp.parse(packet.data).payload) for packet in sent[5:]) == lbrr
    assert sizes[1] > 2 * sizes[0]
    plain = Sender(16000, redundancy_s=0)
    plain.steer(16000, lbrr=True)
    assert not plain.lbrr


def test_muting_forgets_the_history_and_sends_silence() -> None:
    encoder, history = Constant(60), History()
    sender = Sender(redundancy_s=1.0, encoder=encoder, history=history)
    sender.mute()
    sender.mute()
    loud = np.full(320, 1000, np.int16)
    packet = sender.push(loud)
    assert history.calls == ["flush", "push"]  # once, and no payload while muted
    assert packet.split.dred == 0
    assert not encoder.heard[-1].any()
    sender.mute(False)
    sender._history = None
    sender.push(loud)
    assert encoder.heard[-1].all()


@pytest.mark.parametrize(
    "wrong",
    [np.zeros(319, np.int16), np.zeros(320, np.float32), np.zeros((1, 320), np.int16), [0] * 320],
)
def test_wrong_audio_is_refused_with_both_shapes(wrong) -> None:
    with pytest.raises(UsageError, match=r"int16\[320\], got"):
        plain_sender().push(wrong)


def test_bitrate_meter_is_bytes_over_time() -> None:
    meter = BitrateMeter()
    assert meter.total() == 0
    for _ in range(50):
        meter.add(Split(60, 5, 55, 40))
    assert meter.rates() == {"speech": 24000.0, "lbrr": 2000.0, "dred": 22000.0, "headers": 16000.0}
    assert meter.total() == 64000.0


def test_fake_codec_is_late_by_its_lookahead() -> None:
    encoder = PcmEncoder(104)
    ramp = np.arange(640, dtype=np.int16)
    out = b"".join(encoder.encode(ramp[i : i + 320]) for i in (0, 320))
    np.testing.assert_array_equal(np.frombuffer(out, np.int16)[104:], ramp[:-104])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"bitrate": 5999}, "6000 to 256000"),
        ({"redundancy_s": 1.1}, "0 to 1.02 s"),
        ({"redundancy_s": -0.1}, "0 to 1.02 s"),
        ({"redundancy_s": float("nan")}, "redundancy is nan"),
        ({"playout_ms": 5001}, "0 to 5000 ms"),
        ({"loss_pct": 101}, "0 to 100 %"),
        ({"conceal": "magic"}, "dred, plc, opus"),
    ],
)
def test_settings_name_their_limits(values: dict, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Settings(**values)
    assert words in str(caught.value)


def test_playout_grammar() -> None:
    assert parse_playout("fixed:300") == (False, 300)
    assert parse_playout("adaptive") == (True, 1000)
    assert parse_playout("adaptive:600") == (True, 600)
    for text in ["", "fixed", "fixed:", "fixed:-1", "fixed:9999", "adaptive:", "fixed:²"]:
        with pytest.raises(UsageError):
            parse_playout(text)


@pytest.mark.parametrize(
    "wrong",
    [{"redundancy_s": 5.0}, {"redundancy_s": float("nan")}, {"bitrate": -1}, {"bitrate": "24000"}, {"loss_pct": 101},
     {"dred_version": 11}, {"dred_id": 32}],
)  # fmt: skip
def test_a_sender_of_values_outside_their_limits_is_refused(wrong: dict[str, object]) -> None:
    """By the limits of the settings, and by their error."""
    with pytest.raises(UsageError, match=r"expected|says"):
        Sender(**wrong)  # type: ignore[arg-type]
