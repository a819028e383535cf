# SPDX-License-Identifier: BSD-2-Clause
"""Writing of files, on device and host, by one policy.

A plain file appears under its name whole or not at all: it is written under an unpredictable name in the same
folder, and is renamed when it is complete. Links are followed to the file they stand for; a file that is replaced
passes on its owner and its permissions. Devices, FIFOs and standard output (``-``) are written through. Every
error is an OutputError that names the path as it was given.
"""

import os
import re
import secrets
import select
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType

from dredge_device.pi.transport.errors import refusal

StrPath = str | os.PathLike[str]

PUBLIC = 0o666  # for data that can be computed again (before the umask)
PRIVATE = 0o600  # for recordings of speech and of network traffic
STDOUT = "-"

_MOST_LINKS = 40  # as Linux
_DESCRIPTOR = re.compile(r"/(?:dev/fd|proc/(self|[0-9]+)/fd)/([0-9]{1,6})")
_SHOWN = 80  # bytes of the name that a temporary name repeats


class OutputError(OSError):
    """A file cannot be written; the message is one sentence that begins with the path as given."""


class OutputFile:
    """A file being written; a context manager that completes it, or on an exception leaves nothing.

    keep: a plain file that is there already stays, and this one takes the next free name (a.wav, a-2.wav …).
    mode: permissions of a new file, before the umask; a file that is replaced keeps its own. apart: paths that this
    file must not be (inputs and other outputs). text: the content is text and may go to a terminal. Raises OutputError.
    """

    def __init__(
        self,
        path: StrPath,
        *,
        keep: bool = False,
        mode: int = PUBLIC,
        apart: Iterable[StrPath] = (),
        text: bool = False,
    ) -> None:
        self._typed = os.fspath(path)
        self._place = _locate(path, apart)
        self._keep = keep
        self._temporary: str | None = None
        self.size = 0  #: bytes written
        self.is_stream = _is_stream(self._place)  #: written bytes cannot be changed any more
        try:
            self._fd = self._through(text) if self.is_stream else self._begin(mode)
        except OSError as error:
            raise _sentence(self._typed, error) from None

    def _through(self, text: bool) -> int:
        number = _own_descriptor(self._place)
        if number is None:
            return os.open(self._place, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC)
        if not text and os.isatty(number):
            raise OutputError(f"{self._typed}: this is a terminal; expected a pipe or a file (dredge … | aplay)")
        return os.dup(number)

    def _begin(self, mode: int) -> int:
        folder, name = os.path.split(self._place)
        shown = os.fsdecode(os.fsencode(name)[:_SHOWN].decode(errors="ignore").encode())
        self._temporary = os.path.join(folder, f".{shown}.{secrets.token_hex(8)}.part")
        old = None if self._keep else _stat(self._place)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(self._temporary, flags, mode if old is None else PRIVATE)
        if old is not None:
            _pass_on(old, fd)
        return fd

    def __enter__(self) -> "OutputFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
        else:
            self.discard()

    def write(self, data: bytes | memoryview) -> None:
        """Write all the data or raise OutputError; ``size`` then is the number of bytes written."""
        view = memoryview(data).cast("B")
        while view:
            try:
                taken = os.write(self._fd, view)
            except BlockingIOError:  # another process made this pipe non-blocking
                select.select([], [self._fd], [])
                continue
            except OSError as error:
                raise _sentence(self._typed, error) from None
            self.size += taken
            view = view[taken:]

    def replace(self, at: int, data: bytes) -> None:
        """Replace bytes that were written; not for streams."""
        try:
            os.pwrite(self._fd, data, at)
        except OSError as error:
            raise _sentence(self._typed, error) from None

    def shorten(self, size: int) -> None:
        """Cut the file; not for streams."""
        os.ftruncate(self._fd, size)
        os.lseek(self._fd, size, os.SEEK_SET)
        self.size = size

    def finish(self) -> Path:
        """Complete the file and return the path it has now."""
        try:
            self._close()
            if self._temporary is None:
                return Path(self._typed)
            path = _claim(self._place) if self._keep else self._place
            os.replace(self._temporary, path)
        except OSError as error:
            self.discard()
            raise _sentence(self._typed, error) from None
        self._temporary = None
        return Path(self._typed if path == self._place else path)

    def discard(self) -> None:
        """Leave nothing of a plain file; can be called again."""
        with suppress(OSError):  # the file is discarded, so an error in its last bytes does not matter
            self._close()
        temporary, self._temporary = self._temporary, None
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def write_bytes(path: StrPath, data: bytes, *, apart: Iterable[StrPath] = (), mode: int = PUBLIC) -> Path:
    """Write a whole file; return its path. Raises OutputError."""
    with OutputFile(path, mode=mode, apart=apart) as file:
        file.write(data)
    return Path(path)


def write_text(path: StrPath, text: str, *, apart: Iterable[StrPath] = (), mode: int = PUBLIC) -> Path:
    """Write a whole UTF-8 text; return its path. Raises OutputError."""
    with OutputFile(path, mode=mode, apart=apart, text=True) as file:
        file.write(text.encode(errors="surrogateescape"))
    return Path(path)


