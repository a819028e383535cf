# SPDX-License-Identifier: BSD-2-Clause
"""The sound card as an output, and what happens when it goes away."""

import sys
from typing import Any

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.output.interface import CapabilityError
from dredge_device.units import SAMPLE_RATE

_AGAIN = 50  # periods (1 s) between two attempts to open a card that went away


class PlayOutput:
    """The default sound card. One that vanishes is tried again every second; the stream goes on meanwhile.

    Raises CapabilityError when there is none at the start.
    """

    def __init__(self) -> None:
        try:
            import sounddevice  # type: ignore[import-not-found, import-untyped, unused-ignore]
        except (ImportError, OSError) as error:
            raise CapabilityError(
                "playing needs the package sounddevice and libportaudio2: "
                "pip install sounddevice; or use --out FILE.wav"
            ) from error
        self._library: Any = sounddevice
        self._underflows = self._vanished = self._unheard = 0
        self._absent = 0  # periods since the card went away
        try:
            self._stream: Any = self._open()
        except sounddevice.PortAudioError as error:
            raise CapabilityError(f"no sound card can be opened: {error}") from error

    def _open(self) -> Any:
        # PortAudio's own low latency crackles on a Pi; 40 ms does not.
        stream = self._library.RawOutputStream(SAMPLE_RATE, 0, None, 1, "int16", latency=0.04)
        stream.start()
        return stream

    def write(self, pcm: Pcm, spoken: bool) -> None:
        """Everything is played, silence too; counted while there is no card."""
        if self._stream is None and not self._reopened():
            self._unheard += 1
            return
        try:
            self._underflows += bool(self._stream.write(pcm.tobytes()))
        except self._library.PortAudioError as error:
            self._unheard += 1
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        _say(f"the sound card is gone ({error}); the stream goes on and the card is tried again every second")
        self._vanished += 1
        self._absent = 0
        self._drop()

    def _drop(self, played_out: bool = False) -> None:
        stream, self._stream = self._stream, None
        try:
            if stream is not None and played_out:
                stream.stop()
            if stream is not None:
                stream.close()
        except self._library.PortAudioError:
            return  # it is gone: there is nothing to let go of

    def _reopened(self) -> bool:
        self._absent += 1
        if self._absent % _AGAIN:
            return False
        try:
            self._library._terminate()  # PortAudio lists the devices once, when it starts
            self._library._initialize()
            self._stream = self._open()
        except self._library.PortAudioError:
            return False
        _say("the sound card is back")
        return True

    def close(self) -> dict[str, Any]:
        """End of a session; the card stays open."""
        report: dict[str, Any] = {"kind": "play", "underflows": self._underflows}
        if self._underflows:
            report["advice"] = (
                "the sound card ran dry: give the agent --realtime, or a core of its own (--core), "
                "and check with `dredge check` that the board keeps up"
            )
        if self._unheard:
            report.update(vanished=self._vanished, unheard_ms=20 * self._unheard)
        self._underflows = self._vanished = self._unheard = 0
        return report

    def discard(self) -> None:
        """Lets go of the card."""
        self._drop(played_out=True)


def _say(sentence: str) -> None:
    print(f"dredge agent: {sentence}", file=sys.stderr, flush=True)
