# SPDX-License-Identifier: BSD-2-Clause
"""Lost speech from the vocoder: from the rows of later packets or predicted ones, and the transition back to the
decoder.
"""

from collections.abc import Callable

import numpy as np

from dredge_device.pi.concealment import crossfade
from dredge_device.pi.concealment.crossfade import State, Transition
from dredge_device.pi.concealment.dred_source import DredSource
from dredge_device.pi.concealment.gap_ends import GapEnds
from dredge_device.pi.concealment.history import DELAY, History
from dredge_device.pi.concealment.vocoder_session import VocoderSession
from dredge_device.pi.factory import Parts
from dredge_device.pi.interfaces import Decoder, Pcm, Rows
from dredge_device.pi.quality import FULL, LATE, SMALL
from dredge_device.pi.stage_timer import StageTimer
from dredge_device.playout import Period
from dredge_device.units import FRAME_SAMPLES, PACKET_SAMPLES

MUTE_AFTER = 25  # predicted packets in a row (0.5 s): by then the prediction has faded


class Synthesis:
    """The vocoder's speech for lost packets, and the memory of the output that it continues.

    dred_source: rows of a gap from later packets; ends: the signal on its two sides.
    """

    def __init__(
        self,
        parts: Parts,
        history: History,
        dred_source: DredSource | None,
        ends: GapEnds,
        transition: Transition,
        timer: StageTimer,
    ) -> None:
        assert parts.vocoder is not None
        self.history = history
        self._quality = FULL
        self._vocoder = VocoderSession(parts.vocoder, history, parts.small_vocoder)
        self._plc = parts.plc
        self._dred_source = dred_source
        self._ends = ends
        self._transition = transition
        self._timer = timer

    def restart(self) -> None:
        """Forget everything, since another stream begins."""
        self._vocoder.forget()
        self.history.clear()
        if self._plc:
            self._plc.reset()
        if self._dred_source:
            self._dred_source.clear()
        self._ends.close()

    def set_quality(self, quality: int) -> None:
        """Set the level (pi.quality) of gaps that begin from now on; LATE also stops the synthesis."""
        self._quality = quality
        if quality == LATE and self._transition.synthesising:
            self._ends.close()
            self._transition.state = State.CUT

    def open(self, number: int, hidden: Pcm) -> None:
        """Begin a gap with this packet; hidden: the decoder's own concealment, which continues the output."""
        self.history.complete(hidden[:DELAY])
        self._ends.open(number, self.history)

    def hold(self, hidden: Callable[[], Pcm]) -> Pcm:
        """Return 20 ms that belong to no packet."""
        if not self._transition.synthesising:
            self.history.complete(hidden()[:DELAY])
        self._ends.close()  # time without a packet number: the end of this gap is unknown
        return self.conceal(None)

    def described(self, period: Period) -> tuple[Rows | None, str]:
        """Return the rows float32[4, 20] of a lost period, or the reason why there are none."""
        if self._dred_source is None:
            return None, "concealment without DRED"
        with self._timer.stage("dred"):
            return self._dred_source.find(period)

    def conceal(self, period: Period | None) -> Pcm:
        """Return 20 ms that no packet describes: interpolated if the packet after the gap is known, else predicted; in
        the end the background alone.
        """
        transition = self._transition
        transition.undescribed += 1
        if transition.undescribed > MUTE_AFTER:
            transition.state = State.BACKGROUND
            pcm = self.history.noise(PACKET_SAMPLES)
            self.remember(pcm, learn=False)
            return pcm
        with self._timer.stage("features"):
            rows = None if period is None else self._ends.bridge(period.number)
        pcm = self.synthesise(self.predict(2), predicted=True) if rows is None else self.synthesise(rows)
        if transition.undescribed < MUTE_AFTER:
            return pcm
        return crossfade.cross_fade(pcm, self.history.noise(PACKET_SAMPLES))

    def synthesise(self, rows: Rows, predicted: bool = False, denoised: bool = False) -> Pcm:
        """Synthesise 20 ms from rows float32[4, 20]; predicted: they are predicted from the output before the gap
        alone; denoised: they are those of a packet, and the networks of redundancy omit noise.

        Rows are raised to the background, since fading speech leaves it behind.
        """
        rows = self.history.lifted(rows, denoised)
        with self._timer.stage("vocoder"):
            if not self._transition.synthesising:
                self._vocoder.begin(rows, self._quality >= SMALL)
            pcm = self._vocoder.synthesise(rows, predicted)
        if self._transition.state is State.BACKGROUND:
            self._transition.tail = self.history.noise(FRAME_SAMPLES)
        pcm = self._transition.synthesised(pcm, predicted)
        self.remember(pcm, rows[:2], learn=not predicted)
        return pcm

    def leave(self, period: Period, packet: bytes) -> bool:
        """Prepare the transition to decoded speech: render 10 ms of vocoder tail for the cross-fade and re-prime the
        decoder; return True if it was primed.
        """
        if self._transition.state is State.BACKGROUND:
            self._transition.tail = self.history.noise(FRAME_SAMPLES)
            return False
        rows = self._rows_after(period)
        with self._timer.stage("vocoder"):
            self._transition.tail = self._vocoder.tail(rows)
        self._transition.state = State.DECODING
        with self._timer.stage("opus"):
            return self._ends.prime_decoder(self.history.samples, self._transition.tail, packet)

    def checked(self, pcm: Pcm, decode: Callable[[Decoder], Pcm], behind: bytes | None) -> Pcm:
        """Return the first packet after a gap as it is played; pcm: int16[320] of the primed decoder; behind: the
        packet after it.
        """
        return self._ends.checked(pcm, self.history.samples, decode, behind)

    def _rows_after(self, period: Period) -> Rows:
        """Return the rows float32[4, 20] of the first packet after a gap."""
        rows = None
        if self._dred_source and (period.packet or period.following):
            with self._timer.stage("dred"):
                rows = self._dred_source.rows(period.number + (not period.packet), period.number)
        denoised = rows is not None
        if rows is None:
            rows = self._ends.after(period.number)
        return self.history.lifted(self.predict(1) if rows is None else rows, denoised)

    def predict(self, count: int) -> Rows:
        """Return the rows float32[4, 20]: count (1 or 2) predicted ones, then copies of the last one."""
        assert self._plc is not None
        with self._timer.stage("features"):
            rows_before = self.history.pending_rows()
        with self._timer.stage("plc"):
            for row in rows_before:
                self._plc.update(row)
            rows = [self._plc.predict() for _ in range(count)]
        return np.stack(rows + rows[-1:] * (4 - len(rows)))

    def remember(self, pcm: Pcm, rows: Rows | None = None, learn: bool = True) -> None:
        """Remember output int16[320], and its rows float32[2, 20] if it was synthesised; learn: the predictor continues
        it.
        """
        self.history.append(pcm, rows, learn)
        if self.history.moment_due:
            with self._timer.stage("features"):
                self.history.hear_moment()
