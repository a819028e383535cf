# SPDX-License-Identifier: BSD-2-Clause
# The receiver of one session. It may be built in another thread; datagrams are kept until it is ready.
import json

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_PENDING = const(256)  # datagrams kept until then: five seconds of one stream


# make and check: see agent.Agent.
class Media:
    def __init__(self, make, options, check=None, blank=None):
        self._make = make
        self._check = check
        self.options = dict(options)
        self.failure = None  # why building the receiver failed
        self.blank = blank  # the report of a receiver without packets, as JSON
        self.heard = False  # RTP has arrived
        self._settled = False  # a host has configured this session
        self._receiver = None
        self._pending = []
        self._announced = None
        self.receiver  # noqa: B018  (builds it, or has it built)

    # The receiver; None while it is being built.
    @property
    def receiver(self):
        if self._receiver is None:
            made = self._built()
            if made is None:
                return None
            if self.blank is None and self._check is not None:
                self.blank = json.dumps(made.report())
            self._receiver = made
            if self._announced is not None:
                made.announce(*self._announced)
            for datagram, when_us in self._pending:
                made.push(datagram, when_us)
            self._pending = []
        return self._receiver

    def _built(self):
        if self._check is None:
            return self._make(self.options)
        try:
            return self._make(self.options) if self.failure is None else None
        except (ValueError, RuntimeError, MemoryError) as error:
            self.failure = str(error)
            return None

    # Return True while datagrams wait for the receiver.
    @property
    def waiting(self):
        return bool(self._pending)

    # Return the SSRC of the sender, None before the first packet.
    @property
    def ssrc(self):
        return self._receiver.ssrc if self._receiver is not None else None

    def push(self, datagram, now_us):
        self.heard = True
        receiver = self.receiver
        if receiver is not None:
            receiver.push(datagram, now_us)
        elif len(self._pending) < _PENDING:
            self._pending.append((datagram, now_us))

    # Note that the stream ends with this sequence number, or with the newest one that arrived; return False when there
    # is no stream.
    def finish(self, last=None, stamp=None):
        if self._receiver is None:
            return False
        if last is None:
            last = self._receiver.report()["stream"].get("sequence")
        if last is None:
            return False
        if stamp is None:
            self._receiver.finish(last & 0xFFFF)
        else:
            self._receiver.finish(last, stamp)
        return True

    # Return True when everything was played, or nothing ever arrived.
    def ended(self):
        receiver = self._receiver
        return receiver is None or receiver.ended or receiver.ssrc is None

    # Forget the state of the stream, because it continues under other keys.
    def rekeyed(self):
        self._pending = []
        if self._receiver is not None:
            self._receiver.rekeyed()

    # Return the answer to a configuration, {"ok": ...}.
    def configure(self, wanted):
        options = dict(self.options)
        for name in self.options:
            if name in wanted:
                options[name] = wanted[name]
        # A host configures the device in the middle of its stream when the device has restarted.
        if self.heard and self._settled and options != self.options:
            return {"ok": False, "error": "the stream has begun, it cannot be configured now"}
        try:
            start = _announced(wanted)
            if options != self.options:
                self._change(options)
        except (ValueError, TypeError, RuntimeError) as error:
            return {"ok": False, "error": str(error)}
        except MemoryError:
            return {"ok": False, "error": "the device has no memory left for these options"}
        if start is not None:
            self._announced = start
            if self._receiver is not None:
                self._receiver.announce(*start)
        self._settled = True
        answer = {"ok": True}
        answer.update(options)
        return answer

    def _change(self, options):
        if self._check is None:
            self._receiver = self._make(options)
        else:
            self._check(options)
            self._receiver = None  # built when the stream begins
        self.options = options

    # Return the receiver's figures.
    def report(self):
        if self._receiver is not None:
            return self._receiver.report()
        document = json.loads(self.blank)
        for name in ("playout_ms", "adaptive", "conceal"):
            document[name] = self.options.get(name)
        return document


# Return (ssrc, sequence, timestamp or None) of the stream that a host announces, None if it does not; ValueError unless
# they are integers.
def _announced(wanted):
    if "ssrc" not in wanted or "first_sequence" not in wanted:
        return None
    start = (wanted["ssrc"], wanted["first_sequence"], wanted.get("first_timestamp"))
    if not all(isinstance(value, int) for value in start[:2] + (start[2] or 0,)):
        raise ValueError("ssrc, first_sequence and first_timestamp must be integers")
    return start
