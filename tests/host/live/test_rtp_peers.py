# SPDX-License-Identifier: BSD-2-Clause
"""More programs that know nothing of us: a SIP client (baresip), GStreamer as the receiver, Wireshark's dissectors."""

from __future__ import annotations

import contextlib
import itertools
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from ports import free_port
from rtp_agent import CLIP, likeness
from waiting import LONGEST_S, udp_open, until

STREAM = [sys.executable, "-m", "dredge_host", "stream", str(CLIP)]
MODULES = next(Path("/usr/lib").glob("**/baresip/modules/opus.so"), None)
baresip = pytest.mark.skipif(
    shutil.which("baresip") is None or MODULES is None, reason="needs baresip: apt-get install baresip-core"
)
tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark: apt-get install tshark")
gstreamer = pytest.mark.skipif(
    shutil.which("gst-launch-1.0") is None,
    reason="needs GStreamer: apt-get install gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good",
)


class Callee:
    """Takes one SIP call and says that its speech goes to ``rtp_port``; ``offered`` is the caller's RTP port."""

    def __init__(self, rtp_port: int) -> None:
        self._rtp_port = rtp_port
        self.offered = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.2)
        self.port = int(self._socket.getsockname()[1])
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                data, peer = self._socket.recvfrom(9000)
            except TimeoutError:
                continue
            head, _, body = data.decode().partition("\r\n\r\n")
            first, *fields = head.split("\r\n")
            if not first.startswith(("INVITE", "BYE")):
                continue
            kept = [f for f in fields if f.split(":")[0].lower() in ("via", "from", "to", "call-id", "cseq")]
            kept = [f + ";tag=1" if f.lower().startswith("to:") and ";tag=" not in f else f for f in kept]
            answer = self._description(body) if first.startswith("INVITE") else ""
            kept += [f"Contact: <sip:a@127.0.0.1:{self.port}>", f"Content-Length: {len(answer)}"]
            kept += ["Content-Type: application/sdp"] if answer else []
            self._socket.sendto("\r\n".join(["SIP/2.0 200 OK", *kept, "", answer]).encode(), peer)

    def _description(self, offer: str) -> str:
        kind = re.search(r"a=rtpmap:(\d+) opus/48000/2", offer)
        port = re.search(r"m=audio (\d+)", offer)
        assert kind and port
        self.offered = int(port[1])
        return (
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self._rtp_port} RTP/AVP {kind[1]}\r\na=rtpmap:{kind[1]} opus/48000/2\r\n"
        )


