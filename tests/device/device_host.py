# SPDX-License-Identifier: BSD-2-Clause
"""The host's half of the protocol over a real socket, as small as it can be."""

import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

from dredge_device import control, fragments, rtcp

ROOT = Path(__file__).parents[2]
FOLDERS = ("cython_kernels", "models", "firmware", "host")


def start_agent(*arguments, **popen):
    """A real device process; returns (process, address) once it listens."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(ROOT / f) for f in FOLDERS)}
    process = subprocess.Popen(
        [sys.executable, "-m", "dredge_device", "--listen", "udp://127.0.0.1:0", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **popen,
    )  # fmt: skip
    line = process.stdout.readline()
    if not line.startswith("listening udp://"):
        raise RuntimeError(f"agent did not start: {line}{process.communicate(timeout=60)[1]}")
    host, port = line.split("udp://")[1].strip().rsplit(":", 1)
    return process, (host, int(port))


class Host:
    """Asks, sends, and collects reports."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(address)
        self.reports, self.receipts, self.answers = [], [], {}
        self._incoming = fragments.Incoming()
        self._number = 0
        self.drop = lambda datagram: False  # loss from device to host

    def close(self):
        self.socket.close()

    def ask(self, kind, document=None, seconds=60.0):
        """The answer's document; the request is repeated until it comes."""
        self._number += 1
        if kind == control.CONFIGURE:  # another session numbers its reports anew
            self._incoming = fragments.Incoming()
        request = control.build(control.with_document(kind, self._number, document or {}))
        until = time.monotonic() + seconds
        while self._number not in self.answers and time.monotonic() < until:
            self.socket.send(request)
            self.listen(0.2, lambda: self._number in self.answers)
        return self.answers[self._number]

    def listen(self, seconds, done=lambda: False):
        until = time.monotonic() + seconds
        while not done() and (left := until - time.monotonic()) > 0:
            if select.select([self.socket], [], [], left)[0]:
                datagram = self.socket.recv(65535)
                if not self.drop(datagram):
                    self._take(datagram)

    def _take(self, datagram):
        for part in rtcp.split(datagram):
            if part.kind == rtcp.RECEIVER_REPORT:
                self.receipts.append(rtcp.parse_receiver_report(part))
                continue
            if part.kind != rtcp.APP:
                continue
            message = control.from_app(part)
            if message.kind == control.REPORT:
                self._take_report(message)
            else:
                self.answers[message.number] = message.document()

    def _take_report(self, message):
        if message.flags & control.FINAL:
            self.socket.send(fragments.acknowledgement(message))
        report = self._incoming.add(message)
        if report is not None:
            self.reports.append(report)

    def final(self, seconds=60.0):
        """Waits for the final report."""
        self.listen(seconds, lambda: any(report["final"] for report in self.reports))
        return next(report for report in self.reports if report["final"])
