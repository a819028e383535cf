# SPDX-License-Identifier: BSD-2-Clause
"""The concealer: the best source there is for one packet period, joined to the one before."""

from dataclasses import dataclass

import numpy as np

from dredge_device.jitter import JitterBuffer
from dredge_device.pi.concealment import crossfade
from dredge_device.pi.concealment.dred_source import DredSource
from dredge_device.pi.concealment.gap_ends import GapEnds
from dredge_device.pi.concealment.history import DELAY, History
from dredge_device.pi.concealment.vocoder_session import VocoderSession
from dredge_device.pi.factory import Parts
from dredge_device.pi.interfaces import Pcm, Rows
from dredge_device.pi.quality import CLASSIC, FULL, LATE, OVERLOAD, SMALL
from dredge_device.pi.stage_timer import StageTimer
from dredge_device.units import FRAME_SAMPLES, PACKET_SAMPLES

MUTE_AFTER = 25  # predicted packets in a row (0.5 s): by then the prediction has faded


@dataclass
class Choice:
    """20 ms of output, where it came from, and why nothing better did."""

    pcm: Pcm
    source: str
    reason: str = ""


class Concealer:
    """Turns one packet number into 20 ms of speech."""

    def __init__(self, parts: Parts, buffer: JitterBuffer, use_lbrr: bool, timer: StageTimer) -> None:
        self._parts = parts
        self._buffer = buffer
        self._use_lbrr = use_lbrr
        self._timer = timer
        self._history = History(parts.extractor) if parts.extractor else None
        self._vocoder = None
        if parts.vocoder and self._history:
            self._vocoder = VocoderSession(parts.vocoder, self._history, parts.small_vocoder)
        self.dred_source = DredSource(buffer, parts.reader, parts.dred) if parts.dred else None
        self._ends = GapEnds(parts, buffer, use_lbrr)
        self._tail: Pcm | None = None  # vocoder under the first real samples
        self._predicted = 0  # predicted packets in a row
        self._muted = False  # the last output faded to zero, so the next one must rise from it
        self._spoken = False  # something was played since the decoder started
        self._last = 0  # last output sample
        self._quality = FULL
        self._cut = False  # the vocoder was stopped in the middle of a gap
        self.in_dtx = False  # the last packet said that nobody speaks
        self.damaged = 0  # Opus packets that the decoder refused

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
        self._cut = False
        self._predicted = 0
        self._spoken = False
        self.in_dtx = False

    def silence(self) -> Pcm:
        """No stream is playing."""
        pcm = crossfade.release(self._last)
        self._last = 0
        self._muted = self._spoken
        if self._vocoder:
            self._vocoder.drop()
        return pcm

    def set_quality(self, quality: int) -> None:
        """Set the level (pi.quality) of gaps that begin from now on; LATE also stops a vocoder that speaks."""
        self._quality = quality
        if quality == LATE and self._vocoder and self._vocoder.active:
            self._vocoder.drop()
            self._ends.close()
            self._cut = True

    def play(self, number: int) -> Choice:
        """The period of this packet."""
        choice = self._left_out(number) or self._received(number) or self._repeated(number) or self._missing(number)
        choice.pcm = self._joined(choice.pcm)
        self._spoken = True
        return choice

    def hold(self) -> Pcm:
        """20 ms that belong to no packet: the next one is late and playout waits for it."""
        if self._vocoder is None or self._history is None:
            pcm = self._unmute(self._hidden())
        elif self._saving():
            pcm = self._real(self._hidden())
        else:
            if not self._vocoder.active:
                self._complete(self._hidden())
            self._ends.close()  # time without a number: the end of this gap cannot be told from here
            pcm = self._predicted_speech(None, "").pcm
        return self._joined(pcm)

    def _joined(self, pcm: Pcm) -> Pcm:
        """What is played; after a cut it begins where the vocoder was stopped."""
        if self._cut:
            pcm, self._cut = crossfade.bend(self._last, pcm), False
        self._last = int(pcm[-1])
        return pcm

    @property
    def has_vocoder(self) -> bool:
        """False when losses are concealed by the decoder alone."""
        return self._vocoder is not None

    @property
    def speaking(self) -> bool:
        """True while the vocoder speaks: in a gap, or before the first packet after one."""
        return self._vocoder is not None and self._vocoder.active

    @property
    def guessing(self) -> bool:
        """True while nothing describes what the vocoder speaks."""
        return self.speaking and self._predicted > 0

    def describable(self, number: int) -> bool:
        """True when some later packet tells what was said in this period."""
        if self._lbrr_after(number):
            return True
        return self.dred_source is not None and self.dred_source.find(number)[0] is not None

    def described_by(self, number: int) -> int | None:
        """The packet that a lost period would be taken from, None when none that is here describes it."""
        if self._lbrr_after(number):
            return number + 1
        return self.dred_source.holder(number) if self.dred_source else None

    def _lbrr_after(self, number: int) -> bool:
        following = self._buffer.get(number + 1) if self._use_lbrr else None
        try:
            return bool(following and self._parts.reader.has_lbrr(following))
        except (ValueError, RuntimeError):
            return False

    def _left_out(self, number: int) -> Choice | None:
        """The sender sent nothing because nobody spoke: the decoder's comfort noise."""
        packet = self._buffer.get(number)
        in_dtx = self.in_dtx and packet is None and self._buffer.next_after(number) is None
        if packet != b"" and not in_dtx:
            return None
        self._approach(number, b"")
        return Choice(self._real(self._hidden()), "dtx")

    def _received(self, number: int) -> Choice | None:
        packet = self._buffer.get(number)
        if packet is None:
            return None
        try:
            self.in_dtx = self._parts.reader.is_dtx(packet)
            self._approach(number, packet)
            with self._timer.stage("opus"):
                pcm = self._parts.decoder.decode(packet)
        except (ValueError, RuntimeError):
            self.damaged += 1
            return None
        return Choice(self._real(pcm), "opus")

    def _repeated(self, number: int) -> Choice | None:
        following = self._buffer.get(number + 1) if self._use_lbrr else None
        try:
            if not following or not self._parts.reader.has_lbrr(following):
                return None
            self._approach(number, following)
            with self._timer.stage("opus"):
                pcm = self._parts.decoder.decode_fec(following, PACKET_SAMPLES)
        except (ValueError, RuntimeError):
            return None
        return Choice(self._real(pcm), "lbrr")

    def _real(self, pcm: Pcm) -> Pcm:
        """Decoded speech: joined to what came before, heard by the extractor."""
        self._predicted = 0
        if self._tail is not None:
            pcm = pcm.copy()
            pcm[:FRAME_SAMPLES] = crossfade.cross_fade(self._tail, pcm[:FRAME_SAMPLES])
            self._tail = None
        elif self._muted:
            pcm = crossfade.fade_in(pcm)
        self._muted = False
        if self._history:
            with self._timer.stage("features"):
                rows = self._history.append(pcm)
            self._learn(rows)
        return pcm

    def _approach(self, number: int, packet: bytes) -> None:
        """Real speech comes next: 10 ms of vocoder to fade from, and a decoder that knows what was said."""
        if self._vocoder is None or self._history is None or not self._vocoder.active:
            return
        rows = self._rows_after(number)
        with self._timer.stage("vocoder"):
            self._tail = self._vocoder.tail(rows)
        with self._timer.stage("opus"):
            self._ends.prime_decoder(self._history.samples, self._tail, packet)

    def _rows_after(self, number: int) -> Rows:
        """Rows float32[4, 20] of the first packet after a gap."""
        rows = None
        if self.dred_source:
            with self._timer.stage("dred"):
                holder = number if self._buffer.get(number) else number + 1
                rows = self.dred_source.rows(holder, number) if self._buffer.get(holder) else None
        if rows is None:
            rows = self._ends.after(number)
        return self._predict(1) if rows is None else rows

    def _missing(self, number: int) -> Choice:
        """Nothing decodable. The decoder hears of it whatever the listener hears."""
        hidden = self._hidden()
        if self._vocoder is None or self._history is None:
            return Choice(self._unmute(hidden), "conceal")
        self._tail = None
        if self._saving():
            return Choice(self._real(hidden), "conceal", OVERLOAD)
        if not self._vocoder.active:
            self._complete(hidden)
            self._ends.open(number, self._history)
        return self._synthetic(number)

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

    def _complete(self, hidden: Pcm) -> None:
        """The feature row that still needs 5 ms of what would have come."""
        assert self._history is not None
        with self._timer.stage("features"):
            rows = self._history.complete(hidden[:DELAY])
        self._learn(rows)

    def _synthetic(self, number: int) -> Choice:
        rows, reason = self._described(number)
        if rows is not None:
            self._predicted = 0
            self._learn(list(rows[:2]))
            return Choice(self._speak(rows), "dred")
        return self._predicted_speech(number, reason)

    def _predicted_speech(self, number: int | None, reason: str) -> Choice:
        self._predicted += 1
        if self._predicted > MUTE_AFTER:
            return Choice(self._mute(), "plc", reason)
        pcm = self._speak(*self._guessed(number))
        if self._predicted == MUTE_AFTER:
            pcm = crossfade.fade_out(pcm)
        return Choice(pcm, "plc", reason)

    def _described(self, number: int) -> tuple[Rows | None, str]:
        if self.dred_source is None:
            return None, "concealment without DRED"
        with self._timer.stage("dred"):
            return self.dred_source.find(number)

    def _guessed(self, number: int | None) -> tuple[Rows, bool]:
        """Rows float32[4, 20]: towards what follows if that is known, else predicted; whether they are."""
        with self._timer.stage("features"):
            rows = None if number is None else self._ends.bridge(number)
        if rows is None:
            return self._predict(2), True
        self._learn(list(rows[:2]))
        return rows, False

    def _speak(self, rows: Rows, predicted: bool = False) -> Pcm:
        assert self._vocoder is not None and self._history is not None
        with self._timer.stage("vocoder"):
            pcm = self._unmute(self._vocoder.speak(rows, self._quality >= SMALL, predicted))
        with self._timer.stage("features"):
            self._history.append(pcm, rows[:2])
        return pcm

    def _unmute(self, pcm: Pcm) -> Pcm:
        muted, self._muted = self._muted, False
        return crossfade.fade_in(pcm) if muted else pcm

    def _mute(self) -> Pcm:
        """After half a second without news there is nothing left to say."""
        assert self._vocoder is not None and self._history is not None
        self._vocoder.drop()
        self._muted = True
        pcm = np.zeros(PACKET_SAMPLES, np.int16)
        with self._timer.stage("features"):
            self._history.append(pcm)
        return pcm

    def _predict(self, count: int) -> Rows:
        """Rows float32[4, 20]: count (1 or 2) predicted ones, the last one repeated."""
        assert self._parts.plc is not None
        with self._timer.stage("plc"):
            rows = [self._parts.plc.predict() for _ in range(count)]
        return np.stack(rows + rows[-1:] * (4 - len(rows)))

    def _learn(self, rows: list[Rows]) -> None:
        if self._parts.plc is not None and rows:
            with self._timer.stage("plc"):
                for row in rows:
                    self._parts.plc.update(row)
