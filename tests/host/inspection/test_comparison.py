# SPDX-License-Identifier: BSD-2-Clause
"""`dredge inspect --compare`: the figures are those of libopus' dred_compare, and wrong speech does not pass."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from dredge_host.cli import main
from dredge_host.errors import InputError
from dredge_host.inspection.comparison import compare, read_speech
from dredge_host.inspection.limits import LIMITS
from dredge_host.sending.audio import bundled_clip, read_audio, write_audio

VECTORS = os.environ.get("DREDGE_VECTORS", "")


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """6 s of speech."""
    with bundled_clip() as path:
        return read_audio(path).pcm[: 16000 * 6]


def later(pcm: np.ndarray, samples: int) -> np.ndarray:
    return np.concatenate([np.zeros(samples, np.int16), pcm])


def passes(reference: np.ndarray, output: np.ndarray, limits: str = "decoder") -> bool:
    return not LIMITS[limits].exceeded(asdict(compare(reference, output)))


def test_figures_are_those_of_libopus_own_program(clip: np.ndarray) -> None:
    """Measured with the dred_compare of libopus 1.6.1, which prints six digits."""
    cases = {
        "80 late": (later(clip, 80), 0.290176, 0.779534, 0.053766),
        "160 late": (later(clip, 160), 0.561472, 1.493197, 0.119077),
        "320 late": (later(clip, 320), 1.037931, 2.638795, 0.285684),
        "half as loud": (clip // 2, 1.068402, 1.722502, 0.000406),
    }
    for name, (output, *wanted) in cases.items():
        found = compare(clip, output)
        assert (found.err4, found.err16, found.pitch) == pytest.approx(wanted, rel=1e-5, abs=2e-6), name
        assert found.frames == 597 and found.voiced == 351


@pytest.mark.vectors
@pytest.mark.skipif(not VECTORS, reason="needs vectors: set DREDGE_VECTORS")
@pytest.mark.parametrize(
    ("reference", "output", "figures"),
    [
        ("v4_B44k30/pcm_clean", "v4_B44k30/pcm_dred", (0.818169, 2.595094, 0.136316)),
        ("v4_B44k30/pcm_dred", "v4_B44k30/pcm_plc", (1.367301, 3.646038, 0.151659)),
        ("v4_B44k30/pcm_clean", "v4_A24k20/pcm_dred", (1.389501, 3.443120, 0.161399)),
    ],
)
def test_figures_of_libopus_own_decodes(reference: str, output: str, figures: tuple[float, float, float]) -> None:
    found = compare(*(read_speech(Path(VECTORS) / f"{name}.s16") for name in (reference, output)))
    assert (found.err4, found.err16, found.pitch) == pytest.approx(figures, rel=1e-4)


def test_the_same_speech_passes_and_so_does_rounding(clip: np.ndarray) -> None:
    same = {"err4": 0, "err16": 0, "pitch": 0, "frames": 597, "voiced": 351}
    assert asdict(compare(clip, clip)) == pytest.approx(same)
    noise = np.random.default_rng(1).integers(-1, 2, len(clip))
    assert passes(clip, np.clip(clip + noise, -32768, 32767).astype(np.int16), "vocoder")


@pytest.mark.parametrize("limits", LIMITS)
def test_wrong_speech_does_not_pass(clip: np.ndarray, limits: str) -> None:
    loud = np.clip(clip * 4.0, -32768, 32767).astype(np.int16)
    noise = np.random.default_rng(2).normal(0, clip.std(), len(clip)).astype(np.int16)
    holes = clip.copy().reshape(-1, 3200)
    holes[1::4] = 0
    silence = np.zeros_like(clip)
    for wrong in (clip[::-1].copy(), loud, noise, silence, later(clip, 320), later(clip, 1600), holes.ravel()):
        assert not passes(clip, wrong, limits)


def test_a_vocoder_may_differ_less_than_a_decoder(clip: np.ndarray) -> None:
    for changed in (later(clip, 160), np.clip(clip * 1.41, -32768, 32767).astype(np.int16)):
        assert passes(clip, changed) and not passes(clip, changed, "vocoder")


def test_one_bad_stretch_shows_in_err16(clip: np.ndarray) -> None:
    spoilt = clip.copy()
    spoilt[32000:32640] = 8000
    found = compare(clip, spoilt)
    assert found.err16 > 3 > 1 > found.err4


def test_without_a_voiced_frame_there_is_no_pitch_error() -> None:
    noise = np.random.default_rng(3).normal(0, 1000, 16000).astype(np.int16)
    found = compare(noise, noise // 2)
    assert (found.voiced, found.pitch) == (0, 0.0)


def test_what_cannot_be_compared_is_refused(clip: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"0\.03 s, expected 0\.04 to 600 s"):
        compare(clip[:480], clip)
    with pytest.raises(InputError, match=r"95999 samples, the reference 96000"):
        compare(clip, clip[:-1])
    with pytest.raises(InputError, match=r"expected 0\.04 to 600 s"):
        compare(np.zeros(16000 * 601, np.int16), clip)


def dredge(*words: str) -> Result:
    return CliRunner().invoke(main.cli, ["inspect", *words])


def test_command(clip: np.ndarray, tmp_path: Path) -> None:
    reference, output = tmp_path / "reference.s16", tmp_path / "output.wav"
    reference.write_bytes(clip.astype("<i2").tobytes())
    write_audio(output, later(clip, 320))
    failed = dredge("--compare", str(reference), str(output))
    assert failed.exit_code == 1 and "fail: err4 is 1.038, expected at most 1; pitch is 0.286" in failed.output
    aligned = dredge("--compare", str(reference), str(output), "--skip", "320", "--limits", "vocoder", "--json")
    result = json.loads(aligned.output)
    assert aligned.exit_code == 0
    assert (result["schema"], result["pass"], result["err4"]) == ("dredge.compare/1", True, 0)
    assert result["limits"] == {"name": "vocoder", "err4": 0.25, "err16": 1.0, "pitch": 0.15}
    early = dredge("--compare", str(output), str(reference), "--skip", "-320")
    assert early.exit_code == 0 and "pass" in early.output


def test_command_refuses_what_it_cannot_compare(clip: np.ndarray, tmp_path: Path) -> None:
    wav = tmp_path / "x.wav"
    write_audio(wav, clip, 48000)
    for words, text in (
        (["--compare", str(wav), str(wav)], "48000 Hz with 1 channels, expected 16000 Hz mono"),
        (["--compare", str(tmp_path / "none.s16"), str(wav)], "No such file"),
        (["--compare", str(wav), str(wav), "--symbols"], "--compare takes decoded speech"),
        ([str(wav), "--skip", "3"], "belong to --compare"),
    ):
        refused = dredge(*words)
        assert refused.exit_code == 2 and text in refused.output
