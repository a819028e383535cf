# SPDX-License-Identifier: BSD-2-Clause
"""--vocoder and --dred-version: imported models in the whole pipeline, and the sentences when they are not there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from blob_cases import made_up_fargan, write_model
from click.testing import CliRunner, Result
from speech_packets import CLIP

from dredge_host.cli import main
from dredge_host.errors import UsageError
from dredge_host.links.loop_device import LoopDevice
from dredge_host.live.session import Session
from dredge_host.live.stream import stream
from dredge_host.offline.simulate import simulate
from dredge_host.sending.loss import parse_loss
from dredge_host.sending.sender import Sender
from dredge_host.settings import Settings
from dredge_kernels.extensions import read_extensions
from dredge_models import modelset
from dredge_models.libopus.importer import import_fargan, import_rdovae, read_sources
from dredge_models.registry import ModelError


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root, files = tmp_path_factory.mktemp("models"), tmp_path_factory.mktemp("files")
    import_rdovae(read_sources(write_model(files)), root)
    (files / "fargan.bin").write_bytes(made_up_fargan().blob())
    import_fargan(read_sources([files / "fargan.bin"]), root)
    return root


@pytest.fixture
def imported(everything: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(modelset, "user_folder", lambda: everything)
    return everything


def pcm(seconds: float = 1.5) -> np.ndarray:
    t = np.arange(int(16000 * seconds))
    return (6000 * np.sin(t * 0.05) * (1 + np.sin(t * 0.0005))).astype(np.int16)


def run(*words: str) -> Result:
    return CliRunner().invoke(main.cli, list(words))


def test_the_sender_makes_the_version_that_was_asked_for(imported: Path) -> None:
    for version in (10, 0xD1):
        sender = Sender(dred_version=version, redundancy_s=0.2)
        packets = [sender.push(pcm()[320 * i : 320 * (i + 1)]).data[12:] for i in range(5)]
        assert [e.data[1] for p in packets for e in read_extensions(p)] == [version] * 5


def test_all_combinations_recover_a_gap(imported: Path) -> None:
    heard = {}
    for version in (0xD1, 10):
        for vocoder in ("standard", "small", "fargan"):
            settings = Settings(playout_ms=400, vocoder=vocoder, dred_version=version)
            result = simulate(pcm(), settings, loss=parse_loss("burst:ms=120,every=700ms", 1))
            assert result.result["frames"]["dred"] >= 6, (version, vocoder, result.result["frames"])
            assert result.result["settings"]["vocoder"] == vocoder
            heard[version, vocoder] = result.pcm
    signals = list(heard.values())
    assert all(not np.array_equal(a, b) for i, a in enumerate(signals) for b in signals[:i])


def test_lpcnet_is_another_name_for_the_standard_vocoder() -> None:
    heard = [simulate(pcm(), Settings(playout_ms=400, vocoder=name), loss=parse_loss("burst:ms=120,every=700ms", 1))
             for name in ("lpcnet", "standard")]  # fmt: skip
    np.testing.assert_array_equal(heard[0].pcm, heard[1].pcm)


def test_a_device_takes_the_vocoder_from_its_host(imported: Path) -> None:
    asked = []

    def factory(options):
        from dredge_device.pi.receiver import Receiver

        asked.append(options["vocoder"])
        return Receiver(options["playout_ms"], options["conceal"], options["lbrr"], vocoder=options["vocoder"])

    settings = Settings(playout_ms=100, vocoder="fargan")
    with LoopDevice(factory) as link:
        pieces = iter(pcm(0.4).reshape(-1, 320))
        outcome = stream(pieces, Session(link), settings, parse_loss("none", 1))
    assert "fargan" in asked and outcome.report is not None


def test_without_an_import_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(ModelError, match="no model for DRED version 10 here"):
        Sender(dred_version=10)
    for words, sentence in (
        (["--dred-version", "10"], "no model for DRED version 10 here: bring libopus' own"),
        (["--vocoder", "fargan"], "no FARGAN vocoder here"),
    ):
        result = run("simulate", str(CLIP), str(tmp_path / "o.wav"), *words)
        assert result.exit_code == 5 and sentence in result.output and result.output.count("\n") == 1


def test_the_command_knows_both(imported: Path, tmp_path: Path) -> None:
    words = ["--loss", "10%", "--vocoder", "fargan", "--dred-version", "10", "--json"]
    result = run("simulate", str(CLIP), str(tmp_path / "o.wav"), *words)
    assert result.exit_code == 0, result.output
    settings = json.loads(result.stdout)["settings"]
    assert (settings["vocoder"], settings["dred_version"]) == ("fargan", 10)
    for option in (["--vocoder", "x"], ["--dred-version", "13"]):
        assert run("simulate", str(CLIP), str(tmp_path / "o.wav"), *option).exit_code == 2
    assert run("agent", "--vocoder", "x").exit_code == 2


@pytest.mark.parametrize(("name", "value"), [("vocoder", "wavenet"), ("dred_version", 13)])
def test_impossible_settings(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=str(value)):
        Settings(**{name: value})


def test_bench_times_an_imported_vocoder_beside_ours(imported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from speech_packets import speech

    from dredge_host.bench.stages import stages

    with_it = [stage for stage in stages(speech()) if stage.name.startswith("fargan")]
    assert [stage.name for stage in with_it] == ["fargan prime", "fargan"]
    for stage in with_it:
        stage.call()
    monkeypatch.setattr(modelset, "user_folder", lambda: imported / "nowhere")
    assert not [stage for stage in stages(speech()) if stage.name.startswith("fargan")]
