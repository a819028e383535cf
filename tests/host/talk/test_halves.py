# SPDX-License-Identifier: BSD-2-Clause
"""The two halves of a talk end in order."""

import threading

from dredge_host.talk.options import TalkOptions
from dredge_host.talk.running.halves import Halves


class Receiving:
    """A receiving half that runs until it is told to end."""

    closing, idle, peer, sessions_ended = False, True, None, 0

    def run(self, over):
        while not over():
            threading.Event().wait(0.01)


class Sending:
    """A sending half that looks, at its goodbye, whether another call would be answered."""

    first_s, state = None, "talking"

    def __init__(self, receiving):
        self.receiving, self.refused = receiving, None

    def run(self, over):
        while not over():
            threading.Event().wait(0.01)
        threading.Event().wait(0.2)  # the goodbye and its report take a while
        self.refused = self.receiving.closing


def test_an_end_that_says_goodbye_answers_no_other_call():
    receiving = Receiving()
    sending = Sending(receiving)
    halves = Halves(sending, receiving, TalkOptions("udp://127.0.0.1:9"))
    halves.start()
    halves.end()
    assert sending.refused is True
    assert halves.error is None
