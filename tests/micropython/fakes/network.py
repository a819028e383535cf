# SPDX-License-Identifier: BSD-2-Clause
# network.WLAN for MicroPython's unix port: the folder's file `wifi` says whether the access point is there ("up"); how
# often the board tried to join it stands in `wifi.tries`.
STA_IF = 0
is_active = False


def _there():
    with open("wifi") as file:
        return file.read() == "up"


class WLAN:
    PM_NONE = 0

    def __init__(self, interface):
        self._asked = False
        self._tries = 0
        self.power_save = None

    def active(self, on):
        global is_active
        is_active = on

    def config(self, pm=None, channel=None):
        if pm is not None:
            with open("wifi.power", "w") as file:
                file.write(str(pm))

    def isconnected(self):
        if not _there():
            self._asked = False
        return self._asked

    def disconnect(self):
        self._asked = False

    def connect(self, ssid, password):
        self._tries += 1
        with open("wifi.tries", "w") as file:
            file.write(str(self._tries))
        self._asked = _there()

    def ifconfig(self):
        return ("127.0.0.1", "255.0.0.0", "127.0.0.1", "127.0.0.1")
