# SPDX-License-Identifier: BSD-2-Clause
"""The offline pipeline: alignment, accounting and determinism, with stand-ins for the codecs."""

import sys
import types

import numpy as np
import pytest
from host_fakes import PcmEncoder, PcmReceiver
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_host.errors import InputError
from dredge_host.offline.player import Simulation
from dredge_host.offline.simulate import simulate
from dredge_host.sending.loss import parse_loss
from dredge_host.sending.sender import Sender
from dredge_host.settings import Settings
from dredge_host.timing import percentiles


def run(pcm: np.ndarray, loss: str = "none", lookahead: int = 104, **options) -> Simulation:
    sender = Sender(redundancy_s=0, encoder=PcmEncoder(lookahead))
    chosen = Settings(loss=loss, **options)
    return simulate(pcm, chosen, sender=sender, receiver_factory=PcmReceiver)


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(-9000, 9000, count).astype(np.int16)


@given(st.integers(1, 3000), st.integers(0, 320), st.sampled_from([0, 20, 100, 1000]))
@settings(max_examples=60, deadline=None)
def test_output_sample_i_is_input_sample_i(length: int, lookahead: int, playout: int) -> None:
    pcm = noise(length)
    result = run(pcm, lookahead=lookahead, playout_ms=playout)
    np.testing.assert_array_equal(result.pcm, pcm)
    assert result.result["frames"]["opus"] == result.result["packets"]


def test_lost_packets_are_counted_and_sit_where_they_were_lost() -> None:
    pcm = noise(32000)
    result = run(pcm, "gilbert:rate=20%,burst=5", seed=3)
    frames, loss = result.result["frames"], result.result["loss"]
    assert 5 < loss["lost_packets"] < 50
    assert frames["plc"] + frames["silence"] == loss["lost_packets"]
    assert sum(frames.values()) == result.result["packets"] == len(result.trace)
    for number, lost in enumerate(result.trace):
        start = max(0, number * 320 - 104)
        stop = min(len(pcm), (number + 1) * 320 - 104)
        if lost:
            assert (result.pcm[start:stop] == 7).all()
        else:
            np.testing.assert_array_equal(result.pcm[start:stop], pcm[start:stop])


def test_same_seed_same_everything_but_cpu() -> None:
    first, second = (run(noise(9000), "30%", seed=9) for _ in range(2))
    np.testing.assert_array_equal(first.pcm, second.pcm)
    for result in (first.result, second.result):
        result.pop("cpu")
    assert first.result == second.result
    assert run(noise(9000), "30%", seed=10).trace != first.trace


def test_timeline_has_one_row_per_played_packet_in_order() -> None:
    rows = run(noise(6400), playout_ms=200).timeline
    assert [row[0] for row in rows] == list(range(len(rows)))
    assert {row[1] for row in rows} == {"opus"}
    assert all(row[2] == 200_000 for row in rows)


def test_everything_lost_is_silence() -> None:
    result = run(noise(5000), "100%")
    assert not result.pcm.any()
    assert result.result["frames"]["silence"] == result.result["packets"]
    assert len(result.pcm) == 5000


def test_first_packets_lost() -> None:
    loss = parse_loss("none")
    loss._source = iter([True, True, True] + [False] * 100)
    sender = Sender(redundancy_s=0, encoder=PcmEncoder())
    pcm = noise(6400)
    result = simulate(pcm, Settings(), loss=loss, sender=sender, receiver_factory=PcmReceiver)
    assert result.result["frames"]["plc"] == 3
    np.testing.assert_array_equal(result.pcm[960:], pcm[960:])


def test_bitrates_come_from_the_packets() -> None:
    rates = run(noise(16000)).result
    assert rates["bitrate_bps"] == {"speech": 256000.0, "lbrr": 0, "dred": 0, "headers": 16000.0}
    assert rates["bitrate_total_bps"] == 272000.0


def test_progress_counts_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    sender = Sender(redundancy_s=0, encoder=PcmEncoder())
    simulate(
        noise(1000),
        sender=sender,
        receiver_factory=PcmReceiver,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(i, 4) for i in range(1, 5)]


def test_no_audio() -> None:
    with pytest.raises(InputError):
        simulate(np.zeros(0, np.int16))


def test_percentiles_are_times_that_happened() -> None:
    values = [float(v) for v in range(1, 101)]
    assert percentiles(values[::-1]) == {"min": 1, "p50": 50, "p95": 95, "p99": 99, "max": 100}
    assert percentiles([5.0]) == {"min": 5, "p50": 5, "p95": 5, "p99": 5, "max": 5}
    assert percentiles([]) == {}


@pytest.fixture(autouse=True)
def _models_and_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about accounting: they also run where no model is built yet."""
    monkeypatch.setattr("dredge_models.registry.model_ids", lambda: ["m"])
    if "dredge_kernels.lpcnet" not in sys.modules:
        fake = types.SimpleNamespace(simd_level=lambda: "scalar")
        monkeypatch.setitem(sys.modules, "dredge_kernels.lpcnet", fake)
