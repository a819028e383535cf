# SPDX-License-Identifier: BSD-2-Clause
# The lag of playout against the wanted delay, once it is certain: packets arrive unevenly, so a lag must persist over a
# window of periods. Integer microseconds.

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_WINDOW = const(50)  # periods over which the lag must persist before it is corrected
_ADAPTIVE_WINDOW = const(10)
_TOLERANCE_US = const(20000)  # smaller lags are left alone
_DONE_US = const(3000)
_ACCEPTED_US = const(500000)
_URGENT_US = const(100000)  # adaptive: beyond this lag, speech is shortened as well as pauses
_PATIENT_WINDOWS = const(25)  # ... and with any lag after so many windows without a pause


# us is positive where playout is late; the time stretch reports the speech that it removed or inserted with
# corrected().
class Lag:
    def __init__(self, adaptive):
        self.us = 0
        self.corrections = 0
        self._adaptive = adaptive
        self._window = []
        self._waited = 0  # windows since the lag is known, without a correction
        # fixed: by how much the first packet, which set the clock, came later than those after it. A delay longer by
        # that much than asked for disturbs less than a correction.
        self._accepted_us = None

    # Begin with another stream.
    def restart(self):
        self._accepted_us = None
        self.settle()

    # Forget the lag, because playout has jumped or stands still.
    def settle(self):
        self.us = 0
        self._window = []

    # Begin a new window of measurement.
    def pause(self):
        self._window = []

    # Return the lag that playout does not jump for.
    def accepted_us(self):
        return self._accepted_us or 0

    # Note, once per played period, by how much it was later than wanted.
    def observe(self, behind_us):
        self._window.append(behind_us)
        if len(self._window) < (_ADAPTIVE_WINDOW if self._adaptive else _WINDOW):
            return
        lag = min(self._window)  # the minimum, since single late calls look like a lag
        self._window = []
        if not self._adaptive:
            if self._accepted_us is None:
                self._accepted_us = max(0, min(lag, _ACCEPTED_US))
            lag -= self._accepted_us
        self._waited += 1
        if -_TOLERANCE_US <= lag <= _TOLERANCE_US:
            lag = 0
        elif not self.us:
            self.corrections += 1
            self._waited = 0
        self.us = lag

    # Return True where the lag is corrected in speech as well, not only in pauses.
    def urgent(self):
        return not self._adaptive or self.us > _URGENT_US or self._waited > _PATIENT_WINDOWS

    # Note how much speech was removed (positive) or inserted (negative).
    def corrected(self, us):
        if us:
            self._window = []
        self.us -= us
        if -_DONE_US < self.us < _DONE_US:
            self.us = 0
