# SPDX-License-Identifier: BSD-2-Clause
"""The recovery ladder: the best source there is for one packet period, joined to the one before."""

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
from dredge_device.pi.service.governor import CLASSIC, FULL, HURRIED, OVERLOAD, SMALL
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

    def __init__(self, parts: Parts, buffer: JitterBuffer, use_lbrr: bool, meter: StageTimer) -> None:
        self._parts = parts
        self._buffer = buffer
        self._use_lbrr = use_lbrr
        self._meter = meter
        self._history = History(parts.extractor) if parts.extractor else None
        self._voice = None
        if parts.vocoder and self._history:
            self._voice = VocoderSession(parts.vocoder, self._history, parts.economy)
        self.recovery = DredSource(buffer, parts.carrier, parts.dred) if parts.dred else None
        self._ends = GapEnds(parts, buffer, use_lbrr)
        self._tail: Pcm | None = None  # vocoder under the first real samples
        self._predicted = 0  # predicted packets in a row
        self._muted = False  # the last output faded to zero, so the next one must rise from it
        self._spoken = False  # something was played since the decoder started
        self._last = 0  # last output sample
        self._effort = FULL
        self._plain = False  # this gap is concealed by the decoder alone, to its end
        self._cut = False  # the vocoder was stopped in the middle of a gap
        self.resting = False  # the last packet said that nobody speaks
        self.damaged = 0  # Opus packets that the decoder refused

    def restart(self) -> None:
        """A new sender: nothing of the old stream describes it, and nothing of it may be heard in the new one."""
        self._parts.decoder.reset()
        if self.recovery:
            self.recovery.clear()
        if self._voice and self._history:
            self._voice.forget()
            self._history.clear()
        if self._parts.plc:
            self._parts.plc.reset()
        self._ends.close()
        self._tail = None
        self._plain = self._cut = False
        self._predicted = 0
        self._spoken = False
        self.resting = False

    def silence(self) -> Pcm:
        """No stream is playing."""
        pcm = crossfade.release(self._last)
        self._last = 0
        self._muted = self._spoken
        if self._voice:
            self._voice.drop()
        return pcm

    def spend(self, effort: int) -> None:
        """How much work the next periods may be (pi.load). Gaps that have begun go on, unless it is HURRIED."""
        self._effort = effort
        if effort == HURRIED and self._voice and self._voice.active:
            self._voice.drop()
            self._ends.close()
            self._plain = self._cut = True

    def play(self, number: int) -> Choice:
        """The period of this packet."""
        choice = self._left_out(number) or self._received(number) or self._repeated(number) or self._missing(number)
        choice.pcm = self._joined(choice.pcm)
        self._spoken = True
        return choice

    def hold(self) -> Pcm:
        """20 ms that belong to no packet: the next one is late and playout waits for it."""
        if self._voice is None or self._history is None:
            pcm = self._unmute(self._hidden())
        elif self._saving():
            pcm = self._real(self._hidden())
        else:
            if not self._voice.active:
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

    def describable(self, number: int) -> bool:
        """True when some later packet tells what was said in this period."""
        following = self._buffer.get(number + 1) if self._use_lbrr else None
        try:
            if following and self._parts.carrier.has_lbrr(following):
                return True
        except (ValueError, RuntimeError):
            pass
        return self.recovery is not None and self.recovery.find(number)[0] is not None

    def _left_out(self, number: int) -> Choice | None:
        """The sender sent nothing because nobody spoke: the decoder's comfort noise."""
        packet = self._buffer.get(number)
        resting = self.resting and packet is None and self._buffer.next_after(number) is None
        if packet != b"" and not resting:
            return None
        self._approach(number, b"")
        return Choice(self._real(self._hidden()), "dtx")

    def _received(self, number: int) -> Choice | None:
        packet = self._buffer.get(number)
        if packet is None:
            return None
        try:
            self.resting = self._parts.carrier.rests(packet)
            self._approach(number, packet)
            with self._meter.stage("opus"):
                pcm = self._parts.decoder.decode(packet)
        except (ValueError, RuntimeError):
            self.damaged += 1
            return None
        return Choice(self._real(pcm), "opus")

    def _repeated(self, number: int) -> Choice | None:
        following = self._buffer.get(number + 1) if self._use_lbrr else None
        try:
            if not following or not self._parts.carrier.has_lbrr(following):
                return None
            self._approach(number, following)
            with self._meter.stage("opus"):
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
            with self._meter.stage("features"):
                rows = self._history.append(pcm)
            self._learn(rows)
        return pcm

    def _approach(self, number: int, packet: bytes) -> None:
        """Real speech comes next: 10 ms of vocoder to fade from, and a decoder that knows what was said."""
        self._plain = False
        if self._voice is None or self._history is None or not self._voice.active:
            return
        rows = self._rows_after(number)
        with self._meter.stage("vocoder"):
            self._tail = self._voice.tail(rows)
        with self._meter.stage("opus"):
            self._ends.rehearse(self._history.samples, self._tail, packet)

    def _rows_after(self, number: int) -> Rows:
        """Rows float32[4, 20] of the first packet after a gap."""
        rows = None
        if self.recovery:
            with self._meter.stage("dred"):
                holder = number if self._buffer.get(number) else number + 1
                rows = self.recovery.rows(holder, number) if self._buffer.get(holder) else None
        if rows is None:
            rows = self._ends.after(number)
        return self._predict(1) if rows is None else rows

    def _missing(self, number: int) -> Choice:
        """Nothing decodable. The decoder hears of it whatever the listener hears."""
        hidden = self._hidden()
        if self._voice is None or self._history is None:
            return Choice(self._unmute(hidden), "conceal")
        self._tail = None
        if self._saving():
            return Choice(self._real(hidden), "conceal", OVERLOAD)
        if not self._voice.active:
            self._complete(hidden)
            self._ends.open(number, self._history)
        return self._synthetic(number)

    def _saving(self) -> bool:
        """True in a gap that the decoder conceals although there is a vocoder."""
        self._plain |= self._effort >= CLASSIC and self._voice is not None and not self._voice.active
        return self._plain

    def _hidden(self) -> Pcm:
        """The decoder's own concealment, which also moves its state on."""
        try:
            with self._meter.stage("opus"):
                return self._parts.decoder.conceal(PACKET_SAMPLES)
        except RuntimeError:
            return np.zeros(PACKET_SAMPLES, np.int16)

    def _complete(self, hidden: Pcm) -> None:
        """The feature row that still needs 5 ms of what would have come."""
        assert self._history is not None
        with self._meter.stage("features"):
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
        if self.recovery is None:
            return None, "concealment without DRED"
        with self._meter.stage("dred"):
            return self.recovery.find(number)

    def _guessed(self, number: int | None) -> tuple[Rows, bool]:
        """Rows float32[4, 20]: towards what follows if that is known, else predicted; whether they are."""
        with self._meter.stage("features"):
            rows = None if number is None else self._ends.bridge(number)
        if rows is None:
            return self._predict(2), True
        self._learn(list(rows[:2]))
        return rows, False

    def _speak(self, rows: Rows, blind: bool = False) -> Pcm:
        assert self._voice is not None and self._history is not None
        with self._meter.stage("vocoder"):
            pcm = self._unmute(self._voice.speak(rows, self._effort >= SMALL, blind))
        with self._meter.stage("features"):
            self._history.append(pcm, rows[:2])
        return pcm

    def _unmute(self, pcm: Pcm) -> Pcm:
        muted, self._muted = self._muted, False
        return crossfade.fade_in(pcm) if muted else pcm

    def _mute(self) -> Pcm:
        """After half a second without news there is nothing left to say."""
        assert self._voice is not None and self._history is not None
        self._voice.drop()
        self._muted = True
        pcm = np.zeros(PACKET_SAMPLES, np.int16)
        with self._meter.stage("features"):
            self._history.append(pcm)
        return pcm

    def _predict(self, count: int) -> Rows:
        """Rows float32[4, 20]: count (1 or 2) predicted ones, the last one repeated."""
        assert self._parts.plc is not None
        with self._meter.stage("plc"):
            rows = [self._parts.plc.predict() for _ in range(count)]
        return np.stack(rows + rows[-1:] * (4 - len(rows)))

    def _learn(self, rows: list[Rows]) -> None:
        if self._parts.plc is not None and rows:
            with self._meter.stage("plc"):
                for row in rows:
                    self._parts.plc.update(row)
