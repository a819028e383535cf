# SPDX-License-Identifier: BSD-2-Clause
"""The concealer: the best source there is for one packet period, joined to the one before."""

from dataclasses import dataclass
from enum import Enum, auto

import numpy as np

from dredge_device.pi.concealment import crossfade
from dredge_device.pi.concealment.dred_source import DredSource
from dredge_device.pi.concealment.gap_ends import GapEnds
from dredge_device.pi.concealment.history import DELAY, History
from dredge_device.pi.concealment.vocoder_session import VocoderSession
from dredge_device.pi.factory import Parts
from dredge_device.pi.interfaces import Pcm, Rows
from dredge_device.pi.quality import CLASSIC, FULL, LATE, OVERLOAD, SMALL
from dredge_device.pi.stage_timer import StageTimer
from dredge_device.playout import Period
from dredge_device.units import FRAME_SAMPLES, PACKET_SAMPLES

MUTE_AFTER = 25  # guessed packets in a row (0.5 s): by then the prediction has faded


class State(Enum):
    """What was played last, and so how the next output has to join it."""

    FRESH = auto()  # nothing since the decoder started
    DECODING = auto()  # the decoder's output: received, repeated, comfort noise, or its own concealment
    SYNTHESISING = auto()  # the vocoder, from rows that a packet or both sides of the gap describe
    GUESSING = auto()  # the vocoder, from predicted rows
    CUT = auto()  # the vocoder, which was stopped in the middle of a gap
    MUTED = auto()  # silence, from which the next output rises


SPEAKING = (State.SYNTHESISING, State.GUESSING)


@dataclass
class Choice:
    """20 ms of output, where it came from, and why nothing better did."""

    pcm: Pcm
    source: str
    reason: str = ""


