# SPDX-License-Identifier: BSD-2-Clause
"""Reading of small text files in the encodings of editors, spreadsheets and PowerShell."""

import codecs
import errno
import os
from pathlib import Path

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with that one's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_OLDER = "cp1252"  # Windows' letters for Western Europe
_MOST = 256 << 20  # bytes; a device without an end must not fill the memory


def read_text(path: str | os.PathLike[str]) -> str:
    """Return a text in the encoding that its byte order mark names; without one UTF-8, or Windows-1252 if it is no
    UTF-8.

    Raises OSError, also for more than 256 MiB.
    """
    return decode(read_bytes(path))


def read_bytes(path: str | os.PathLike[str], most: int = _MOST) -> bytes:
    """Return a text file's bytes. Raises OSError, also for more than ``most``."""
    with Path(path).open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"more than {most >> 20} MiB, expected a text file", os.fspath(path))
    return data


def decode(data: bytes) -> str:
    """Return the text of bytes, decoded likewise; line ends become newlines."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            text = data[len(mark) :].decode(encoding, "replace")
            break
    else:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = data.decode(_OLDER, "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")
