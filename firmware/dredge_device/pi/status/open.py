# SPDX-License-Identifier: BSD-2-Clause
"""Publication of a status at the URL of `--status`."""

from typing import Protocol

from dredge_device.pi.status.document import StatusDocument
from dredge_device.pi.status.urls import broker, listen_address, split
from dredge_device.pi.transport.addresses import is_loopback


class Status(Protocol):
    """Publishes a status until it is closed."""

    url: str

    def close(self) -> None: ...


def open_status(url: str, document: StatusDocument, allow_remote: bool = False) -> Status:
    """Publish the document at this URL. allow_remote: other machines may send HTTP requests.

    Raises ValueError (the URL), OSError (it cannot listen there), CapabilityError (no paho-mqtt).
    """
    if split(url).scheme != "http":
        from dredge_device.pi.status.mqtt import MqttStatus

        return MqttStatus(broker(url), document)
    from dredge_device.pi.status.http import HttpStatus

    host, port = listen_address(url, allow_remote)
    return HttpStatus(host, port, document, not is_loopback(host))
