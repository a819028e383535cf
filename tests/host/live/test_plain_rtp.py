# SPDX-License-Identifier: BSD-2-Clause
"""RTP with programs that know nothing of us: ffmpeg and GStreamer send to the agent and play what `stream` sends."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from ports import free_port
from rtp_agent import CLIP, FFMPEG, ffmpeg, likeness, send
from waiting import udp_open, until

from dredge_device import rtcp, rtp
from dredge_device.pi.input import sdp
from dredge_device.pi.input.payloads import PayloadTypes
from dredge_host.links.plain import RtpLink
from dredge_host.live.plain import PlainSession
from dredge_host.settings import Settings

LENGTHS = [("10", "1"), ("20", "2"), ("40", "1"), ("60", "1")]


@ffmpeg
@pytest.mark.parametrize(("ms", "channels"), LENGTHS)
def test_ffmpeg_is_heard_with_packets_of_every_length(agent: Any, ms: str, channels: str) -> None:
    device = agent()
    send(f"rtp://127.0.0.1:{device.port}?rtcpport={device.port}", "-frame_duration", ms, "-ac", channels,
         "-rtpflags", "send_bye")  # fmt: skip
    said = device.ended()
    assert f"began (RTP without hello, Opus, type 97, {ms} ms" in said and "ended (goodbye)" in said
    assert f"{int(3000 / int(ms)) + 1} packets, 0 lost" in said
    assert likeness(device.out) > 0.75


@ffmpeg
def test_a_stereo_stream_is_recorded_in_stereo_with_all_its_bandwidth(agent: Any) -> None:
    device = agent("--rate", "48000", "--channels", "2")
    tones = "aevalsrc=0.2*sin(2*PI*1000*t)|0.2*sin(2*PI*12000*t):s=48000"
    command = [*FFMPEG, "-re", "-f", "lavfi", "-i", tones, "-t", "2", "-c:a", "libopus", "-b:a", "128k", "-f", "rtp"]
    subprocess.run([*command, f"rtp://127.0.0.1:{device.port}"], check=True, timeout=60, capture_output=True)
    assert ", 0 lost" in device.ended()
    heard, rate = soundfile.read(device.out)
    assert rate == 48000 and heard.shape[1] == 2
    spectrum = np.abs(np.fft.rfft(heard[24000:72000] * np.hanning(48000)[:, None], axis=0))
    left, right = spectrum.T
    assert int(np.argmax(left)) == 1000 and int(np.argmax(right)) == 12000
    assert left[11900:12100].max() < 0.05 * right.max() and right[900:1100].max() < 0.05 * left.max()


@ffmpeg
def test_a_sender_that_stops_without_a_word_and_one_that_starts_after_it(agent: Any, tmp_path: Path) -> None:
    device = agent()
    for _ in range(2):
        send(f"rtp://127.0.0.1:{device.port}", seconds="1.5")
    said = device.ended(2)
    assert said.count(" began (") == 2 and said.count("0 lost") == 2
    assert (tmp_path / "heard-2.wav").exists()


@ffmpeg
def test_srtp_with_the_key_of_a_description(agent: Any, tmp_path: Path) -> None:
    key = bytes(range(30))
    (tmp_path / "in.sdp").write_text(sdp.build("127.0.0.1", 5004, 97, key=key))
    device = agent("--sdp", str(tmp_path / "in.sdp"))
    inline = sdp.build("127.0.0.1", 5004, key=key).split("inline:")[1].split()[0]
    keyed = ("-srtp_out_suite", sdp.SUITE, "-srtp_out_params", inline)
    send(f"srtp://127.0.0.1:{device.port}?rtcpport={device.port}", *keyed)
    assert "0 lost" in device.ended()
    assert likeness(device.out) > 0.75
    send(f"rtp://127.0.0.1:{device.port}", seconds="0.5")  # without the key
    until(lambda: "another key than the session description, or none" in device.said())


@ffmpeg
def test_an_agent_without_the_key_says_that_a_stream_looks_encrypted(agent: Any, tmp_path: Path) -> None:
    device = agent()
    inline = sdp.build("127.0.0.1", 5004, key=bytes(range(30))).split("inline:")[1].split()[0]
    keyed = ("-srtp_out_suite", sdp.SUITE, "-srtp_out_params", inline)
    send(f"srtp://127.0.0.1:{device.port}?rtcpport={device.port}", *keyed)
    until(lambda: "looks encrypted" in device.said())
    assert device.said().count("looks encrypted") == 1


@ffmpeg
@pytest.mark.parametrize("keyed", [False, True])
def test_ffmpeg_plays_what_we_send(tmp_path: Path, keyed: bool) -> None:
    port, text = free_port(), tmp_path / "out.sdp"
    key = ["--key-file", str(tmp_path / "key")] if keyed else []
    (tmp_path / "key").write_text("0123456789abcdef" * 4)
    stream = [sys.executable, "-m", "dredge_host", "stream", str(CLIP), "--to", f"rtp://127.0.0.1:{port}",
              "--sdp", str(text), *key]  # fmt: skip
    subprocess.run([*stream, "--seconds", "0.04"], check=True, timeout=60, capture_output=True)
    protocols = ["-protocol_whitelist", "file,udp,rtp,srtp"]
    out = tmp_path / "heard.wav"
    player = subprocess.Popen(
        [*FFMPEG, *protocols, "-i", str(text), "-t", "3", "-ar", "16000", "-ac", "1", str(out)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    until(lambda: udp_open(port))
    done = subprocess.run([*stream, "--seconds", "6"], check=True, timeout=60, capture_output=True, text=True)
    assert "packets, " in done.stdout.split("sent     ")[1] and "silence" not in done.stdout
    player.communicate(timeout=120)
    assert likeness(out) > 0.75
    assert ("a=crypto:1" in text.read_text()) == keyed


gstreamer = pytest.mark.skipif(
    shutil.which("gst-launch-1.0") is None, reason="needs GStreamer: apt-get install gstreamer1.0-tools"
)


@gstreamer
@pytest.mark.parametrize("ms", ["10", "20", "60"])
def test_gstreamer_is_heard(agent: Any, ms: str) -> None:
    device = agent()
    words = f"filesrc location={CLIP} ! decodebin ! audioconvert ! audioresample ! audio/x-raw,rate=48000,channels=1"
    words += f" ! opusenc frame-size={ms} audio-type=voice ! rtpopuspay pt=96"
    words += f" ! udpsink host=127.0.0.1 port={device.port}"
    subprocess.run(["gst-launch-1.0", "-q", *words.split()], check=True, timeout=60, stdout=subprocess.DEVNULL)
    said = device.ended()
    assert f"type 96, {ms} ms" in said and ", 0 lost" in said
    assert likeness(device.out) > 0.75


class Wire:
    """Takes what is sent."""

    url = "rtp://x:1"

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, datagram: bytes) -> None:
        self.sent.append(datagram)

    def recv(self, timeout: float = 0.0) -> bytes | None:
        return None

    def close(self) -> None:
        pass


def test_sender_reports_name_and_goodbye_are_those_of_rfc_3550() -> None:
    wire, now = Wire(), [0.0]
    session = PlainSession(wire, lambda: now[0], wall=lambda: 1000.5)
    session.greet()
    session.configure(Settings(), 77, 5, 900)
    for n in range(150):
        now[0] = n * 0.02
        session.transmit(rtp.build(n, 900 + 960 * n, 77, b"speech"))
    session.goodbye(149, 1.0, 900 + 960 * 149)
    control = [rtcp.split(d) for d in wire.sent if rtp.is_rtcp(d)]
    assert [[p.kind for p in packets] for packets in control] == [[200, 202], [200, 202], [200, 202, 203]]
    first, _, last = control
    assert first[0].body[:8] == (77).to_bytes(4, "big") + (2208988800 + 1000).to_bytes(4, "big")
    assert first[0].body[12:16] == (900).to_bytes(4, "big")
    assert last[0].body[16:24] == (150).to_bytes(4, "big") + (900).to_bytes(4, "big")
    assert rtcp.parse_bye(last[2]) == (77,)
    receipt = rtcp.build_receiver_report(1, 77, 64, 3, 149, 480)
    session._handle(receipt)
    assert session.receiver == {"lost": 3, "loss_pct": 25.0, "jitter_ms": 10.0}
    assert "reports 3 lost" in session.summary() and "nobody" not in session.summary()
    session.refused = 2
    assert "2 more found nobody who listens at" in session.summary()


def test_nobody_on_the_rtcp_port_is_no_failure() -> None:
    link = RtpLink("127.0.0.1", free_port())
    for _ in range(5):
        link.send(rtcp.build_bye(1))
        assert link.recv(0.01) is None
    link.close()


def test_descriptions_are_read_as_they_are_written_and_otherwise_refused() -> None:
    key = bytes(range(30))
    text = sdp.build("::1", 5004, 96, key=key)
    assert "c=IN IP6 ::1" in text and sdp.parse(text) == sdp.Description(PayloadTypes(frozenset([96])), key)
    webrtc = "m=video 9 X 96\na=rtpmap:96 opus/48000\nm=audio 9 X 63 111\n"
    webrtc += "a=rtpmap:111 opus/48000/2\na=rtpmap:63 red/48000/2\n"
    assert sdp.parse(webrtc).types == PayloadTypes(frozenset([111]), frozenset([63]))
    standard = sdp.build("127.0.0.1", 5004, history_ms=1000)
    assert "; sprop-ext32-dred-duration=1000\r\n" in standard and "ext32" not in text
    assert sdp.parse(standard).history_ms == 1000 and sdp.parse(text).history_ms is None
    for bad, why in (
        ("v=0\n", "names no Opus"), ("a=crypto:1 OTHER inline:AAAA\n", "another suite"),
        (f"a=crypto:1 {sdp.SUITE} inline:AAAA\n", "3 bytes"), ("x" * 70000, "70000 characters"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=why):
            sdp.parse(bad)
