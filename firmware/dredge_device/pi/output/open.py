# SPDX-License-Identifier: BSD-2-Clause
"""Outputs by name: WAV files, a sound card, another program, or a counter."""


from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.output.files import PRIVATE, is_stream
from dredge_device.pi.output.interface import SPEECH, Format, Output
from dredge_device.pi.output.pipe import to_command, to_stdout
from dredge_device.pi.output.wav import WavOutput
from dredge_device.pi.schema.report import OutputReport
from dredge_device.pi.transport.schemes import PCM, scheme_of
from dredge_device.units import SAMPLE_RATE

GRAMMAR = """FILE.wav          a file per session, under the next free name; a FIFO or device: a WAV stream per session
speaker[:NAME]    a sound card (dredge devices lists them); play is the default one
-                 standard output: mono int16, little-endian, 16 kHz or --rate
pipe:COMMAND      the same to the input of a command
udp-pcm://…       a MicroPython board with a loudspeaker; board://DEVICE?baud=N on a serial port or USB
null              nowhere"""
COMMAND = "pipe:"


class NullOutput:
    """An output that only counts samples."""

    def __init__(self) -> None:
        self._samples = 0

    def write(self, pcm: Pcm, of_stream: bool) -> None:
        """Count a period of the stream; others (of_stream=False) are not counted."""
        self._samples += len(pcm) if of_stream else 0

    def close(self) -> OutputReport:
        """End the session and return its report."""
        done, self._samples = self._samples, 0
        return {"kind": "null", "samples": done}

    def discard(self) -> None:
        """Do nothing, since nothing is open."""


def is_card(text: str) -> bool:
    """Return whether the text names a loudspeaker, which has its own clock."""
    return text == "play" or text.partition(":")[0] == "speaker"


def is_board(text: str) -> bool:
    """Return whether the text names a MicroPython board, as a source or as an output."""
    return scheme_of(text) in PCM


def is_file(text: str) -> bool:
    """Return whether the text names a file, where late writing does no harm; elsewhere it delays the sound."""
    return text == "null" or text.lower().endswith(".wav")


def open_output(
    text: str, rate: int = SAMPLE_RATE, form: Format = SPEECH, *, overwrite: bool = False, mode: int = PRIVATE
) -> Output:
    """Return the output of a text (see GRAMMAR), raw samples at this rate. Raises ValueError for anything else.

    form: format of the samples; overwrite, mode: for files (``WavOutput``). Raises CapabilityError for a missing card
    and OSError for a file or device that cannot be written or opened.
    """
    if text == "null":
        return NullOutput()
    if is_card(text):
        from dredge_device.pi.output.soundcard import SpeakerOutput

        return SpeakerOutput(text.partition(":")[2], form)
    if is_board(text):
        from dredge_device.pi.output.board import BoardOutput

        if form != SPEECH:
            raise ValueError(f"{text}: a board takes {SAMPLE_RATE} Hz, one channel; leave --rate and --channels away")
        return BoardOutput(text)
    if text == "-":
        return to_stdout(rate, form)
    if text.startswith(COMMAND):
        if not text.removeprefix(COMMAND).strip():
            raise ValueError(f"output is '{text}', expected pipe:COMMAND, for example 'pipe:aplay -f S16_LE -r 16000'")
        return to_command(text.removeprefix(COMMAND), rate, form)
    if text.lower().endswith(".wav") or (text and is_stream(text)):
        return WavOutput(text, overwrite, mode, form)
    raise ValueError(
        f"output is '{text}', expected null, play or a file name ending in .wav, speaker:NAME, -, pipe:COMMAND, "
        f"{' or '.join(scheme.usage for scheme in PCM)}"
    )
