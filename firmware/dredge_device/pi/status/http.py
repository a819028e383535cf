# SPDX-License-Identifier: BSD-2-Clause
"""A small HTTP server of a status: JSON at /, Prometheus text at /metrics, /healthz for a supervisor that restarts it.

Its work is bounded against floods: one thread, one request at a time, a second for a request, fifty answers a second.
"""

import io
import ipaddress
import json
import os
import socket
import socketserver
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from typing import Any

from dredge_device.pi.status import metrics
from dredge_device.pi.status.document import StatusDocument

_HEAD = 8192  # bytes of a request at most
_REQUEST_S = 1.0  # a request that is not complete by then is not answered
_REST_S = 0.02  # time between two answers
_NICE = 10  # below the playing thread
_EXPECTED = "expected GET of /, /metrics or /healthz\n"


class HttpStatus:
    """Serves a document at http://host:port in a thread of its own; `url` says where.

    remote: other machines may ask; else only requests for this machine's own names are answered, so that no page in a
    browser can read it under a name of its own (DNS rebinding). Raises OSError when it cannot listen there.
    """

    def __init__(self, host: str, port: int, document: StatusDocument, remote: bool = False) -> None:
        self._server = _Server(host, port, document, None if remote else {"localhost", _bare(host)})
        found = self._server.server_address
        name, number = str(found[0]), found[1]
        self.url = f"http://[{name}]:{number}" if ":" in name else f"http://{name}:{number}"
        self._thread = threading.Thread(target=self._serve, name="status", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        self._server.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        """End the thread and free the port."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(socketserver.TCPServer):
    allow_reuse_address = True
    request_queue_size = 8

    def __init__(self, host: str, port: int, document: StatusDocument, names: set[str] | None) -> None:
        self.document, self.names = document, names
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"status at {host}:{port}") from None

    def process_request(self, request: Any, client_address: Any) -> None:
        super().process_request(request, client_address)
        time.sleep(_REST_S)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that goes away while it is answered."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def setup(self) -> None:
        """Take the request's head within its time; no more of it is ever read."""
        self.connection = self.request
        self.rfile = io.BytesIO(self._head())
        self.wfile = self.connection.makefile("wb", 0)
        self.connection.settimeout(_REQUEST_S)

    def _head(self) -> bytes:
        until, head = time.monotonic() + _REQUEST_S, b""
        while b"\r\n\r\n" not in head and b"\n\n" not in head and len(head) < _HEAD:
            left = until - time.monotonic()
            if left <= 0:
                return b""
            self.connection.settimeout(left)
            try:
                part = self.connection.recv(_HEAD - len(head))
            except OSError:
                return b""
            if not part:
                break
            head += part
        return head

    def do_GET(self) -> None:
        """Answer with the document, its metrics, or the health of the device."""
        names = self.server.names
        if names is not None and _bare(self.headers.get("Host", "")) not in names:
            self._answer(403, "text/plain", "this status is for programs on this machine; ask for localhost\n")
            return
        document, path = self.server.document, self.path.partition("?")[0]
        if path == "/":
            self._answer(200, "application/json", json.dumps(document.read()) + "\n")
        elif path == "/metrics":
            self._answer(200, metrics.CONTENT_TYPE, metrics.text(document.read()))
        elif path == "/healthz":
            healthy = document.healthy
            self._answer(200 if healthy else 503, "text/plain", "ok\n" if healthy else "nothing plays any more\n")
        else:
            self._answer(404, "text/plain", _EXPECTED)

    do_HEAD = do_GET

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no GET in one line of text, as everything else here."""
        del explain
        self._answer(code, "text/plain", f"{message or 'a malformed request'}; {_EXPECTED}")

    def _answer(self, code: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "dredge"

    def log_message(self, format: str, *values: Any) -> None:
        """Write nothing, because a line per request would flood the log."""


def _bare(host: str) -> str:
    """Return a host of a Host header or of a URL without its port; addresses in canonical form."""
    name = host.strip().lower()
    if name.startswith("["):
        name = name[1:].partition("]")[0]
    elif name.count(":") == 1:
        name = name.partition(":")[0]
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