class Concealer:
    """Turns one packet period into 20 ms of speech. dred_source: what packets tell of a gap; ends: its two sides."""

    def __init__(
        self, parts: Parts, dred_source: DredSource | None, ends: GapEnds, use_lbrr: bool, timer: StageTimer
    ) -> None:
        self._parts = parts
        self._use_lbrr = use_lbrr
        self._timer = timer
        self._history = History(parts.extractor) if parts.extractor else None
        self._vocoder = None
        if parts.vocoder and self._history:
            self._vocoder = VocoderSession(parts.vocoder, self._history, parts.small_vocoder)
        self.dred_source = dred_source
        self._ends = ends
        self._state = State.FRESH
        self._guesses = 0  # packets in a row that no packet describes
        self._tail: Pcm | None = None  # 10 ms of vocoder under the decoded samples that come next
        self._last = 0  # last output sample
        self._quality = FULL
        self.in_dtx = False  # the last packet said that nobody speaks
        self.damaged = 0  # Opus packets that the decoder refused

    @property
    def has_vocoder(self) -> bool:
        """False when losses are concealed by the decoder alone."""
        return self._vocoder is not None

    @property
    def speaking(self) -> bool:
        """True while the vocoder speaks: in a gap, or before the first packet after one."""
        return self._state in SPEAKING

    @property
    def guessing(self) -> bool:
        """True while no packet describes what the vocoder speaks."""
        return self.speaking and self._guesses > 0

    def restart(self) -> None:
        """A new sender: nothing of the old stream describes it, and nothing of it may be heard in the new one."""
        self._parts.decoder.reset()
        if self.dred_source:
            self.dred_source.clear()
        if self._vocoder and self._history:
            self._vocoder.forget()
            self._history.clear()
        if self._parts.plc:
            self._parts.plc.reset()
        self._ends.close()
        self._tail = None
        self._guesses = 0
        self._state = State.FRESH
        self.in_dtx = False

    def set_quality(self, quality: int) -> None:
        """Set the level (pi.quality) of gaps that begin from now on; LATE also stops a vocoder that speaks."""
        self._quality = quality
        if quality == LATE and self.speaking:
            self._ends.close()
            self._state = State.CUT

    def silence(self) -> Pcm:
        """No stream is playing."""
        pcm = crossfade.release(self._last)
        self._last = 0
        if self._state is not State.FRESH:
            self._state = State.MUTED
        return pcm

    def render(self, period: Period) -> Choice:
        """The best there is for this period."""
        cut = self._state is State.CUT
        choice = self._left_out(period) or self._received(period) or self._repeated(period) or self._missing(period)
        choice.pcm = self._ended(choice.pcm, cut)
        return choice

    def hold(self) -> Pcm:
        """20 ms that belong to no packet: the next one is late and playout waits for it."""
        cut = self._state is State.CUT
        if self._vocoder is None or self._saving():
            pcm = self._decoded(self._hidden())
        else:
            if not self.speaking and self._history:
                self._history.complete(self._hidden()[:DELAY])
            self._ends.close()  # time without a number: the end of this gap cannot be told from here
            pcm = self._guessed_speech(None)
        return self._ended(pcm, cut)

    def _ended(self, pcm: Pcm, cut: bool) -> Pcm:
        """What is heard; after a cut it begins where the vocoder was stopped."""
        if cut:
            pcm = crossfade.bend(self._last, pcm)
        self._last = int(pcm[-1])
        return pcm

    def described_by(self, period: Period) -> int | None:
        """The packet that a lost period would be taken from, None when none that is here describes it."""
        if self._repeats(period):
            return period.number + 1
        return self.dred_source.holder(period) if self.dred_source else None

    def _repeats(self, period: Period) -> bool:
        """True when the packet after it repeats it (LBRR)."""
        try:
            return bool(self._use_lbrr and period.following and self._parts.reader.has_lbrr(period.following))
        except (ValueError, RuntimeError):
            return False

    # --- decoded speech ---

    def _left_out(self, period: Period) -> Choice | None:
        """The sender sent nothing because nobody spoke: the decoder's comfort noise."""
        goes_on = self.in_dtx and period.packet is None and period.later is None
        if period.packet != b"" and not goes_on:
            return None
        self._approach(period, b"")
        return Choice(self._decoded(self._hidden()), "dtx")

    def _received(self, period: Period) -> Choice | None:
        packet = period.packet
        if packet is None:
            return None
        try:
            self.in_dtx = self._parts.reader.is_dtx(packet)
            self._approach(period, packet)
            with self._timer.stage("opus"):
                pcm = self._parts.decoder.decode(packet)
        except (ValueError, RuntimeError):
            self.damaged += 1
            return None
        return Choice(self._decoded(pcm), "opus")

    def _repeated(self, period: Period) -> Choice | None:
        if not self._repeats(period):
            return None
        try:
            self._approach(period, period.following)
            with self._timer.stage("opus"):
                pcm = self._parts.decoder.decode_fec(period.following, PACKET_SAMPLES)
        except (ValueError, RuntimeError):
            return None
        return Choice(self._decoded(pcm), "lbrr")

    def _approach(self, period: Period, packet: bytes) -> None:
        """Prepare the transition to decoded speech: 10 ms of vocoder for the cross-fade, and the decoder primed."""
        if self._vocoder is None or self._history is None or not self.speaking:
            return
        rows = self._rows_after(period)
        with self._timer.stage("vocoder"):
            self._tail = self._vocoder.tail(rows)
        self._state = State.DECODING
        with self._timer.stage("opus"):
            self._ends.prime_decoder(self._history.samples, self._tail, packet)

    def _rows_after(self, period: Period) -> Rows:
        """Rows float32[4, 20] of the first packet after a gap."""
        rows = None
        if self.dred_source and (period.packet or period.following):
            with self._timer.stage("dred"):
                rows = self.dred_source.rows(period.number + (not period.packet), period.number)
        if rows is None:
            rows = self._ends.after(period.number)
        return self._predict(1) if rows is None else rows

    def _decoded(self, pcm: Pcm) -> Pcm:
        """The decoder's output: joined to what came before, and remembered."""
        self._guesses = 0
        if self._tail is not None:
            pcm = pcm.copy()
            pcm[:FRAME_SAMPLES] = crossfade.cross_fade(self._tail, pcm[:FRAME_SAMPLES])
            self._tail = None
        elif self._state is State.MUTED:
            pcm = crossfade.fade_in(pcm)
        self._state = State.DECODING
        self._remember(pcm)
        return pcm

    # --- lost speech ---

    def _missing(self, period: Period) -> Choice:
        """Nothing decodable. The decoder hears of it whatever the listener hears."""
        hidden = self._hidden()
        if self._vocoder is None or self._history is None:
            return Choice(self._decoded(hidden), "conceal")
        self._tail = None
        if self._saving():
            return Choice(self._decoded(hidden), "conceal", OVERLOAD)
        if not self.speaking:
            self._history.complete(hidden[:DELAY])
            self._ends.open(period.number, self._history)
        rows, reason = self._described(period)
        if rows is None:
            return Choice(self._guessed_speech(period), "plc", reason)
        self._guesses = 0
        return Choice(self._speak(rows), "dred")

    def _saving(self) -> bool:
        """True in a lost period that the decoder conceals although there is a vocoder."""
        return self._quality >= CLASSIC and not self.speaking

    def _hidden(self) -> Pcm:
        """The decoder's own concealment, which also moves its state on."""
        try:
            with self._timer.stage("opus"):
                return self._parts.decoder.conceal(PACKET_SAMPLES)
        except RuntimeError:
            return np.zeros(PACKET_SAMPLES, np.int16)

    def _described(self, period: Period) -> tuple[Rows | None, str]:
        if self.dred_source is None:
            return None, "concealment without DRED"
        with self._timer.stage("dred"):
            return self.dred_source.find(period)

    def _guessed_speech(self, period: Period | None) -> Pcm:
        """20 ms that no packet describes: towards what follows if that is known, else predicted; in the end silence."""
        self._guesses += 1
        if self._guesses > MUTE_AFTER:
            self._state = State.MUTED
            pcm = np.zeros(PACKET_SAMPLES, np.int16)
            self._remember(pcm, learn=False)
            return pcm
        with self._timer.stage("features"):
            rows = None if period is None else self._ends.bridge(period.number)
        pcm = self._speak(self._predict(2), predicted=True) if rows is None else self._speak(rows)
        return crossfade.fade_out(pcm) if self._guesses == MUTE_AFTER else pcm

    def _speak(self, rows: Rows, predicted: bool = False) -> Pcm:
        """20 ms of vocoder from rows float32[4, 20]; predicted: they are a guess from what was before the gap alone."""
        assert self._vocoder is not None
        with self._timer.stage("vocoder"):
            if not self.speaking:
                self._vocoder.begin(rows, self._quality >= SMALL)
            pcm = self._vocoder.speak(rows, predicted)
        if self._state is State.MUTED:
            pcm = crossfade.fade_in(pcm)
        self._state = State.GUESSING if predicted else State.SYNTHESISING
        self._remember(pcm, rows[:2], learn=not predicted)
        return pcm

    # --- what is remembered of the output ---

    def _remember(self, pcm: Pcm, rows: Rows | None = None, learn: bool = True) -> None:
        """Output int16[320], and its rows float32[2, 20] if it was synthesised; learn: the predictor continues it."""
        if self._history:
            with self._timer.stage("features"):
                self._history.append(pcm, rows, learn)

    def _predict(self, count: int) -> Rows:
        """Rows float32[4, 20]: count (1 or 2) predicted ones, the last one repeated."""
        assert self._parts.plc is not None and self._history is not None
        with self._timer.stage("features"):
            heard = self._history.unlearnt()
        with self._timer.stage("plc"):
            for row in heard:
                self._parts.plc.update(row)
            self._parts.plc.background = self._history.background
            rows = [self._parts.plc.predict() for _ in range(count)]
        return np.stack(rows + rows[-1:] * (4 - len(rows)))
