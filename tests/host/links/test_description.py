# SPDX-License-Identifier: BSD-2-Clause
"""What session descriptions say of deep redundancy (draft-ietf-mlcodec-opus-dred), and who writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from dredge_device.pi.input import sdp
from dredge_device.pi.input.payloads import PayloadTypes
from dredge_device.pi.service import building
from dredge_device.pi.service.options import Options
from dredge_host.cli.main import cli
from dredge_host.sending.audio import write_audio
from dredge_models import modelset


@pytest.mark.parametrize(
    ("lines", "sent", "usable"),
    [
        ("a=fmtp:111 sprop-ext32-dred-duration=800;ext32-dred-duration=400\na=rtpmap:111 opus/48000/2\n", 800, 400),
        ("a=rtpmap:111 opus/48000/2\na=fmtp:111 minptime=10; Ext32-DRED-Duration = 0\n", None, 0),
        ("a=rtpmap:111 opus/48000/2\na=fmtp:63 sprop-ext32-dred-duration=800\n", None, None),
        ("a=rtpmap:111 opus/48000/2\na=fmtp:111 sprop-ext32-dred-duration=soon\n", None, None),
        ("a=rtpmap:111 opus/48000/2\na=fmtp:111 sprop-ext32-dred-duration=999999999999\n", None, None),
        ("a=rtpmap:111 opus/48000/2\na=fmtp:111 sprop-ext32-dred-duration=-1\na=fmtp:x y=1\n", None, None),
    ],
)
def test_durations_of_the_draft(lines: str, sent: int | None, usable: int | None) -> None:
    found = sdp.parse(f"v=0\nm=audio 9 RTP/AVP 111\n{lines}")
    assert (found.history_ms, found.usable_ms) == (sent, usable)


def test_an_agent_says_what_keeps_it_from_using_the_redundancy(monkeypatch: pytest.MonkeyPatch) -> None:
    agreed = sdp.parse(sdp.build("127.0.0.1", 5004, history_ms=1000))
    monkeypatch.setattr(modelset, "versions", lambda: {209})
    model, reach = building.history_notes(Options(playout_ms=200), agreed)
    assert "no model here: see `dredge models import`" in model and "--playout fixed:1000 uses all" in reach
    monkeypatch.setattr(modelset, "versions", lambda: {209, 12})
    assert building.history_notes(Options(playout_ms=1000), agreed) == []
    assert building.history_notes(Options(playout_ms=200, conceal="plc"), agreed) == []
    assert building.history_notes(Options(playout_ms=200), sdp.parse(sdp.build("127.0.0.1", 5004))) == []


@pytest.mark.parametrize("verb", ["stream", "talk"])
def test_every_sender_over_udp_writes_a_description(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, key, silence = tmp_path / "out.sdp", tmp_path / "key", tmp_path / "in.wav"
    key.write_text("ab" * 32)
    write_audio(silence, np.zeros(3200, np.int16))
    to = [str(silence), "--to"] if verb == "stream" else []
    more = [] if verb == "stream" else ["--mic", str(silence), "--speaker", "null", "--seconds", "0.1"]

    def run(url: str, *words: str) -> Result:
        return CliRunner().invoke(cli, [verb, *to, url, *more, "--sdp", str(path), *words])

    run(f"udp://127.0.0.1:{9}", "--redundancy", "0.5")      # nobody is there; the file is
    assert sdp.parse(path.read_text()) == sdp.Description(PayloadTypes(frozenset([111])))
    assert path.stat().st_mode & 0o777 == 0o600
    run("udp://127.0.0.1:9", "--redundancy", "0.5", "--dred-id", "32", "--dred-version", "12")
    assert sdp.parse(path.read_text()).history_ms == 500
    path.unlink()
    for url, words, why in (
        ("udp://127.0.0.1:9", ["--key-file", str(key)], "keys are made when it begins"),
        ("serial:///dev/null?baud=9600", [], "--sdp describes RTP over UDP"),
    ):
        refused = run(url, *words)
        assert refused.exit_code == 2 and why in refused.output and not path.exists()
