# SPDX-License-Identifier: BSD-2-Clause
# The portable core: packets, buffer, budget, telemetry.
from bytesource import ByteSource
from dredge_device import budget, control, fragments, jitter, rtcp, rtp, telemetry, timeline


def test_rtp_round_trip():
    source = ByteSource(11)
    for _ in range(100):
        sequence, ssrc = source.below(65536), source.below(65536)
        payload = source.bytes(source.below(80))
        packet = rtp.parse(rtp.build(sequence, sequence * 960, ssrc, payload))
        assert (packet.sequence, packet.ssrc, packet.payload) == (sequence, ssrc, payload)


def test_any_bytes_are_rtp_or_refused():
    source = ByteSource(12)
    refused = 0
    for _ in range(500):
        try:
            rtp.parse(source.bytes(source.below(40)))
        except ValueError:
            refused += 1
    assert 0 < refused < 500
    return refused


def test_sequence_numbers_wrap():
    tracker = rtp.StreamTracker()
    assert [tracker.admit(1, n & 0xFFFF) for n in range(65530, 65545)] == list(range(65530, 65545))


def test_buffer_decides_once_per_period():
    buffer = jitter.JitterBuffer(100)
    played = []
    for n in range(200):
        if n % 7 and not 50 <= n < 58:
            buffer.insert(n, b"x", n * 20000 + (n * 7919) % 15000)
        number = buffer.step(n * 20000)
        if number is not None:
            played.append((number, buffer.get(number) is not None))
    numbers = [number for number, _ in played]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return sum(1 for _, there in played if there), len(played)


def test_budget_percentiles():
    meter = budget.Budget(("a", "b"))
    for n in range(1000):
        meter.frame(n * 30, (n * 20, n * 10))
    report = meter.report()
    assert report["late_frames"] == 333 and report["frames"] == 1000
    return report["p50_us"], report["p95_us"], report["p99_us"], report["stages"]["a"]["max_us"]


def test_bursts_and_counters():
    bursts = telemetry.Bursts()
    for n in range(100):
        bursts.step(n % 10 in (3, 4, 5) or n % 25 == 9)
    counters = telemetry.Counters(("a",))
    counters.add("a", 3)
    try:
        counters.add("b")
    except ValueError as error:
        assert "'b'" in str(error)
    return bursts.lost, sorted(bursts.histogram().items()), counters.snapshot()


def test_interarrival_jitter():
    meter = telemetry.Jitter()
    for n in range(300):
        meter.arrival(n * 960, n * 20000 + n * n % 7000)
    return meter.units()


# Damage in the headers only: MicroPython's JSON reader forgives more than CPython's.
def test_control_messages():
    source = ByteSource(13)
    refused = 0
    for _ in range(300):
        message = control.with_document(control.HELLO, source.below(65536), {"n": source.below(99)}, 0, 7)
        data = bytearray(control.build(message))
        data[source.below(20)] ^= 1 << source.below(8)
        try:
            control.parse(bytes(data))
        except ValueError:
            refused += 1
    assert 0 < refused < 300
    return refused


def test_reports_survive_loss_and_disorder():
    document = {"list": list(range(900)), "name": "x" * 2000}
    source = ByteSource(14)
    outgoing, incoming = fragments.Outgoing(5, document, True), fragments.Incoming()
    now, got = 0, None
    while not outgoing.done():
        for datagram in outgoing.due(now):
            if source.below(3) == 0:
                continue
            message = control.parse(datagram)[0]
            done = incoming.add(message)
            got = done if done is not None else got
            if source.below(4):
                report, index, _, _ = control.parse(fragments.acknowledgement(message))[0].chunk()
                outgoing.acknowledge(report, index)
        now += 200000
    assert got == document and outgoing.delivered()
    return outgoing.tries


def test_receiver_reports():
    report = rtcp.parse_receiver_report(rtcp.split(rtcp.build_receiver_report(1, 2, 64, -3, 70000, 48))[0])
    return sorted(report.items())


def test_timeline_expands_to_what_was_added():
    line = timeline.Timeline(50)
    for n in range(60):
        line.add(n, "opus" if n % 4 else "dred", 1000 * (100 + n // 20), n)
    names, delays = timeline.expand(line.part())
    assert len(names) == len(delays) == 50 and names[0] == "dred" and delays[-1] == 102
    return line.part()["delay_ms"], line.dropped
