# SPDX-License-Identifier: BSD-2-Clause
"""Sound cards by name, at a rate that they support (PortAudio, through the package sounddevice).

PortAudio lists the cards once, when it starts, and starting it anew ends every stream of the process. All streams are
therefore kept here, under one lock: when a card is looked for again, the others are opened again as well.
"""

import threading
import weakref
from dataclasses import dataclass
from typing import Any

from dredge_device.pi.output.interface import SPEECH, CapabilityError, Format
from dredge_device.pi.standard_streams import say

LATENCY_S = 0.04  # PortAudio's own low latency crackles on a Pi; 40 ms does not
AGAIN = 50  # periods (1 s) between two attempts to reopen a card that was unplugged
INPUT, OUTPUT = "input", "output"
_MAKERS = {INPUT: "RawInputStream", OUTPUT: "RawOutputStream"}
_WORDS = {INPUT: "microphone", OUTPUT: "sound card"}

_lock = threading.RLock()  # around every call of PortAudio; no call here waits for a card
_streams: "weakref.WeakSet[CardStream]" = weakref.WeakSet()


@dataclass(frozen=True)
class Card:
    """A sound card as PortAudio names it; inputs and outputs count channels, rate is its own in Hz."""

    name: str
    inputs: int
    outputs: int
    rate: int
    default_input: bool
    default_output: bool


def library() -> Any:
    """Return the module sounddevice. Raises CapabilityError that says what to install."""
    try:
        import sounddevice  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except (ImportError, OSError) as error:
        raise CapabilityError(
            "a sound card needs the package sounddevice and libportaudio2: "
            "sudo apt install libportaudio2; pip install sounddevice; or use a file, a pipe or null"
        ) from error
    return sounddevice


def cards() -> list[Card]:
    """Return the sound cards of this machine. Raises CapabilityError without sounddevice."""
    sounddevice = library()
    with _lock:
        found = sounddevice.query_devices()
        defaults = [sounddevice.default.device[0], sounddevice.default.device[1]]
    return [
        Card(
            str(one["name"]), int(one["max_input_channels"]), int(one["max_output_channels"]),
            round(one["default_samplerate"]), index == defaults[0], index == defaults[1],
        )
        for index, one in enumerate(found)
    ]  # fmt: skip


class CardStream:
    """One direction of a card at the rate of ``form``, or at the card's own where it does not support that.

    ``room``: frames that can be read or written now without waiting, None while the card is missing. A card that went
    away is looked for once a second by ``room``. Raises CapabilityError when there is none at the start.
    """

    def __init__(self, direction: str, name: str = "", form: Format = SPEECH) -> None:
        self._library = library()
        self._direction, self._name = direction, name
        self._stream: Any = None
        self._absent = 0  # periods since the card disappeared
        self._form = form
        self.rate, self.channels = form
        self.capacity = 0  # frames that an empty output has room for
        self.vanished = 0
        try:
            with _lock:
                self._open()
        except (self._library.PortAudioError, ValueError) as error:
            raise CapabilityError(self._absence(error)) from error
        except AttributeError as error:
            text = f"this sounddevice package cannot play in time ({error}); install python-sounddevice"
            raise CapabilityError(text) from error
        _streams.add(self)

    @property
    def _what(self) -> str:
        return f"{_WORDS[self._direction]} '{self._name}'" if self._name else _WORDS[self._direction]

    def _absence(self, error: Exception) -> str:
        """Return why the card cannot be opened, and what to do."""
        if not any(card[f"max_{self._direction}_channels"] for card in self._library.query_devices()):
            return f"no {self._what} is connected (see `dredge devices`); use a file, pipe:COMMAND or null instead"
        return f"no {self._what} can be opened: {error}; see `dredge devices`"

    def room(self) -> int | None:
        """Return the frames that can be read or written now, None while the card is missing; then look for it."""
        with _lock:
            if self._stream is None and not self._reopened():
                return None
            try:
                return int(self._stream.read_available if self._direction == INPUT else self._stream.write_available)
            except self._library.PortAudioError as error:
                self.lose(error)
                return None

    def write(self, data: bytes) -> bool | None:
        """Play frames for which there is room; True when the card had run dry, None when it is missing."""
        with _lock:
            if self._stream is None:
                return None
            try:
                return bool(self._stream.write(data))
            except self._library.PortAudioError as error:
                self.lose(error)
                return None

    def read(self, frames: int) -> tuple[bytes, bool] | None:
        """Return the available frames, and whether some before them were lost; None when the card is missing."""
        with _lock:
            if self._stream is None:
                return None
            try:
                data, over = self._stream.read(frames)
                return bytes(data), bool(over)
            except self._library.PortAudioError as error:
                self.lose(error)
                return None

    def lose(self, error: object) -> None:
        """Close the card, which has failed, so that it is looked for again."""
        _say(f"the {self._what} is gone ({error}); it is tried again every second and the rest goes on")
        self.vanished += 1
        self._absent = 0
        self.close()

    def close(self, played_out: bool = False) -> None:
        """Release the card; played_out: wait until the written samples were played."""
        with _lock:
            stream, self._stream = self._stream, None
            try:
                if stream is not None and played_out:
                    stream.stop()
                if stream is not None:
                    stream.close()
            except self._library.PortAudioError:
                return  # the card is gone, so nothing is left to release

    def _open(self) -> None:
        device = self._library.query_devices(self._name, self._direction)["index"] if self._name else None
        self.rate, self.channels = self._format(device)
        maker = getattr(self._library, _MAKERS[self._direction])
        stream = maker(self.rate, 0, device, self.channels, "int16", latency=LATENCY_S)
        stream.start()
        self._stream = stream
        self.capacity = int(stream.write_available) if self._direction == OUTPUT else 0

    def _format(self, device: int | None) -> tuple[int, int]:
        """Return the rate and channels asked for where the card supports them, else two channels, else its own rate."""
        check = getattr(self._library, f"check_{self._direction}_settings")
        own = round(self._library.query_devices(device, self._direction)["default_samplerate"])
        wanted, least = self._form
        for rate, channels in dict.fromkeys(((wanted, least), (wanted, 2), (own, least), (own, 2), (own, 1))):
            try:
                check(device=device, channels=channels, dtype="int16", samplerate=rate)
            except self._library.PortAudioError:
                continue
            return rate, channels
        return own, 1

    def _reopened(self) -> bool:
        self._absent += 1
        if self._absent % AGAIN:
            return False
        others = [other for other in _streams if other is not self and other._stream is not None]
        try:
            for other in others:
                other.close()
            self._library._terminate()
            self._library._initialize()
            for other in others:
                other._open()
            self._open()
        except (self._library.PortAudioError, ValueError):
            return False
        _say(f"the {self._what} is back")
        return True


def _say(sentence: str) -> None:
    say(sentence, name="dredge")
