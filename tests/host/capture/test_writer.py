# SPDX-License-Identifier: BSD-2-Clause
"""Captures that other programs open: tshark reads every field, ffmpeg plays the stream."""

import shutil
import socket
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from ports import free_port
from waiting import LONGEST_S

from dredge_device import control, rtp
from dredge_device.pi.input.sdp import build
from dredge_device.pi.output.files import OutputError
from dredge_host.capture.writer import Capture, TappedLink, ipv4_udp
from dredge_host.links.loop import loop_pair
from dredge_host.sending.sender import Sender

FAR = ("127.0.0.1", 5004)


def tone(packets: int) -> np.ndarray:
    t = np.arange(320 * packets) / 16000
    return np.rint(6000 * np.sin(2 * np.pi * 300 * t) * (1 + 0.3 * np.sin(2 * np.pi * 3 * t))).astype(np.int16)


def datagrams(count: int, redundancy_s: float = 1.0) -> list[bytes]:
    sender = Sender(redundancy_s=redundancy_s, first_sequence=65530)
    return [sender.push(piece).data for piece in tone(count).reshape(-1, 320)]


def write(path: Path, sent: list[bytes]) -> Path:
    ticks = iter(range(10**6))
    with Capture(path, FAR, clock=lambda: 1_700_000_000 + 0.02 * next(ticks)) as capture:
        for datagram in sent:
            capture.sent(datagram)
        capture.received(control.build(control.with_document(control.REPORT, 1, {})))
    return path


def sums_up(data: bytes) -> bool:
    """Whether its 16-bit words and the checksum in it add up to all ones (RFC 1071)."""
    words = struct.unpack(f">{len(data + b'x') // 2}H", data + b"\0" * (len(data) % 2))
    return sum(words) % 0xFFFF == 0


def test_headers_check_out() -> None:
    packet = ipv4_udp(b"odd", ("10.0.0.1", 40000), ("10.0.0.2", 5004), 7)
    assert sums_up(packet[:20])
    pseudo = packet[12:20] + struct.pack(">BBH", 0, 17, len(packet) - 20)
    assert sums_up(pseudo + packet[20:])
    assert packet[28:] == b"odd" and len(packet) == 31


def test_the_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    capture = Capture(path, FAR)
    capture.sent(b"\x80o" + bytes(20))
    assert not path.exists()
    capture.close()
    capture.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pcap", "a.sdp"]
    raw = path.read_bytes()
    assert struct.unpack_from("<IHH", raw) == (0xA1B2C3D4, 2, 4) and len(raw) == 24 + 16 + 28 + 22


def test_a_folder_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="does not exist"):
        Capture(tmp_path / "no" / "a.pcap", FAR)


def test_a_tapped_link_shows_both_directions(tmp_path: Path) -> None:
    near, far = loop_pair()
    with Capture(tmp_path / "a.pcap", ("pi", 5004)) as capture:
        link = TappedLink(near, capture)
        link.send(b"there")
        far.send(b"back")
        assert link.recv(1.0) == b"back" and link.recv() is None and far.recv() == b"there"
        assert capture.datagrams == 2


def tshark(path: Path, *fields: str, match: str = "rtp") -> list[list[str]]:
    if not shutil.which("tshark"):
        pytest.skip("needs tshark: apt-get install tshark")
    words = ["tshark", "-r", str(path), "-d", "udp.port==5004,rtp", "-o", "ip.check_checksum:TRUE"]
    words += ["-o", "udp.check_checksum:TRUE", "-Y", match, "-T", "fields"]
    for field in fields:
        words += ["-e", field]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_tshark_reads_every_packet(tmp_path: Path) -> None:
    sent = datagrams(20)
    path = write(tmp_path / "a.pcap", sent)
    rows = tshark(path, "rtp.seq", "rtp.timestamp", "rtp.p_type", "rtp.ssrc", "rtp.marker", "udp.checksum.status")
    parsed = [rtp.parse(datagram) for datagram in sent]
    assert [int(row[0]) for row in rows] == [p.sequence for p in parsed]
    assert [int(row[1]) for row in rows] == [p.timestamp for p in parsed]
    assert {(row[2], row[3], row[5]) for row in rows} == {("111", "0x44524447", "1")}
    assert [row[4] in ("1", "True") for row in rows] == [True] + [False] * 19
    reports = tshark(path, "rtcp.pt", "rtcp.app.name", match="rtcp")
    assert reports == [["204", "DRDG"]]


def test_ffmpeg_plays_the_stream_described_by_the_sdp(tmp_path: Path) -> None:
    """The packets sent again to ffmpeg, which knows nothing but the .sdp."""
    if not shutil.which("ffmpeg"):
        pytest.skip("needs ffmpeg: apt-get install ffmpeg")
    port = free_port()
    (tmp_path / "a.sdp").write_text(build("127.0.0.1", port, mux=True), encoding="ascii")
    out = tmp_path / "heard.wav"
    player = subprocess.Popen(
        ["ffmpeg", "-loglevel", "error", "-y", "-protocol_whitelist", "file,udp,rtp", "-i", str(tmp_path / "a.sdp"),
         "-t", "1.0", "-ac", "1", "-ar", "16000", str(out)],
        stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    packets = datagrams(100)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        until = time.monotonic() + LONGEST_S
        round_ = 0
        while player.poll() is None and time.monotonic() < until:
            for n, datagram in enumerate(packets):
                p = rtp.parse(datagram)
                again = rtp.build(p.sequence + 100 * round_, p.timestamp + 96000 * round_, p.ssrc, p.payload)
                sender.sendto(again, ("127.0.0.1", port))
                time.sleep(0.02)
                if player.poll() is not None or n < 0:
                    break
            round_ += 1
    error = player.communicate(timeout=60)[1].decode()
    assert player.returncode == 0, error
    import soundfile

    pcm, rate = soundfile.read(out, dtype="int16")
    assert rate == 16000 and len(pcm) >= 15000
    spectrum = np.abs(np.fft.rfft(pcm[4000:12000].astype(float)))
    assert int(np.argmax(spectrum)) * 2 == pytest.approx(300, abs=10)