def parse_mode(text: str) -> int:
    """Return the permissions that octal digits name (600, 0640). Raises ValueError."""
    if not re.fullmatch(r"0?[0-7]{3}", text):
        raise ValueError(f"file mode is '{text}', expected three octal digits such as 640")
    return int(text, 8)


def check(path: StrPath, *, apart: Iterable[StrPath] = ()) -> Path:
    """Return the path if it can be written, so that a wrong one is refused before minutes of work. Raises OutputError.
    """
    place = _locate(path, apart)
    if not _is_stream(place):
        folder = os.path.dirname(place) or "."
        if not os.access(folder, os.W_OK | os.X_OK):
            raise OutputError(f"{os.fspath(path)}: no permission to write into {folder}")
    return Path(path)


def check_each(outputs: Sequence[StrPath | None], inputs: Iterable[StrPath | None] = ()) -> None:
    """Check every output that is given: none may be an input or another output."""
    given, others = [path for path in outputs if path], [path for path in inputs if path]
    for number, path in enumerate(given):
        check(path, apart=[*others, *given[:number]])


def is_stream(path: StrPath) -> bool:
    """Return whether a path is a device, a FIFO or standard output, which are written through."""
    return _is_stream(_locate(path))


def is_stdout(path: StrPath) -> bool:
    """Return whether a path stands for this process's standard output, from which results for people then stay away."""
    return _own_descriptor(_follow(os.fspath(path))) == 1


def numbered(path: StrPath) -> Iterator[str]:
    """Yield a.wav, a-2.wav, a-3.wav and so on."""
    text = os.fspath(path)
    stem, suffix = os.path.splitext(text)
    yield text
    for number in count(2):
        yield f"{stem}-{number}{suffix}"


def _locate(path: StrPath, apart: Iterable[StrPath] = ()) -> str:
    """Return the place that a path leads to, links followed. Raises OutputError for what cannot be written at all."""
    typed = os.fspath(path)
    if not typed or "\0" in typed:
        raise OutputError(f"'{typed!r}': expected a file name")
    place = _follow(typed)
    if _own_descriptor(place) is not None:
        return place
    try:
        there = _stat(place)
    except OSError as error:
        raise _sentence(typed, error) from None
    if there is None:
        folder = os.path.dirname(place) or "."
        if not os.path.isdir(folder):
            raise OutputError(f"{typed}: the folder {folder} does not exist")
    elif stat.S_ISDIR(there.st_mode):
        raise OutputError(f"{typed}: this is a folder, not a file")
    elif stat.S_ISBLK(there.st_mode) or stat.S_ISSOCK(there.st_mode):
        what = "a disk" if stat.S_ISBLK(there.st_mode) else "a socket"
        raise OutputError(f"{typed}: this is {what}, expected a file, a FIFO or a character device")
    if there is None or stat.S_ISREG(there.st_mode):
        _keep_apart(typed, place, apart)
    return place


def _keep_apart(typed: str, place: str, others: Iterable[StrPath]) -> None:
    for other in others:
        if os.path.realpath(place) == os.path.realpath(other) or _same(place, other):
            raise OutputError(f"{typed}: this is the same file as {os.fspath(other)}; choose another name")


def _same(place: str, other: StrPath) -> bool:
    try:
        return os.path.samefile(place, other)
    except OSError:
        return False


def _follow(text: str) -> str:
    """Return the end of a chain of links, or this process's descriptor where the chain comes through one."""
    place = text
    for _ in range(_MOST_LINKS):
        if _own_descriptor(place) is not None:
            return place
        try:
            place = os.path.join(os.path.dirname(place), os.readlink(place))
        except OSError:
            return place
    raise OutputError(f"{text}: a link that leads to itself")


def _own_descriptor(place: str) -> int | None:
    if place == STDOUT:
        return 1
    found = _DESCRIPTOR.fullmatch(place)
    if found is None or found[1] not in (None, "self", str(os.getpid())):
        return None
    return int(found[2])


def _is_stream(place: str) -> bool:
    if _own_descriptor(place) is not None:
        return True
    there = _stat(place)
    return there is not None and not stat.S_ISREG(there.st_mode)


def _stat(place: str) -> os.stat_result | None:
    try:
        return os.stat(place)
    except FileNotFoundError:
        return None


def _pass_on(old: os.stat_result, fd: int) -> None:
    """Give a file the owner and permissions of the one it replaces; a user who may not give files away stays the owner.
    """
    if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
        with suppress(PermissionError):
            os.fchown(fd, old.st_uid, old.st_gid)
    os.fchmod(fd, stat.S_IMODE(old.st_mode) & 0o777)


def _claim(place: str) -> str:
    """Return the first free name, now taken by an empty file. Works where hard links do not (FAT)."""
    for name in numbered(place):
        try:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))
        except FileExistsError:
            continue
        return name
    raise AssertionError("numbered does not end")


def _sentence(typed: str, error: OSError) -> OSError:
    if isinstance(error, OutputError):
        return error
    if isinstance(error, BrokenPipeError):
        return BrokenPipeError(error.errno, error.strerror, typed)
    return OutputError(refusal(error, typed))
