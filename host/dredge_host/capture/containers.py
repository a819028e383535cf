# SPDX-License-Identifier: BSD-2-Clause
"""Opus packets of Matroska, WebM and MP4 files, as browsers and conferences record them, read by PyAV."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from dredge_device.units import RTP_CLOCK_HZ
from dredge_host.capture.ogg import check_head
from dredge_host.capture.packets import ANY, Capture, Captured, Choice
from dredge_host.capture.rtp_stream import duration
from dredge_host.errors import need

MATROSKA, MP4 = "matroska", "mp4"
NAMES = {MATROSKA: "Matroska", MP4: "MP4"}
_COARSE = 96          # ticks: Matroska's times are rounded to a millisecond, so that smaller differences mean nothing
_GRID = 120           # ticks of 2.5 ms, the shortest packet


def kind_of(head: bytes) -> str | None:
    """Return the format, one of the two, of a file that begins like this; None for any other."""
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return MATROSKA
    return MP4 if head[4:8] == b"ftyp" else None


def read(data: bytes, choice: Choice = ANY) -> Capture:
    """Return the packets of the first, or the chosen, Opus stream of a file.

    Their times are kept, so that a pause keeps its length; such files do not record whether packets were lost in
    it. Raises ValueError for a file without Opus or a damaged one, CapabilityError without PyAV.
    """
    av = need("av", "reading WebM, Matroska and MP4", "containers")
    kind = kind_of(data[:16]) or MATROSKA
    if choice.ssrc is not None:
        choice.refuse(f"a {NAMES[kind]} file")
    capture = Capture(NAMES[kind])
    try:
        with av.open(io.BytesIO(data), format=kind) as container:
            stream = _chosen(container.streams.audio, choice, capture)
            _take(capture, _packets(container, stream, capture, av))
    except av.FFmpegError as error:
        raise ValueError(f"a damaged {NAMES[kind]} file ({error.strerror or error})") from None
    return capture


def _chosen(streams: Any, choice: Choice, capture: Capture) -> Any:
    """Return the stream to read; the others are named in the notes."""
    opus = [stream for stream in streams if stream.codec_context.name in ("opus", "libopus")]
    if not opus:
        found = ", ".join(dict.fromkeys(stream.codec_context.name for stream in streams)) or "none"
        raise ValueError(f"a {capture.format} file without an Opus stream (its audio: {found})")
    number = choice.stream or 1
    if number > len(opus):
        raise ValueError(f"there is no stream {number} (there are {len(opus)} of Opus)")
    capture.notes += [
        f"left out: stream {other} of Opus; see --stream" for other in range(1, len(opus) + 1) if other != number
    ]
    check_head(bytes(opus[number - 1].codec_context.extradata or b""))
    return opus[number - 1]


def _packets(container: Any, stream: Any, capture: Capture, av: Any) -> Iterator[tuple[bytes, int | None]]:
    """Yield every packet with its time in ticks of 48 kHz, None where the file has none."""
    try:
        for packet in container.demux(stream):
            if packet.size:
                stamp = None if packet.pts is None else round(packet.pts * Fraction(packet.time_base) * RTP_CLOCK_HZ)
                yield bytes(packet), stamp
    except av.FFmpegError as error:
        capture.notes.append(f"the file is damaged or cut short ({error.strerror or error}); read is what comes before")


def _take(capture: Capture, packets: Iterator[tuple[bytes, int | None]]) -> None:
    """Append packets with timestamps from 0 on: each follows the one before, unless its time shows a
    pause.
    """
    first: int | None = None
    due = pauses = paused = 0
    for data, stamp in packets:
        if stamp is not None:
            first = stamp if first is None else first
            ahead = stamp - first - due
            if ahead > _COARSE:
                ahead = round(ahead / _GRID) * _GRID
                pauses, paused, due = pauses + 1, paused + ahead, due + ahead
        capture.packets.append(Captured(data, None, None, due))
        due += duration(data)
    if pauses:
        seconds = paused / RTP_CLOCK_HZ
        capture.notes.append(f"{pauses} pauses, {seconds:g} s in all: nothing was sent there, or it was lost")
