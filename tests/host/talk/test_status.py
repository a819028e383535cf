# SPDX-License-Identifier: BSD-2-Clause
"""The status of a talk: one end is asked by HTTP while both talk."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import numpy as np
import pytest
from ports import free_port
from talk_ends import ends, plain
from waiting import until

from dredge_host.errors import UsageError
from dredge_host.talk.options import TalkOptions
from dredge_host.talk.talk import Talk


def test_a_talk_s_status_has_what_is_heard_and_what_is_said() -> None:
    ports = free_port(), free_port()
    listens = [f"udp://127.0.0.1:{port}" for port in ports]
    waits = TalkOptions(None, listens[0], settings=plain(), status="http://127.0.0.1:0")
    calls = TalkOptions(listens[0], listens[1], settings=plain(loss="20%"))
    tone = np.rint(6000 * np.sin(np.arange(16000) / 8)).astype(np.int16)
    with ends(waits, calls, speech=tone) as (there, here):
        url = there.talk.status_url
        assert url is not None and there.talk.notes() == [f"status at {url}"]

        def document() -> dict[str, Any]:
            with urllib.request.urlopen(url, timeout=60) as answer:
                found: dict[str, Any] = json.loads(answer.read())
                return found

        until(lambda: any(session["report"] for session in document()["sessions"]))
        until(lambda: (document()["summary"]["loss_pct"] or 0) > 0)
        found = document()
        assert found["role"] == "talk" and found["healthy"] and found["summary"]["state"] == "playing"
        assert found["talk"]["state"] in ("talking", "calling") and "sent" in found["talk"]
        with urllib.request.urlopen(url + "/metrics", timeout=60) as answer:
            assert b"\ndredge_stream_packets_lost_total{peer=" in answer.read()
        here.finish()
        until(lambda: document()["last"] is not None)


def test_a_status_for_everybody_has_to_be_meant() -> None:
    with pytest.raises(UsageError, match="add --allow-remote"):
        Talk(TalkOptions(None, "udp://127.0.0.1:0", "null", "null", settings=plain(), status="http://0.0.0.0:0"))
