# SPDX-License-Identifier: BSD-2-Clause
"""`dredge gateway`"""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import click

from dredge_host.cli import options as shared
from dredge_host.console import note
from dredge_host.errors import UsageError

EPILOG = (
    """\b
Examples
  dredge gateway udp://far-pi:5004 --key-file dredge.key                     open the printed address on this machine
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=pi -keyout tls.key -out tls.crt
  dredge gateway udp://far-pi:5004 --key-file dredge.key --http 0.0.0.0:8443 --cert tls.crt --cert-key tls.key
                                                                             for a telephone in the same network

"""
    + shared.LOSS_HELP
)


@click.command(epilog=EPILOG, context_settings={"default_map": {"playout": "adaptive"}})
@click.argument("to", metavar="[URL]", required=False)
@click.option("--listen", help="Address for calls by the far end: udp://[ADDR]:PORT.")
@click.option("--http", default="127.0.0.1:8080", show_default=True, help="Address of the page: HOST:PORT.")
@click.option("--cert", type=click.Path(dir_okay=False, exists=True), help="Certificate (PEM): HTTPS instead of HTTP.")
@click.option("--cert-key", type=click.Path(dir_okay=False, exists=True), help="Its key (PEM).")
@click.option("--seconds", type=shared.Number(min=0.02), help="Leave after this many seconds.")
@click.option("--allow-remote", is_flag=True, help="Listen for the far end without a key.")
@shared.key_option
@shared.link_options
@shared.codec_options
@shared.cap_option
@shared.network_options
def command(
    to: str | None, listen: str | None, http: str, cert: str | None, cert_key: str | None, seconds: float | None,
    allow_remote: bool, key_file: str | None, **values: Any,
) -> None:  # fmt: skip
    """Talk from a browser with an end of `dredge talk`, without installing anything there.

    This machine serves the page; it speaks WebRTC with the browser, and Opus with redundancy with URL. Browsers give
    their microphone to HTTPS or to localhost only, so a page for other machines needs --cert and --cert-key. Everybody
    who has the printed address can talk.
    """
    from dredge_device.pi.transport.addresses import is_loopback
    from dredge_host.gateway.server import Gateway
    from dredge_host.talk.options import TalkOptions

    host, colon, port = http.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"--http is '{http}', expected HOST:PORT")
    if (cert is None) != (cert_key is None):
        raise UsageError("--cert and --cert-key go together")
    if cert is None and not is_loopback(host.strip("[]")):
        raise UsageError(f"browsers give no microphone to http://{host}: give --cert and --cert-key, or use localhost")
    options = TalkOptions(
        to, listen, settings=shared.settings_from(values), key_file=key_file, allow_remote=allow_remote,
        auto=shared.is_automatic(values), cap_bps=values["cap"],
        **{name: values[name] for name in ("delay", "jitter", "reorder", "duplicate")},
    )  # fmt: skip
    certificate = (cert, cert_key) if cert and cert_key else None

    async def serve() -> None:
        async with Gateway((host.strip("[]"), int(port)), certificate, options) as gateway:
            note(f"open {gateway.url}")
            await asyncio.sleep(float("inf") if seconds is None else seconds)

    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # which asyncio replaces by ending its main task
    asyncio.run(serve())
