# SPDX-License-Identifier: BSD-2-Clause
# Runs every module of the portable core; printed by CPython and MicroPython, the output must be the
# same (test_micropython.py). Usage: portable_core.py FIRMWARE_FOLDER
import sys

sys.path.insert(0, sys.argv[1])

from dredge_device import agent, budget, control, fragments, framing, jitter, playout, rtcp, rtp, telemetry, timeline

p = rtp.parse(rtp.build(70000, 1 << 33, 7, b"abc"))
print(p.sequence, p.timestamp, p.ssrc, p.payload)
for bad in (b"", b"\x40" + bytes(11), b"\xa0" + bytes(11)):
    try:
        rtp.parse(bad)
    except ValueError as e:
        print(e)
m = control.with_document(control.HELLO, 3, {"a": 1}, 1, 9)
d = control.build(m)
print(d, control.parse(d)[0].document())
try:
    control.Message(0, 0, b"[[").document()
except ValueError as e:
    print(e)
doc = {"x": "y" * 3000}
o = fragments.Outgoing(1, doc, True)
i = fragments.Incoming()
for g in o.due(0):
    msg = control.parse(g)[0]
    r = i.add(msg)
    a = control.parse(fragments.acknowledgement(msg))[0].chunk()
    o.acknowledge(a[0], a[1])
print(r == doc, o.delivered())
j = jitter.JitterBuffer(100)
for n in range(60):
    if n % 7:
        j.insert(n, b"d", n * 20000)
    s = j.step(n * 20000)
    print(s, s is not None and j.get(s), end=" ")
print(j.late, j.depth(), playout.parse_playout("fixed:40"))
b = budget.Budget(("a",))
for n in range(500):
    b.frame(n * 37, [n])
print(sorted(b.report().items(), key=lambda kv: kv[0])[0], budget.summary(b.total)["p99_us"])
u = telemetry.Bursts()
for n in range(40):
    u.step(n % 5 < 2)
print(u.mean(), sorted(u.histogram().items()))
t = timeline.Timeline(20)
for n in range(25):
    t.add(n, "opus" if n % 3 else "dred", 100_000, n)
print(sorted(t.part().items(), key=lambda kv: kv[0])[-1], timeline.expand(t.part())[0][:4])
k = rtp.StreamTracker()
print([k.admit(1, s & 65535) for s in (65534, 65535, 0, 3, 2)], k.admit(2, 5), k.admit(2, 6))
q = telemetry.Jitter()
for n in range(50):
    q.arrival(n * 960, n * 20000 + n % 3 * 1000)
print(q.units())

w = framing.Framer()
v = framing.Deframer()
line = w.frame(b"a\0b") + b"\7noise\0" + w.frame(bytes(600)) + w.frame(b"\1" * 600)
print(line[:16], [len(x) for x in v.feed(line)], sorted(v.counters().items()))


# A receiver without audio: enough for a whole session of the agent.
class Receiver:
    def __init__(self, options):
        self.options = options
        self.ended = False
        self.ssrc = None
        self.pushed = 0

    def push(self, datagram, now_us):
        self.ssrc = rtp.parse(datagram).ssrc
        self.pushed += 1

    def finish(self, last, stamp=None):
        self.ended = True

    def report(self):
        return {
            "packets": {"expected": self.pushed, "lost": 1},
            "stream": {"highest": 3},
            "delay_ms": {"jitter": 0.0},
            "budget": {"histogram": []},
        }


host = agent.Agent(
    Receiver, {"playout_ms": 40, "adaptive": False, "conceal": "dred", "lbrr": True}, {"ok": True}, 5, lambda: {"k": 1}
)
now = 1000000
for answer in host.handle(control.build(control.Message(control.HELLO, 1)), "peer", now):
    print(control.parse(answer)[0].document())
for n in range(60):
    host.handle(rtp.build(n, n * 960, 8, b"x"), "peer", now)
    host.played(n, "opus", 40_000, 7)
    for datagram in host.tick(now):
        print([packet.kind for packet in rtcp.split(datagram)], len(datagram) <= 1200)
    now += 20000
bye = control.build(control.with_document(control.BYE, 2, {"last_sequence": 59}))
print(control.parse(host.handle(bye, "peer", now)[0])[0].document())
for datagram in host.tick(now):
    message = control.parse(datagram)[0]
    host.handle(fragments.acknowledgement(message), "peer", now)
print(sorted(host.counters.snapshot().items()))
print("session over", host.over())
