# SPDX-License-Identifier: BSD-2-Clause
"""The page and its call: HTTP with one answer to one offer (WebRTC, RFC 8829) is all the signalling."""

from __future__ import annotations

import asyncio
import secrets
import ssl
from importlib import resources
from typing import Any

from dredge_device.pi.transport.errors import refusal
from dredge_host.errors import UnreachableError, UsageError, need
from dredge_host.gateway.media import BrowserOutput, BrowserSource, track
from dredge_host.talk.options import TalkOptions
from dredge_host.talk.talk import Talk

_LARGEST_OFFER = 64 << 10


class Gateway:
    """An end of a talk that serves a page and talks with the browser that has it open; a newer browser takes over.

    http: (host, port), port 0 is any; certificate: (certificate file, key file), None for HTTP, with which browsers
    give their microphone to localhost only; talk: its other end. `token` must be in the page's URL. An asynchronous
    context manager. Raises CapabilityError without the extra, UsageError for a bad certificate, UnreachableError when
    the port is taken, and what Talk raises.
    """

    def __init__(self, http: tuple[str, int], certificate: tuple[str, str] | None, talk: TalkOptions) -> None:
        self._web = need("aiohttp.web", "the gateway", "gateway")
        self._rtc = need("aiortc", "the gateway", "gateway")
        self._http, self._options = http, talk
        self._tls = _context(certificate)
        self.token = secrets.token_urlsafe(12)
        self.source = BrowserSource()
        self._call: Any = None
        self._listener: asyncio.Task[None] | None = None
        self.browsers = 0

    @property
    def url(self) -> str:
        """The address to open in the browser."""
        host, port = self._http
        shown = f"[{host}]" if ":" in host else host
        return f"http{'s' if self._tls else ''}://{shown}:{port}/?t={self.token}"

    async def __aenter__(self) -> Gateway:
        self._output = BrowserOutput(asyncio.get_running_loop())
        self.talk = Talk(self._options, source=self.source, output=self._output)
        web = self._web
        app = web.Application(client_max_size=_LARGEST_OFFER)
        app.add_routes([web.get("/", self._page), web.post("/offer", self._offer), web.get("/state", self._state)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, *self._http, ssl_context=self._tls)
        try:
            await site.start()
        except OSError as error:
            await self.__aexit__()
            host, port = self._http
            raise UnreachableError(refusal(error, f"http://{host}:{port}")) from None
        self._http = self._runner.addresses[0][:2]
        self.talk.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._hang_up()
        await self._runner.cleanup()
        await asyncio.to_thread(self.talk.close)

    async def _page(self, request: Any) -> Any:
        self._admit(request)
        page = (resources.files("dredge_host") / "assets" / "gateway.html").read_text(encoding="utf-8")
        return self._web.Response(text=page, content_type="text/html", headers={"Cache-Control": "no-store"})

    async def _state(self, request: Any) -> Any:
        self._admit(request)
        return self._web.json_response(self.talk.state())

    async def _offer(self, request: Any) -> Any:
        self._admit(request)
        try:
            offer = await request.json()
            description = self._rtc.RTCSessionDescription(sdp=str(offer["sdp"]), type=str(offer["type"]))
        except (ValueError, KeyError, TypeError):
            raise self._web.HTTPBadRequest(text="expected a JSON object with sdp and type") from None
        await self._hang_up()
        call = self._call = self._rtc.RTCPeerConnection(self._rtc.RTCConfiguration(iceServers=[]))
        call.on("track", self._hear)
        try:
            await call.setRemoteDescription(description)
            call.addTrack(track(self._output))
            await call.setLocalDescription(await call.createAnswer())
        except Exception as error:  # aiortc's SDP parser raises many kinds of errors
            await self._hang_up()
            raise self._web.HTTPBadRequest(text=f"this offer cannot be answered: {error}") from None
        self.browsers += 1
        return self._web.json_response({"sdp": call.localDescription.sdp, "type": call.localDescription.type})

    def _hear(self, remote: Any) -> None:
        if remote.kind == "audio":
            self._listener = asyncio.ensure_future(self._listen(remote))

    async def _listen(self, remote: Any) -> None:
        ended = self._rtc.mediastreams.MediaStreamError
        while True:
            try:
                self.source.feed(await remote.recv())
            except ended:
                return

    async def _hang_up(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            await call.close()
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.cancel()

    def _admit(self, request: Any) -> None:
        """Refuse a request without the token, which other pages in the same browser do not know."""
        if not secrets.compare_digest(request.query.get("t", "").encode(), self.token.encode()):
            raise self._web.HTTPForbidden(text="open the address that `dredge gateway` printed")


def _context(certificate: tuple[str, str] | None) -> ssl.SSLContext | None:
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(*certificate)
    except ssl.SSLError as error:
        text = f"expected a certificate and its key in PEM, got what TLS refuses ({error.reason or error})"
        raise UsageError(f"{certificate[0]}, {certificate[1]}: {text}") from None
    except OSError as error:
        raise UsageError(refusal(error, f"{certificate[0]}, {certificate[1]}")) from None
    return context
