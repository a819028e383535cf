# SPDX-License-Identifier: BSD-2-Clause
"""A status for an MQTT broker, and for Home Assistant its sensors (MQTT discovery)."""

import json
import os
import re
import threading
import time
from contextlib import suppress
from typing import Any

from dredge_device.pi.output.interface import CapabilityError
from dredge_device.pi.status.document import StatusDocument
from dredge_device.pi.status.urls import Broker

_LOOK_S = 0.5  # time between two checks whether a session began or ended
_NICE = 10  # below the playing thread
_BYE_S = 2.0  # longest time for the goodbye to the broker
PASSWORD = "DREDGE_MQTT_PASSWORD"


# The sensors of Home Assistant: key in the summary, name, unit, device class.
SENSORS = (
    ("state", "State", None, None),
    ("sessions", "Streams", None, None),
    ("loss_pct", "Packet loss", "%", None),
    ("recovered_pct", "Losses recovered", "%", None),
    ("delay_ms", "Playout delay", "ms", "duration"),
    ("cpu_pct", "CPU", "%", None),
    ("temperature_c", "Temperature", "°C", "temperature"),
)


class MqttStatus:
    """Publishes a document every few seconds, and at once when a session began or ended; a lost broker is
    connected again. Raises CapabilityError without paho-mqtt."""

    def __init__(self, broker: Broker, document: StatusDocument) -> None:
        try:
            from paho.mqtt import client as paho
        except ImportError:
            raise CapabilityError("paho-mqtt is not installed; run `dredge extras add mqtt`") from None
        self._broker, self._document = broker, document
        self.url = f"mqtt{'s' if broker.tls else ''}://{broker.host}:{broker.port}/{broker.topic}"
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.max_queued_messages_set(64)
        if broker.user is not None:
            self._client.username_pw_set(broker.user, broker.password or os.environ.get(PASSWORD))
        if broker.tls:
            self._client.tls_set()
        self._client.will_set(f"{broker.topic}/availability", "offline", retain=True)
        self._client.on_connect = self._connected
        self._closing = threading.Event()
        self._client.connect_async(broker.host, broker.port, keepalive=30)
        self._client.reconnect_delay_set(1, 30)
        self._client.loop_start()
        self._thread = threading.Thread(target=self._work, name="status", daemon=True)
        self._thread.start()

    def _connected(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if getattr(reason, "is_failure", False):
            return
        for topic, payload in discovery(self._broker):
            client.publish(topic, payload, qos=1, retain=True)
        client.publish(f"{self._broker.topic}/availability", "online", qos=1, retain=True)
        self._tell()

    def _work(self) -> None:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        sent_s, changes = 0.0, self._document.changes
        while not self._closing.wait(_LOOK_S):
            now = time.monotonic()
            if now - sent_s >= self._broker.every_s or self._document.changes != changes:
                sent_s, changes = now, self._document.changes
                self._tell()

    def _tell(self) -> None:
        if self._client.is_connected():
            self._client.publish(self._broker.topic, json.dumps(self._document.read()), qos=0, retain=True)

    def close(self) -> None:
        """Publish that the device is offline, and disconnect."""
        self._closing.set()
        self._thread.join()
        if self._client.is_connected():
            told = self._client.publish(f"{self._broker.topic}/availability", "offline", qos=1, retain=True)
            with suppress(RuntimeError, ValueError):
                told.wait_for_publish(_BYE_S)
        self._client.disconnect()
        self._client.loop_stop()


def discovery(broker: Broker) -> list[tuple[str, str]]:
    """Return (topic, payload) of every sensor's configuration; none without a prefix."""
    if not broker.discovery:
        return []
    name = re.sub(r"[^A-Za-z0-9_-]", "_", broker.topic)
    device = {"identifiers": [name], "name": f"Dredge {broker.topic}", "manufacturer": "Dredge"}
    found = []
    for key, title, unit, kind in SENSORS:
        about: dict[str, object] = {
            "name": title,
            "unique_id": f"{name}_{key}",
            "state_topic": broker.topic,
            "value_template": f"{{{{ value_json.summary.{key} }}}}",
            "availability_topic": f"{broker.topic}/availability",
            "device": device,
        }
        about |= {"unit_of_measurement": unit, "state_class": "measurement"} if unit else {}
        about |= {"device_class": kind} if kind else {}
        found.append((f"{broker.discovery}/sensor/{name}/{key}/config", json.dumps(about)))
    return found
