# SPDX-License-Identifier: BSD-2-Clause
"""The URLs of `--status`."""

from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from dredge_device.pi.transport.addresses import is_loopback

HELP = "http://127.0.0.1:PORT (JSON, /metrics for Prometheus, /healthz) or mqtt://[USER@]HOST[:PORT]/TOPIC"
_MQTT_PORT, _MQTTS_PORT = 1883, 8883
_DISCOVERY = "homeassistant"


class Broker(NamedTuple):
    """The broker for a status. topic: of the document; TOPIC/availability is online or offline; every_s: time between
    two documents; discovery: Home Assistant's prefix, empty for none; tls: the broker's certificate is checked."""

    host: str
    port: int
    topic: str
    user: str | None = None
    password: str | None = None
    every_s: float = 5.0
    discovery: str = ""
    tls: bool = False


def check_status(url: str, allow_remote: bool) -> None:
    """Raise ValueError with a sentence for the user unless this is the URL of a status."""
    parts = split(url)
    if parts.scheme == "http":
        listen_address(url, allow_remote)
    else:
        broker(url)


def broker(url: str) -> Broker:
    """Return the broker of an mqtt:// or mqtts:// URL; its query may hold every=SECONDS and discovery=PREFIX."""
    parts = split(url)
    topic = unquote(parts.path).strip("/")
    if not parts.hostname or not topic or "#" in url or any(sign in topic for sign in "#+\0"):
        raise ValueError(f"status is '{_public(url)}', expected mqtt://[USER@]HOST[:PORT]/TOPIC, no # or + in it")
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = set(asked) - {"every", "discovery"}
    try:
        every_s = float(asked.get("every", 5.0))
    except ValueError:
        every_s = 0.0
    if unknown or not 1 <= every_s <= 86400:
        raise ValueError(f"status is '{_public(url)}', expected ?every=SECONDS (1 to 86400) and &discovery=PREFIX only")
    secure = parts.scheme == "mqtts"
    prefix = asked.get("discovery", "")
    if "discovery" in asked and not prefix:
        prefix = _DISCOVERY
    return Broker(parts.hostname, parts.port or (_MQTTS_PORT if secure else _MQTT_PORT), topic,
                  unquote(parts.username) if parts.username else None,
                  unquote(parts.password) if parts.password else None, every_s, prefix, secure)  # fmt: skip


def split(url: str) -> SplitResult:
    """Return the parts of a URL of a known scheme. Raises ValueError with a sentence otherwise."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "mqtt", "mqtts") and (parts.port is None or True)
    except ValueError:
        known = False
    if not known:
        raise ValueError(f"status is '{_public(url)}', expected {HELP}")
    return parts


def listen_address(url: str, allow_remote: bool) -> tuple[str, int]:
    """Return host and port of an http:// URL. Raises ValueError where other machines can reach it, unless that was
    allowed.
    """
    parts = split(url)
    if not parts.hostname or parts.port is None or parts.path not in ("", "/") or parts.query or parts.username:
        raise ValueError(f"status is '{_public(url)}', expected http://127.0.0.1:PORT (port 0: any)")
    if not allow_remote and not is_loopback(parts.hostname):
        where = f"status at {parts.hostname} can be read by other machines"
        raise ValueError(f"{where}; use 127.0.0.1, or add --allow-remote to mean that")
    return parts.hostname, parts.port


def _public(url: str) -> str:
    """Return the URL without a password."""
    head, at, rest = url.rpartition("@")
    return f"{head.rpartition('//')[0]}//…@{rest}" if at and "//" in head else url