def phone(folder: Path, seconds: int) -> None:
    """What baresip reads: it talks the clip, again and again, and keeps what it hears."""
    clip, rate = soundfile.read(CLIP)
    wide = soxr.resample(np.tile(clip, 1 + seconds * rate // len(clip)), rate, 48000)
    soundfile.write(folder / "talk.wav", np.stack([wide, wide], axis=1), 48000, subtype="PCM_16")
    (folder / "accounts").write_text("<sip:test@127.0.0.1>;regint=0;audio_codecs=opus/48000/2\n")
    (folder / "contacts").touch()
    assert MODULES is not None
    words = [
        f"module_path {MODULES.parent}", "sip_listen 127.0.0.1:0", "net_interface 127.0.0.1", f"snd_path {folder}",
        f"audio_source aufile,{folder}/talk.wav", f"audio_player aufile,{folder}/heard.wav", "audio_buffer 20-160",
        "ausrc_srate 48000", "auplay_srate 48000", "ausrc_channels 2", "auplay_channels 2", "opus_bitrate 28000",
        "module stdio.so", "module opus.so", "module aufile.so", "module sndfile.so", "module_tmp uuid.so",
        "module_tmp account.so", "module_app menu.so",
    ]  # fmt: skip
    (folder / "config").write_text("\n".join(words) + "\n")


@baresip
def test_a_sip_client_talks_to_the_agent_and_hears_a_stream(agent: Any, tmp_path: Path) -> None:
    device = agent("--payload-type", "96")
    callee = Callee(device.port)
    phone(tmp_path, 12)
    command = ["baresip", "-f", str(tmp_path), "-e", f"/dial sip:agent@127.0.0.1:{callee.port}"]
    call = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: callee.offered)
        url = f"rtp://127.0.0.1:{callee.offered}"
        command = [*STREAM, "--to", url, "--payload-type", "96", "--seconds", "4"]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        call.send_signal(signal.SIGINT)  # it hangs up
        call.wait(LONGEST_S)
        said = device.ended()
    finally:
        call.kill()
        callee.close()
    assert "Opus, type 96, 20 ms" in said and ", 0 lost" in said
    assert likeness(device.out) > 0.75
    (dump,) = tmp_path.glob("dump-*-dec.wav")
    assert likeness(dump) > 0.75


@gstreamer
def test_gstreamer_plays_what_we_send(tmp_path: Path) -> None:
    port, out = free_port(), tmp_path / "heard.wav"
    caps = "application/x-rtp,media=audio,clock-rate=48000,encoding-name=OPUS,payload=111"
    words = f"udpsrc address=127.0.0.1 port={port} caps={caps} ! rtpjitterbuffer latency=100 ! rtpopusdepay ! opusdec"
    words += " ! audioconvert ! audioresample ! audio/x-raw,format=S16LE,rate=16000,channels=1 ! wavenc"
    player = subprocess.Popen(["gst-launch-1.0", "-q", "-e", *words.split(), "!", "filesink", f"location={out}"])
    try:
        until(lambda: udp_open(port))
        command = [*STREAM, "--to", f"rtp://127.0.0.1:{port}", "--seconds", "3"]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        player.send_signal(signal.SIGINT)
        player.wait(LONGEST_S)
    finally:
        player.kill()
    assert likeness(out) > 0.75


class Tap:
    """Collects datagrams of some ports and writes them as a capture."""

    def __init__(self, *ports: int) -> None:
        self._got: list[tuple[int, bytes]] = []
        self._over = threading.Event()
        self._threads = []
        for port in ports:
            tapped = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tapped.bind(("127.0.0.1", port))
            tapped.settimeout(0.1)
            self._threads.append(threading.Thread(target=self._take, args=(tapped, port)))
            self._threads[-1].start()

    def _take(self, tapped: socket.socket, port: int) -> None:
        with tapped:
            while True:
                try:
                    self._got.append((port, tapped.recv(9000)))
                except TimeoutError:  # nothing waits any more
                    if self._over.is_set():
                        return

    def write(self, path: Path) -> None:
        import dpkt
        self._over.set()
        for thread in self._threads:
            thread.join()
        with path.open("wb") as file:
            writer = dpkt.pcap.Writer(file, linktype=dpkt.pcap.DLT_RAW)
            for number, (port, data) in enumerate(self._got):
                udp = dpkt.udp.UDP(sport=40000, dport=port, data=data, ulen=8 + len(data))
                ip = dpkt.ip.IP(src=b"\x7f\0\0\1", dst=b"\x7f\0\0\1", p=17, data=udp, len=28 + len(data))
                writer.writepkt(bytes(ip), ts=1 + number / 50)


def dissected(path: Path, port: int, *fields: str) -> list[list[str]]:
    """The fields of every datagram as Wireshark reads it."""
    asked = [word for field in ("_ws.malformed", "_ws.expert.severity", *fields) for word in ("-e", field)]
    command = ["tshark", "-r", str(path), "-d", f"udp.port=={port},rtp", "-d", f"udp.port=={port + 1},rtcp"]
    done = subprocess.run([*command, "-T", "fields", *asked], check=True, capture_output=True, text=True, timeout=60)
    return [line.split("\t") for line in done.stdout.splitlines()]


@tshark
def test_wireshark_finds_nothing_malformed_in_what_we_send(tmp_path: Path) -> None:
    port, capture = free_port(), tmp_path / "sent.pcap"
    tap = Tap(port, port + 1)
    command = [*STREAM, "--to", f"rtp://127.0.0.1:{port}", "--seconds", "3"]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    tap.write(capture)
    rows = dissected(capture, port, "rtp.p_type", "rtp.ssrc", "rtcp.pt", "rtcp.senderssrc")
    assert [row for row in rows if row[0] or row[1] in ("8388608", "6291456")] == []  # malformed; error or warning
    media, control = [row for row in rows if row[2]], [row for row in rows if row[4]]
    assert len(media) >= 150 and {row[2] for row in media} == {"111"} and len({row[3] for row in media}) == 1
    assert {row[4] for row in control} == {"200,202", "200,202,203"}
    assert {row[5].split(",")[0] for row in control} == {media[0][3]}


@tshark
def test_wireshark_finds_nothing_malformed_in_what_the_agent_answers(agent: Any, tmp_path: Path) -> None:
    from dredge_device import rtp
    from dredge_kernels.opus import OpusEncoder

    device, capture = agent(), tmp_path / "answers.pcap"
    packet = OpusEncoder().encode(np.zeros(320, np.int16))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        sender.settimeout(0.02)
        answers: list[bytes] = []
        numbers = itertools.count()

        def answered() -> bool:
            number = next(numbers)
            sender.sendto(rtp.build(number, 960 * number, 77, packet), ("127.0.0.1", device.port))
            with contextlib.suppress(TimeoutError):
                answers.append(sender.recv(9000))
            return len(answers) >= 2

        until(answered)
    port = free_port()
    tap = Tap(port + 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
        for answer in answers:
            again.sendto(answer, ("127.0.0.1", port + 1))
    tap.write(capture)
    rows = dissected(capture, port, "rtcp.pt", "rtcp.ssrc.identifier")
    assert [row for row in rows if row[0] or row[1] in ("8388608", "6291456")] == []
    assert {row[2] for row in rows} == {"201,202"} and all("0x0000004d" in row[3] for row in rows)
