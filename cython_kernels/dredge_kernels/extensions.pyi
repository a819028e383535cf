# SPDX-License-Identifier: BSD-2-Clause
from collections.abc import Iterable
from typing import NamedTuple

MIN_ID: int
MAX_ID: int
MAX_EXTENSIONS: int

class Extension(NamedTuple):
    """One extension: id 3 to 127, index of the frame it belongs to, payload."""

    id: int
    frame: int
    data: bytes

def read_extensions(packet: bytes) -> list[Extension]:
    """Extensions of an Opus packet in their order; ValueError for a malformed packet or padding."""

def add_extension(packet: bytes, ext_id: int, data: bytes, frame: int = 0) -> bytes:
    """Return the packet as code 3 with one more extension; frames untouched, no filler, exact size.

    Extensions already there are kept. ValueError for a malformed packet, an id outside 3 to 127,
    a short id (below 32) with more than one byte, or a frame that the packet does not have.
    """

def strip_padding(packet: bytes) -> bytes:
    """Return the same frames without padding, in the smallest packet. Raises ValueError if malformed."""

def parse_extensions(padding: bytes, frames: int = 1) -> list[Extension]:
    """Return the extensions in the padding bytes of a packet of `frames` frames, in the order of their bytes.

    Repeated ones (id 2) are there for every frame that they stand for. Raises ValueError for a length, a frame or a
    number of extensions (MAX_EXTENSIONS) that cannot be. Source: draft-ietf-mlcodec-opus-extension-05.
    """

def build_extensions(extensions: Iterable[Extension], frames: int = 1) -> bytes:
    """Return the padding bytes of exactly these extensions, ordered by frame."""

def check_extension(ident: int, data: bytes, frame: int, frames: int) -> None:
    """ValueError for an extension that a packet of `frames` frames cannot carry."""
