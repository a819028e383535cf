# SPDX-License-Identifier: BSD-2-Clause
"""Reports larger than a datagram survive loss, repetition and reordering."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dredge_device import control, fragments

DOCUMENT = {"text": "x" * 5000, "list": list(range(300))}


def parse_one(datagram):
    (message,) = control.parse(datagram)
    return message


@given(st.floats(0, 0.7), st.integers(0, 1 << 30))
def test_final_report_arrives_through_loss_both_ways(loss, seed):
    dice = random.Random(seed)
    out = fragments.Outgoing(7, DOCUMENT, True)
    incoming = fragments.Incoming()
    got, now = None, 0
    while not out.done():
        datagrams = out.due(now)
        dice.shuffle(datagrams)
        for datagram in datagrams:
            assert len(datagram) <= 1200
            if dice.random() < loss:
                continue
            message = parse_one(datagram)
            assert message.flags & control.FINAL
            got = incoming.add(message) or got
            if dice.random() >= loss:
                report, index, _, _ = parse_one(fragments.acknowledgement(message)).chunk()
                out.acknowledge(report, index)
        now += 100_000
    assert out.delivered() or loss > 0.3
    assert got == DOCUMENT or not out.delivered()


def test_chunks_are_repeated_every_200_ms_and_given_up_after_25_times():
    out = fragments.Outgoing(1, {"a": 1}, True)
    sent = [len(out.due(now)) for now in range(0, 10_000_000, 20_000)]
    assert sum(sent) == 25
    assert sent[0] == 1 and sent[1:10] == [0] * 9 and sent[10] == 1
    assert out.done() and not out.delivered()


def test_periodic_report_is_sent_once():
    out = fragments.Outgoing(1, DOCUMENT, False)
    assert len(out.due(0)) > 1
    assert out.done() and out.due(1_000_000) == []


def test_acknowledgement_of_another_report_or_chunk_changes_nothing():
    out = fragments.Outgoing(3, {"a": 1}, True)
    out.acknowledge(4, 0)
    out.acknowledge(3, 9)
    assert not out.done()
    out.acknowledge(3, 0)
    assert out.done() and out.delivered()


def test_duplicates_and_order_do_not_matter():
    out = fragments.Outgoing(2, DOCUMENT, True)
    messages = [parse_one(d) for d in out.due(0)]
    incoming = fragments.Incoming()
    results = [incoming.add(m) for m in messages[:0:-1] + messages[1:] + messages[:1]]
    assert results[-1] == DOCUMENT and not any(results[:-1])


def test_contradicting_chunk_counts_are_refused():
    incoming = fragments.Incoming()
    incoming.add(control.with_chunk(control.REPORT, 1, 1, 0, 3, b"a"))
    with pytest.raises(ValueError, match="changed from 3 to 4 chunks"):
        incoming.add(control.with_chunk(control.REPORT, 1, 1, 0, 4, b"a"))


def test_only_four_reports_are_kept_open():
    incoming = fragments.Incoming()
    for report in range(50):
        incoming.add(control.with_chunk(control.REPORT, 1, report, 0, 2000, b"a"))
    assert len(incoming._open) == 4


@pytest.mark.parametrize(("count", "size"), [(fragments.MAX_CHUNKS + 1, 1), (65535, 0), (2, fragments.CHUNK_BYTES + 1)])
def test_what_a_header_promises_does_not_become_memory(count, size):
    incoming = fragments.Incoming()
    with pytest.raises(ValueError, match=f"report 7 has {count} chunks of {size} bytes"):
        incoming.add(control.with_chunk(control.REPORT, 1, 7, 0, count, bytes(size)))
    assert not incoming._open


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.binary(max_size=8))))
def test_any_chunks_end_in_a_document_or_value_error(parts):
    incoming = fragments.Incoming()
    for report, index, data in parts:
        try:
            done = incoming.add(control.with_chunk(control.REPORT, 1, report, index, 3, data))
        except ValueError:
            continue
        assert done is None or isinstance(done, dict)
