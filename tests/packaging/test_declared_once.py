# SPDX-License-Identifier: BSD-2-Clause
"""Facts that dredge_device.units declares stand nowhere else, and a receiver is driven in few places."""

import ast

import pytest
from test_imports import MODULES

from dredge_device import units

# Below dredge_device, so without its units; and numbers that mean something else than their equal there.
EXEMPT = ("dredge_kernels", "dredge_models", "dredge_device.units")
OTHER_MEANING = {
    "dredge_device.pi.concealment.crossfade", "dredge_device.pi.concealment.time_stretch",  # lengths of fades
    "dredge_device.pi.interfaces",  # defaults of Protocols
    "dredge_device.pi.transport.udp",  # datagrams
    "dredge_host.charts.bars",  # pixels
    "dredge_host.evaluation.material.traces",  # ms
    "dredge_host.figures.bitrate",  # b/s
    "dredge_host.sending.adaptive_redundancy",  # b/s
    "dredge_host.inspection.comparison",  # bins of a spectrum
    "dredge_host.live.checks.serial_check",  # bytes
    "dredge_host.gateway.media", "dredge_host.doctor.works",  # another clock of 48 kHz
}
FACTS = {units.SAMPLE_RATE, units.FRAME_SAMPLES, units.PACKET_SAMPLES, units.RTP_CLOCK_HZ, units.RTP_TICKS_PER_PACKET}
# What decides when a receiver gets a datagram and when it plays; others use these.
DRIVERS = {
    "dredge_device.pi.service.streams.rendering",  # real time: the agent, a talk, the loop device
    "dredge_host.offline.player",  # a virtual clock: simulate, replay, capacity, bench
    "dredge_host.embed.receiver",  # another program's clock
    "dredge_device.pi.calibration.measure",  # as fast as it goes, on the device
}
PASSING_ON = {"dredge_device.pi.receiver", "dredge_host.talk.receiving", "dredge_host.evaluation.methods.redundant"}


def literals(source):
    """The numbers of FACTS in a source, apart from those that only stand in text."""
    return sorted({node.value for node in ast.walk(ast.parse(source))
                   if isinstance(node, ast.Constant) and type(node.value) is int and node.value in FACTS})  # fmt: skip


def plays(source):
    """Whether a source has a receiver play: it calls `pull` or `render` of something named so."""
    calls = [node.func for node in ast.walk(ast.parse(source))
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]  # fmt: skip
    played = [call.value for call in calls if call.attr in ("pull", "render")]
    return any(ast.unparse(value).endswith(("receiver", "_pipeline")) for value in played)


@pytest.mark.parametrize(
    ("source", "found"), [("a = x[: len(x) // 320 * 320]", [320]), ('"16000 Hz"', []), ("b = PACKET_SAMPLES", [])]
)
def test_a_literal_is_found(source, found):
    assert literals(source) == found


def test_a_fact_of_the_units_is_written_once():
    inner = {name: path for name, path in MODULES.items() if not name.startswith(EXEMPT) and name not in OTHER_MEANING}
    assert {name: found for name, path in inner.items() if (found := literals(path.read_text(encoding="utf-8")))} == {}


def test_a_receiver_is_driven_in_few_places():
    found = {name for name, path in MODULES.items() if plays(path.read_text(encoding="utf-8"))}
    assert found - PASSING_ON == DRIVERS
