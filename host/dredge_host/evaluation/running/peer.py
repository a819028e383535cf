# SPDX-License-Identifier: BSD-2-Clause
"""libopus with DRED as a method: the user's opus_demo (libopus 1.5) codes and recovers the same clips and losses."""

from __future__ import annotations

import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dredge_device.units import PACKET_SAMPLES, PACKET_SECONDS, SAMPLE_RATE
from dredge_host.capture import opus_demo
from dredge_host.errors import CapabilityError, UsageError
from dredge_host.evaluation.judging.registry import Measurement
from dredge_host.evaluation.material.traces import AFTER_THE_END, Trace
from dredge_host.offline.documents import RunResult
from dredge_host.offline.player import Simulation
from dredge_host.sending.loss_statistics import measure_loss
from dredge_host.sending.sender import HEADER_BYTES
from dredge_kernels.arrays import Pcm
from dredge_kernels.extensions import add_extension, read_extensions
from dredge_models.dred import DRED_EXTENSION_ID

LOOKAHEAD = 104  # samples by which its output is late
HISTORY_BPS = 20_000  # on top of the speech, in the stream that lends its history
LBRR_FACTOR = 1.7
EXPECTED_LOSS = "30"
TIMEOUT_S = 300

# LBRR, history, complexity of the decoder (5: deep concealment and DRED)
CONDITIONS = {
    "peer_opus": (False, False, 0),
    "peer_plc": (False, False, 5),
    "peer_lbrr": (True, False, 0),
    "peer_dred": (False, True, 5),
    "peer_dred_lbrr": (True, True, 5),
}


class Peer:
    """An opus_demo. Raises UsageError for a path that is not a program."""

    def __init__(self, program: str | Path) -> None:
        self.program = Path(program).resolve()
        if not self.program.is_file():
            raise UsageError(f"{program}: there is no such program; expected the opus_demo of a libopus with DRED")

    def send(self, pcm: Pcm, method: str, trace: Trace | None, bitrate: int) -> tuple[Simulation, Measurement]:
        """Return the output for int16[n] at 16 kHz, aligned with it, and a cell as `running.cell.send` gives it.

        Raises CapabilityError when the program fails, or its libopus has no DRED.
        """
        lbrr, history, effort = CONDITIONS[method]
        count = -(-(len(pcm) + LOOKAHEAD) // PACKET_SAMPLES) + AFTER_THE_END
        lost = [*(trace.lost if trace else ())][:count]
        lost += [False] * (count - len(lost))
        lost[-AFTER_THE_END:] = [False] * AFTER_THE_END
        with tempfile.TemporaryDirectory(prefix="dredge-peer-") as folder:
            place = Path(folder)
            (place / "in.pcm").write_bytes(np.pad(pcm, (0, count * PACKET_SAMPLES - len(pcm))).astype("<i2").tobytes())
            rate = round(bitrate * LBRR_FACTOR) if lbrr else bitrate
            plain = self._encode(place, rate, ["-inbandfec"] if lbrr else [])
            sent = plain
            if history:
                lender = self._encode(place, bitrate + HISTORY_BPS, ["-dred", "100"])
                sent = [_with_history(a, b) for a, b in zip(plain, lender, strict=True)]
                if sent == plain:
                    raise CapabilityError(f"{self.program}: its libopus sends no DRED; build it with --enable-dred")
            heard = self._decode(place, sent, lost, effort)
        return _simulation(heard[LOOKAHEAD : LOOKAHEAD + len(pcm)], lost), _cell(plain, sent, lost)

    def _encode(self, place: Path, rate: int, more: Sequence[str]) -> list[bytes]:
        self._run("-e", "voip", str(SAMPLE_RATE), "1", str(rate), "-loss", EXPECTED_LOSS, *more, str(place / "in.pcm"),
                  str(place / "out.bit"))  # fmt: skip
        return [packet.data for packet in opus_demo.read((place / "out.bit").read_bytes()).packets]

    def _decode(self, place: Path, packets: Sequence[bytes], lost: Sequence[bool], effort: int) -> Pcm:
        (place / "in.bit").write_bytes(opus_demo.write([(packet, 0) for packet in packets]))
        (place / "lost.txt").write_text("".join(f"{int(gone)}\n" for gone in lost), encoding="ascii")
        self._run("-d", str(SAMPLE_RATE), "1", "-dec_complexity", str(effort), "-lossfile", str(place / "lost.txt"),
                  str(place / "in.bit"), str(place / "out.pcm"))  # fmt: skip
        heard = np.frombuffer((place / "out.pcm").read_bytes(), "<i2").astype(np.int16)
        return np.pad(heard, (0, max(0, len(packets) * PACKET_SAMPLES - len(heard))))

    def _run(self, *arguments: str) -> None:
        command = [str(self.program), *arguments]
        try:
            done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CapabilityError(f"{self.program} does not run ({error})") from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise CapabilityError(f"{self.program} {arguments[0]} failed: {said[-1] if said else done.returncode}")


def _with_history(packet: bytes, lender: bytes) -> bytes:
    """Return the packet with the DRED extension of another one in its padding; unchanged where that has none."""
    for extension in read_extensions(lender):
        if extension.id == DRED_EXTENSION_ID:
            return bytes(add_extension(packet, DRED_EXTENSION_ID, extension.data))
    return packet


def _simulation(pcm: Pcm, lost: Sequence[bool]) -> Simulation:
    timeline = [(number, "plc" if gone else "opus", 0, 0.0) for number, gone in enumerate(lost)]
    result: RunResult = {
        "packets": len(lost),
        "loss": measure_loss(lost).as_dict(),
        "alignment": {"opus_lookahead_samples": LOOKAHEAD, "offset_samples": 0},
    }
    return Simulation(pcm, result, list(lost), timeline)


def _cell(plain: Sequence[bytes], sent: Sequence[bytes], lost: Sequence[bool]) -> Measurement:
    seconds = len(sent) * PACKET_SECONDS
    speech, whole = (8 * sum(map(len, packets)) / seconds for packets in (plain, sent))
    rates = {"speech": speech, "dred": whole - speech, "headers": 8 * HEADER_BYTES / PACKET_SECONDS}
    loss = measure_loss(lost)
    return {
        "loss_pct": 100.0 * loss.rate,
        "longest_burst_ms": loss.longest_burst * 20,
        "bitrate_total_bps": round(sum(rates.values()), 1),
        "bitrate_bps": {part: round(value, 1) for part, value in rates.items()},
        "cpu_us_per_packet": {},
        "frames": dict(Counter("plc" if gone else "opus" for gone in lost)),
    }
