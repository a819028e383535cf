#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Unpacks Debian packages of any release and architecture into a folder; nothing is installed on this system.

    scripts/debian.py tree SUITE ARCH FOLDER PACKAGE...    the packages with everything they depend on
    scripts/debian.py only SUITE ARCH FOLDER PACKAGE...    just these packages

apt works on a private state below the cache folder (DREDGE_CACHE, else ~/.cache/dredge): signatures are checked
against this system's Debian keyring, downloads are kept. FOLDER appears under its name only when it is complete.
The mirror is the one that this system's apt uses; DREDGE_DEBIAN_MIRROR=URL names another.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LISTS_LAST_S = 24 * 3600  # package lists older than this are fetched again
MERGED = ("bin", "sbin", "lib")  # since Debian 12 these are links into /usr


class DebianError(RuntimeError):
    """apt or dpkg could not do what was asked; the message holds their own words."""


def cache() -> Path:
    """Return the folder of downloads and unpacked trees."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("DREDGE_CACHE") or Path(base) / "dredge")


def tied(command: list[str]) -> list[str]:
    """Return the command so that it is killed when the thread that starts it ends, whatever ends it: an emulator
    that is left behind would go on for many minutes.
    """
    return ["setpriv", "--pdeathsig", "KILL", *command]


def run(command: list[str], **extra: Any) -> str:
    """Return the standard output of a command. Raises DebianError with the end of its messages when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, **extra)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()[-8:]
        raise DebianError(f"{command[0]} failed ({done.returncode}): " + " | ".join(words))
    return str(done.stdout)


def mirror() -> str:
    """Return the address of the Debian archive: DREDGE_DEBIAN_MIRROR, or the one this system's apt uses."""
    named = os.environ.get("DREDGE_DEBIAN_MIRROR")
    if named:
        return named
    used = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]).split()
    archives = [uri.rstrip("/") for uri in used if uri.rstrip("/").endswith("/debian")]
    if not archives:
        raise DebianError("this system's apt uses no Debian archive; set DREDGE_DEBIAN_MIRROR to the address of one")
    return archives[0]


class Apt:
    """apt for one suite and architecture, with nothing installed, in its own folder."""

    def __init__(self, suite: str, arch: str) -> None:
        if not KEYRING.exists():
            raise DebianError(f"{KEYRING} is missing: apt install debian-archive-keyring")
        self.state = cache() / "apt" / f"{suite}-{arch}"
        for name in ("lists/partial", "archives/partial"):
            (self.state / name).mkdir(parents=True, exist_ok=True)
        (self.state / "status").write_text("")
        (self.state / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {suite} main\n")
        self.conf = self.state / "apt.conf"
        self.conf.write_text(self._settings(arch))

    def _settings(self, arch: str) -> str:
        values = {
            "APT::Architecture": arch, "APT::Architectures": arch, "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "", "Acquire::Languages": "none", "Acquire::Retries": "3", "Debug::NoLocking": "true",
            "Dir::State": str(self.state), "Dir::State::status": str(self.state / "status"),
            "Dir::State::lists": str(self.state / "lists"), "Dir::Cache": str(self.state),
            "Dir::Cache::archives": str(self.state / "archives"),
            "Dir::Etc::sourcelist": str(self.state / "sources.list"), "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::main": "/dev/null", "Dir::Etc::parts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
        }  # fmt: skip
        return "".join(f'{name} "{value}";\n' for name, value in values.items())

    def get(self, *arguments: str, cwd: Path | None = None) -> str:
        """Return what apt-get prints."""
        environment = {**os.environ, "APT_CONFIG": str(self.conf), "LC_ALL": "C"}
        return run(["apt-get", "-qq", *arguments], env=environment, cwd=cwd)

    def update(self) -> None:
        """Fetch the package lists unless they are of today."""
        stamp = self.state / "updated"
        if not stamp.exists() or time.time() - stamp.stat().st_mtime > LISTS_LAST_S:
            self.get("update")
            stamp.touch()

    def fetch(self, packages: list[str], dependencies: bool) -> list[Path]:
        """Return the paths of the .deb files, downloaded if they are missing."""
        archives = self.state / "archives"
        if dependencies:
            self.get("-y", "--download-only", "install", *packages)
            nothing_there = ["-o", f"Dir::Cache::archives={self.state}/none"]
            listed = self.get("-y", "--print-uris", *nothing_there, "install", *packages)
        else:
            self.get("download", *packages, cwd=archives)
            listed = self.get("--print-uris", "download", *packages)
        lines = [line.split() for line in listed.splitlines() if line.startswith("'")]
        return [self._existing(archives / unquote(words[1])) for words in lines]

    def _existing(self, path: Path) -> Path:
        """Return the file of a package; apt escapes the colon of an epoch in some file names and not in others."""
        for name in (path.name, path.name.replace(":", "%3a")):
            if path.with_name(name).exists():
                return path.with_name(name)
        raise DebianError(f"apt did not leave {path.name} in {path.parent}")


def unpack(files: list[Path], folder: Path) -> None:
    """Unpack the content of the packages, with links like /lib kept; maintainer scripts are not run."""
    for file in files:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(file)], stdout=subprocess.PIPE) as content:
            tar = ["tar", "-C", str(folder), "--keep-directory-symlink", "--no-same-owner", "-xf", "-"]
            done = subprocess.run(tar, stdin=content.stdout, capture_output=True, text=True, check=False)
        if done.returncode or content.returncode:
            raise DebianError(f"{file.name} cannot be unpacked: {done.stderr.strip()}")


def make(mode: str, suite: str, arch: str, folder: Path, packages: list[str]) -> Path:
    """Make `folder` hold the packages; at once when it was made from the same list before. Raises DebianError."""
    wanted = " ".join([mode, suite, arch, *sorted(packages)])
    stamp = folder / ".dredge-packages"
    if stamp.exists() and stamp.read_text() == wanted:
        return folder
    apt = Apt(suite, arch)
    apt.update()
    files = apt.fetch(packages, mode == "tree")
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        part.chmod(0o755)
        for name in MERGED:
            (part / "usr" / name).mkdir(parents=True)
            (part / name).symlink_to(f"usr/{name}")
        unpack(files, part)
        (part / ".dredge-packages").write_text(wanted)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return folder


def main(arguments: list[str]) -> int:
    """Run the command line; return 0, or 1 with a sentence on standard error."""
    if len(arguments) < 5 or arguments[0] not in ("tree", "only"):
        print(__doc__, file=sys.stderr)
        return 2
    mode, suite, arch, folder, *packages = arguments
    try:
        make(mode, suite, arch, Path(folder).absolute(), packages)
    except (DebianError, OSError) as error:
        print(f"debian.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
