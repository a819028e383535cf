# SPDX-License-Identifier: BSD-2-Clause
"""Memory images (cpio, newc) that a Linux kernel unpacks as its root: no disk, so no disk interrupts at odd times."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import IO

TREE = 0o755


class Cpio:
    """Writes one archive. Every file belongs to root and every time is 0, so the same input gives the same bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._inode = 0

    def add(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        """Add one entry; mode holds its type (stat.S_IFREG, …) and permissions, device the numbers of a device node."""
        self._inode += 1
        text = name.encode() + b"\0"
        fields = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(text), 0)
        self._padded(b"070701" + b"".join(b"%08X" % value for value in fields) + text)
        self._padded(data)

    def folder(self, name: str) -> None:
        self.add(name, stat.S_IFDIR | TREE)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        self.add(name, stat.S_IFREG | mode, data)

    def close(self) -> None:
        """Write the end mark; the file itself stays open."""
        self.add("TRAILER!!!", 0)

    def tree(self, base: Path, below: str, skip: Skip) -> None:
        """Add the content of the folder `base` as the folder `below` ("" is the root) without what `skip` names."""
        for place, folders, files in os.walk(base):
            here = Path(place).relative_to(base)
            folders.sort()
            for name in list(folders):
                if skip.names(here / name):
                    folders.remove(name)
                elif (base / here / name).is_symlink():
                    folders.remove(name)
                    files.append(name)
                else:
                    self.folder(str(Path(below) / here / name))
            for name in sorted(files):
                if not skip.names(here / name):
                    self._entry(base / here / name, str(Path(below) / here / name))

    def _entry(self, path: Path, name: str) -> None:
        if path.is_symlink():
            self.add(name, stat.S_IFLNK | 0o777, os.readlink(path).encode())
        elif path.is_file():
            self.file(name, path.read_bytes(), path.stat().st_mode & 0o777)

    def _padded(self, data: bytes) -> None:
        self._file.write(data + b"\0" * (-len(data) % 4))


class Skip:
    """What is left out of a tree.

    paths: relative to the tree's folder; anywhere: names of files and folders wherever they are; ends: of names;
    starts: of names directly in the tree's folder.
    """

    def __init__(
        self,
        paths: Iterable[str] = (),
        anywhere: Iterable[str] = (),
        ends: Iterable[str] = (),
        starts: Iterable[str] = (),
    ) -> None:
        self._paths = frozenset(paths)
        self._anywhere = frozenset(anywhere)
        self._ends = tuple(ends)
        self._starts = tuple(starts)

    def names(self, path: Path) -> bool:
        """Return whether the path, relative to the tree's folder, is left out."""
        top = len(path.parts) == 1
        return (
            str(path) in self._paths
            or path.name in self._anywhere
            or path.name.endswith(self._ends)
            or (top and path.name.startswith(self._starts))
        )
