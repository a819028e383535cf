# SPDX-License-Identifier: BSD-2-Clause
# A bridge between ESP-NOW and a UART: two of them are a radio that loses datagrams.
import time

from dredge_board.bridgeloop import BridgeLoop
from dredge_board.ports.radio import BROADCAST, RadioPort, address

_REPORT_MS = 10000


# Return ESP-NOW on this channel (None: where the Wi-Fi is), with this peer (a MAC address, or None for everybody).
def open_radio(channel, peer):
    import espnow
    import network

    station = network.WLAN(network.STA_IF)
    station.active(True)
    if channel is not None:
        station.config(channel=channel)
    radio = espnow.ESPNow()
    radio.config(rxbuf=4096)  # 16 frames; counts from the next active(True) on
    radio.active(True)
    peer = BROADCAST if peer is None else address(peer)
    radio.add_peer(peer)
    return RadioPort(radio, peer)


class RadioLoop(BridgeLoop):
    def __init__(self, radio, uart, answers, about):
        super().__init__(radio, uart, answers, about)
        self._reported_ms = time.ticks_ms()

    # Add the radio's counters to the report.
    def measure(self):
        document = super().measure()
        document["radio"] = self._network.report()
        return document

    # Read every waiting frame, not one per round, because ESP-NOW buffers only a few.
    def _from_network(self):
        start = time.ticks_us()
        size = self._network.readinto()
        while size is not None:
            if size:
                self.bridge.to_line(self._network.body, size)
            size = self._network.readinto()
        self.bridge.spent(0, time.ticks_diff(time.ticks_us(), start))

    # Print a line about the state for a terminal on USB.
    def _period(self):
        super()._period()
        if time.ticks_diff(time.ticks_ms(), self._reported_ms) >= _REPORT_MS:
            self._reported_ms = time.ticks_ms()
            said = self._network.report()
            print("radio:", " ".join(["%s %d" % pair for pair in sorted(said.items()) if pair[1]]))
