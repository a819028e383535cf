# SPDX-License-Identifier: BSD-2-Clause
"""The concealer: it fills one packet period from the best source, joined to the period before."""

from collections.abc import Callable
from dataclasses import dataclass

from dredge_device.pi.concealment.crossfade import State, Transition
from dredge_device.pi.concealment.decoder_priming import HiddenConcealment
from dredge_device.pi.concealment.dred_source import DredSource
from dredge_device.pi.concealment.gap_ends import GapEnds
from dredge_device.pi.concealment.history import History
from dredge_device.pi.concealment.synthesis import Synthesis
from dredge_device.pi.factory import Parts
from dredge_device.pi.interfaces import Decoder, PacketReader, Pcm
from dredge_device.pi.quality import CLASSIC, FULL, OVERLOAD
from dredge_device.pi.stage_timer import StageTimer
from dredge_device.playout import Period
from dredge_device.units import PACKET_SAMPLES


@dataclass(slots=True)
class Choice:
    """20 ms of output, their source, and why no better source served."""

    pcm: Pcm
    source: str
    reason: str = ""


class Concealer:
    """The source of speech for every period. dred_source: rows of a gap from later packets; ends: its two sides."""

    def __init__(
        self, parts: Parts, dred_source: DredSource | None, ends: GapEnds, use_lbrr: bool, timer: StageTimer
    ) -> None:
        self._parts = parts
        self._use_lbrr = use_lbrr
        self._timer = timer
        self._transition = Transition()
        self._hidden = HiddenConcealment(parts.decoder, timer)
        self._synthesis = None
        if parts.vocoder and parts.extractor:
            history = History(parts.extractor, parts.background)
            self._synthesis = Synthesis(parts, history, dred_source, ends, self._transition, timer)
        self.dred_source = dred_source
        self._quality = FULL
        self.in_dtx = False  # the sender has announced a pause (DTX)
        self.damaged = 0  # Opus packets that the decoder refused

    @property
    def has_vocoder(self) -> bool:
        """False when losses are concealed by the decoder alone."""
        return self._synthesis is not None

    @property
    def synthesising(self) -> bool:
        """True while the vocoder synthesises: in a gap, or before the first packet after one."""
        return self._transition.synthesising

    @property
    def undescribed(self) -> int:
        """The number of consecutive lost packets up to now that no packet described."""
        return self._transition.undescribed

    def restart(self) -> None:
        """Forget the old stream, since a new sender begins: none of its rows or sound reaches the new one."""
        self._parts.decoder.reset()
        if self._synthesis:
            self._synthesis.restart()
        self._transition.restart()
        self.in_dtx = False
        self._hidden.forget()

    def set_quality(self, quality: int) -> None:
        """Set the level (pi.quality) of gaps that begin from now on; LATE also stops the synthesis of this gap."""
        self._quality = quality
        if self._synthesis:
            self._synthesis.set_quality(quality)

    def silence(self) -> Pcm:
        """Return 20 ms while no stream is playing."""
        return self._transition.silence()

    def render(self, period: Period) -> Choice:
        """Return 20 ms for this period, from the best available source."""
        cut = self._transition.state is State.CUT
        choice = self._left_out(period) or self._received(period) or self._repeated(period) or self._missing(period)
        choice.pcm = self._transition.ended(choice.pcm, cut)
        return choice

    def hold(self) -> Pcm:
        """Return 20 ms that belong to no packet, while playout waits for a late one."""
        cut = self._transition.state is State.CUT
        if self._synthesis is None or self._saving():
            pcm = self._decoded(self._hidden.conceal())
        else:
            pcm = self._synthesis.hold(self._hidden.conceal)
        return self._transition.ended(pcm, cut)

    def described_by(self, period: Period) -> int | None:
        """Return the packet from which a lost period would be recovered, None when no stored packet describes it."""
        if self.repeats(period):
            return period.number + 1
        return self.dred_source.holder(period) if self.dred_source else None

    def repeats(self, period: Period) -> bool:
        """Return whether the packet after this period repeats it (LBRR), so that the decoder can decode it."""
        return self._use_lbrr and _repeats(self._parts.reader, period)

    def _left_out(self, period: Period) -> Choice | None:
        """Return the decoder's comfort noise for a period that the sender left out in a pause."""
        goes_on = self.in_dtx and period.packet is None and period.later is None
        if period.packet != b"" and not goes_on:
            return None
        self._approach(period, b"")
        return Choice(self._decoded(self._hidden.conceal()), "dtx")

    def _received(self, period: Period) -> Choice | None:
        packet = period.packet
        if packet is None:
            return None
        try:
            self.in_dtx = self._parts.reader.is_dtx(packet)
            pcm = self._arrived(period, packet, lambda one: one.decode(packet))
        except (ValueError, RuntimeError):
            self.damaged += 1
            return None
        return Choice(self._decoded(pcm), "opus")

    def _repeated(self, period: Period) -> Choice | None:
        if not self.repeats(period):
            return None
        try:
            pcm = self._arrived(period, period.following, lambda one: one.decode_fec(period.following, PACKET_SAMPLES))
        except (ValueError, RuntimeError):
            return None
        return Choice(self._decoded(pcm), "lbrr")

    def _arrived(self, period: Period, packet: bytes, decode: Callable[[Decoder], Pcm]) -> Pcm:
        """Return the decoder's int16[320] for a packet; decode: decodes it with a decoder."""
        primed = self._approach(period, packet)
        with self._timer.stage("opus"):
            pcm = decode(self._parts.decoder)
            return self._synthesis.checked(pcm, decode, period.following) if primed and self._synthesis else pcm

    def _approach(self, period: Period, packet: bytes) -> bool:
        """Prepare the transition to decoded speech: 10 ms for the cross-fade, and the decoder primed, if True."""
        joined = self.synthesising or self._transition.state is State.BACKGROUND
        primed = self._synthesis is not None and joined and self._synthesis.leave(period, packet)
        self._hidden.settle(primed)
        return primed

    def _decoded(self, pcm: Pcm) -> Pcm:
        """Return the decoder's output joined to what came before, and remember it."""
        pcm = self._transition.decoded(pcm)
        if self._synthesis:
            self._synthesis.remember(pcm)
        return pcm

    def _missing(self, period: Period) -> Choice:
        """Return 20 ms without a decodable packet; the decoder follows later while the vocoder synthesises."""
        if self._synthesis is None:
            return Choice(self._decoded(self._hidden.conceal()), "conceal")
        self._transition.tail = None
        if self._saving():
            return Choice(self._decoded(self._hidden.conceal()), "conceal", OVERLOAD)
        if self.synthesising:
            self._hidden.put_off()
        else:
            self._synthesis.open(period.number, self._hidden.conceal())
        rows, reason = self._synthesis.described(period)
        if rows is None:
            return Choice(self._synthesis.conceal(period), "plc", reason)
        self._transition.undescribed = 0
        return Choice(self._synthesis.synthesise(rows, denoised=True), "dred")

    def _saving(self) -> bool:
        """Return whether the decoder conceals this lost period although there is a vocoder."""
        return self._quality >= CLASSIC and not self.synthesising


def _repeats(reader: PacketReader, period: Period) -> bool:
    """Return whether the packet after it has a copy of it; an unreadable packet has none."""
    try:
        return bool(period.following and reader.has_lbrr(period.following))
    except (ValueError, RuntimeError):
        return False
