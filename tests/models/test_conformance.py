# SPDX-License-Identifier: BSD-2-Clause
"""Our receiver against libopus' own decoder by the limits of libopus' conformance test: same packets, same losses.

The decodes of libopus 1.5.2 come with the vectors (DREDGE_VECTORS). Those of every other stream are made by an
opus_demo of the version that the stream needs, looked for in every folder of PATH. Run with -s for the figures.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dredge_host.capture.packets import Capture
from dredge_host.capture.reader import read_capture
from dredge_host.inspection.comparison import Comparison, compare, read_speech
from dredge_host.inspection.limits import LIMITS
from dredge_host.offline.player import Simulation
from dredge_host.offline.replay import replay
from dredge_host.sending.loss import parse_loss
from dredge_host.settings import Settings
from dredge_models import modelset
from dredge_models.libopus.importer import import_fargan, import_rdovae, read_sources

ROOTS = {"1.5": os.environ.get("DREDGE_VECTORS", ""), "1.6": os.environ.get("DREDGE_VECTORS16", "")}
pytestmark = [
    pytest.mark.vectors,
    pytest.mark.skipif(not all(ROOTS.values()), reason="needs vectors: set DREDGE_VECTORS and DREDGE_VECTORS16"),
]
STREAMS = [
    ("1.5", "v4_A24k20"), ("1.5", "v4_B44k30"), ("1.5", "v1_C60ms"), ("1.5", "v1_G_lbrr48"),
    ("1.6", "t1_A24k20"), ("1.6", "t1_B44k30"), ("1.6", "t1_C60ms"), ("1.6", "t1_D_cbr40"), ("1.6", "t1_E_48k_st"),
    ("1.6", "t1_F_dtx"), ("1.6", "t1_G_lbrr48"), ("1.6", "t1_H_40ms"), ("1.6", "t1_I_120ms"),
]  # fmt: skip
# Bursts of 100 to 120 ms on average, within what the streams' redundancy reaches.
LOSSES = {"C60ms": "gilbert:rate=16%,burst=2", "H_40ms": "gilbert:rate=16%,burst=2.5", "I_120ms": "10%"}
USUAL = "gilbert:rate=16%,burst=5"


@pytest.fixture(scope="module", autouse=True)
def imported(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The models of both versions, and FARGAN."""
    root = tmp_path_factory.mktemp("models")
    weights = Path(ROOTS["1.5"]) / "weights", Path(ROOTS["1.6"]) / "weights"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modelset, "user_folder", lambda: root)
        names = ("rdovae_enc.bin", "rdovae_dec.bin", "rdovae_stats_and_tables.npz")
        import_rdovae(read_sources([weights[0] / name for name in names]), root)
        import_fargan(read_sources([weights[0] / "fargan.bin"]), root)
        names = ("rdovae_enc16.bin", "rdovae_dec16.bin", "rdovae_stats_and_tables.npz")
        import_rdovae(read_sources([weights[1] / name for name in names]), root)
        yield


@cache
def opus_demo(version: str) -> str | None:
    """An opus_demo of this version with DRED."""
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        path = Path(folder) / "opus_demo"
        if path.is_file() and os.access(path, os.X_OK):
            said = subprocess.run([path], capture_output=True, text=True, check=False)
            text = said.stdout + said.stderr
            banner = subprocess.run([path, "-d", "16000", "1", os.devnull, os.devnull], capture_output=True, text=True)
            if "-dred" in text and f"libopus {version}." in text + banner.stdout + banner.stderr:
                return str(path)
    return None


def told(name: str, found: Comparison, run: Simulation) -> Comparison:
    frames = {source: count for source, count in run.result["frames"].items() if count}
    print(f"\n| {name} | {found.err4:.3f} | {found.err16:.3f} | {found.pitch:.3f} | {frames} |", end="")
    return found


def heard(capture: Capture, trace: Path, vocoder: str) -> Simulation:
    return replay(capture, Settings(loss=f"trace:{trace}", vocoder=vocoder, lbrr=True))


@pytest.mark.parametrize("vocoder", ["lpcnet", "fargan"])
def test_losses_that_redundancy_reaches(vocoder: str) -> None:
    """44 kb/s, one second of redundancy, bursts of up to 1.2 s, as they come with the vectors."""
    case = Path(ROOTS["1.5"]) / "v4_B44k30"
    run = heard(read_capture(case / "packets.bit"), case / "loss.txt", vocoder)
    reference = read_speech(case / "pcm_dred.s16")
    found = told(f"B44k30, {vocoder}", compare(reference, run.pcm), run)
    assert LIMITS["decoder"].exceeded(asdict(found)) == []


def test_concealment_alone_does_not_pass() -> None:
    case = Path(ROOTS["1.5"]) / "v4_B44k30"
    run = replay(read_capture(case / "packets.bit"), Settings(loss=f"trace:{case / 'loss.txt'}", conceal="plc"))
    found = told("B44k30, concealed", compare(read_speech(case / "pcm_dred.s16"), run.pcm), run)
    assert found.err4 > LIMITS["decoder"].err4


@pytest.mark.parametrize("vocoder", ["lpcnet", "fargan"])
def test_what_no_packet_describes_is_left_to_the_decoder(vocoder: str) -> None:
    """24 kb/s: 135 ms of redundancy, so that most of a burst of up to 1.2 s has to be invented, by each in its own way.

    Both are silenced there; the rest is compared.
    """
    case = Path(ROOTS["1.5"]) / "v4_A24k20"
    run = heard(read_capture(case / "packets.bit"), case / "loss.txt", vocoder)
    reference = read_speech(case / "pcm_dred.s16")
    whole = told(f"A24k20, {vocoder}", compare(reference, run.pcm), run)
    assert whole.err4 <= LIMITS["decoder"].err4 and whole.err16 <= LIMITS["decoder"].err16
    output = run.pcm[: len(reference)].copy()
    for number, source, *_ in run.timeline:
        if source == "plc":
            for pcm in (reference, output):
                pcm[320 * number : 320 * (number + 1)] = 0
    found = told(f"A24k20 as described, {vocoder}", compare(reference, output), run)
    assert LIMITS["decoder"].exceeded(asdict(found)) == []


@pytest.mark.slow
@pytest.mark.parametrize("vocoder", ["lpcnet", "fargan"])
@pytest.mark.parametrize(("version", "stream"), STREAMS)
def test_every_stream_under_loss(version: str, stream: str, vocoder: str, tmp_path: Path) -> None:
    program = opus_demo(version)
    if program is None:
        pytest.skip(f"needs opus_demo of libopus {version} with DRED: on the path")
    packets = Path(ROOTS[version]) / stream / "packets.bit"
    capture = read_capture(packets)
    model = parse_loss(LOSSES.get(stream.split("_", 1)[1], USUAL), 3)
    lost = [model.lost() for _ in capture.packets]
    lost[0], lost[-3:] = False, [False] * 3             # opus_demo plays a loss when a packet comes after it
    trace, reference = tmp_path / "lost.txt", tmp_path / "reference.s16"
    trace.write_text("".join(f"{int(gone)}\n" for gone in lost), encoding="ascii")
    words = [program, "-d", "16000", "1", "-dec_complexity", "5", "-lossfile", trace, packets, reference]
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    run = heard(capture, trace, vocoder)
    speech = read_speech(reference)
    found = told(f"{version} {stream}, {vocoder}", compare(speech[: len(run.pcm)], run.pcm), run)
    assert LIMITS["decoder"].exceeded(asdict(found)) == []
    assert np.any(lost)
