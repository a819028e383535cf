# SPDX-License-Identifier: BSD-2-Clause
# A document larger than a datagram: cut into chunks, sent again until each is acknowledged, put
# together at the other end in any order. No clock: the caller passes the time in microseconds.
import json

from dredge_device import control

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


CHUNK_BYTES = const(1100)  # with RTCP and DRDG headers a datagram stays below 1200 bytes
MAX_CHUNKS = const(2048)  # 2 MB: some twenty times the longest report
_RETRY_US = const(200000)
_MAX_TRIES = const(25)


def _cut(document):
    data = json.dumps(document).encode()
    return [data[i : i + CHUNK_BYTES] for i in range(0, len(data), CHUNK_BYTES)]


# The sending side of one report. With final=True, unacknowledged chunks are repeated every 200 ms, at most 25 times;
# with final=False, every chunk is sent once.
class Outgoing:
    def __init__(self, report, document, final, ssrc=0):
        self._parts = _cut(document)
        self._waiting = [True] * len(self._parts)
        self._report = report & 0xFFFF
        self._final = final
        self._ssrc = ssrc
        self._next_us = None
        self.tries = 0

    # Return the datagrams due now (often none).
    def due(self, now_us):
        if self.done() or (self._next_us is not None and now_us < self._next_us):
            return []
        self._next_us = now_us + _RETRY_US
        self.tries += 1
        out = []
        for index in range(len(self._parts)):
            if self._waiting[index]:
                out.append(self._datagram(index))
                self._waiting[index] = self._final
        return out

    def _datagram(self, index):
        flags = control.FINAL if self._final else 0
        message = control.with_chunk(
            control.REPORT,
            self._report,
            self._report,
            index,
            len(self._parts),
            self._parts[index],
            flags,
            self._ssrc,
        )
        return control.build(message)

    def acknowledge(self, report, index):
        if report == self._report and index < len(self._waiting):
            self._waiting[index] = False

    # Return True when nothing is left to send; delivered() returns whether everything arrived.
    def done(self):
        return self.tries >= _MAX_TRIES or not any(self._waiting)

    def delivered(self):
        return not any(self._waiting)


# The receiving side: collects chunks of several reports at a time (at most four are kept, and of none more than a
# device sends, so that a forged header cannot make it reserve memory).
class Incoming:
    def __init__(self):
        self._open = {}

    # Return the document (dict) when this message completes it, else None. ValueError: chunks that contradict each
    # other, too many or too long ones, or no JSON object.
    def add(self, message):
        report, index, count, data = message.chunk()
        if count > MAX_CHUNKS or len(data) > CHUNK_BYTES:
            raise ValueError("report %d has %d chunks of %d bytes" % (report, count, len(data)))
        parts = self._open.get(report)
        if parts is None:
            while len(self._open) >= 4:
                del self._open[min(self._open)]
            parts = self._open[report] = [None] * count
        if len(parts) != count:
            del self._open[report]
            raise ValueError("report %d changed from %d to %d chunks" % (report, len(parts), count))
        parts[index] = data
        if any(part is None for part in parts):
            return None
        del self._open[report]
        return control.Message(control.REPORT, report, b"".join(parts)).document()


# Return the datagram that acknowledges one chunk of a report.
def acknowledgement(message, ssrc=0):
    report, index, count, _ = message.chunk()
    reply = control.with_chunk(
        control.ACK, message.number, report, index, count, b"", control.REPLY, ssrc
    )
    return control.build(reply)


# A datagram that is sent once, with the interface of Outgoing.
class Once:
    def __init__(self, datagram):
        self._datagram = datagram

    def due(self, now_us):
        out = [] if self._datagram is None else [self._datagram]
        self._datagram = None
        return out

    def acknowledge(self, report, index):
        pass

    def done(self):
        return self._datagram is None
