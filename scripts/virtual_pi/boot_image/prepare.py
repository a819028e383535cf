# SPDX-License-Identifier: BSD-2-Clause
"""What the virtual board is made of, fetched or built once: kernel, userland, our wheel, as layers of one image."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from debian import Apt, DebianError, make, run

from virtual_pi.board import PROGRAM
from virtual_pi.boot_image.cpio import Cpio
from virtual_pi.boot_image.layers import SUITE, folder, userland_layer, wheel_layer
from virtual_pi.boot_image.wheel import built_wheel, code_of

GUEST = Path(__file__).parents[1] / "guest"
META_PACKAGE = "linux-image-cloud-arm64"
TOOLS = {
    PROGRAM: "qemu-system-arm",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
}
WHEEL_TOOLS = {"aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"}
KEYRING = ("/usr/share/keyrings/debian-archive-keyring.gpg", "debian-archive-keyring")


@dataclass(frozen=True)
class BootImage:
    """A kernel and the layers of an image without its job; code: digest of our part of it."""

    kernel: Path
    layers: list[Path]
    code: str

    @contextmanager
    def image(self, job: dict[str, bytes]) -> Iterator[Path]:
        """Yield the whole image with these files in its folder /job, for as long as it is needed."""
        with tempfile.TemporaryFile(dir=folder()) as file:
            for layer in self.layers:
                layer.touch()  # in use: not among those that are forgotten
                with open(layer, "rb") as content:
                    shutil.copyfileobj(content, file, 1 << 20)
            cpio = Cpio(file)
            for name in ("dev", "proc", "sys", "tmp", "job"):
                cpio.folder(name)
            cpio.add("dev/console", 0o020600, device=(5, 1))
            cpio.file("init", (GUEST / "init").read_bytes(), 0o755)
            for program in sorted(GUEST.glob("*.py")):
                cpio.file(f"job/{program.name}", program.read_bytes())
            for name, data in job.items():
                cpio.file(f"job/{name}", data)
            cpio.close()
            file.flush()
            yield Path(f"/proc/{os.getpid()}/fd/{file.fileno()}")  # nothing is left if we are killed


def install_tools(programs: dict[str, str]) -> None:
    """Install the Debian packages that are missing, as root. Raises DebianError with what to run where that fails."""
    wanted = [package for program, package in programs.items() if shutil.which(program) is None]
    if not Path(KEYRING[0]).exists():
        wanted.append(KEYRING[1])
    if not wanted:
        return
    packages = [name for package in wanted for name in package.split()]
    print(f"test-pi: installing {' '.join(packages)}", file=sys.stderr, flush=True)
    as_root = [] if os.getuid() == 0 else ["sudo", "-n"]
    words = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "-qq", "--no-install-recommends"]
    try:
        run([*as_root, "apt-get", "update", "-qq"])
        run([*as_root, *words, *packages])
    except (DebianError, OSError) as error:
        raise DebianError(f"{error}; run as root: apt-get install {' '.join(packages)}") from None


def prepare(wheel: Path | None) -> BootImage:
    """Return everything for a board, made where it is missing. `wheel`: an arm64 one; None builds it.

    Raises BuildError, and DebianError or OSError when packages cannot be had.
    """
    install_tools({**TOOLS, **WHEEL_TOOLS} if wheel is None else TOOLS)
    with open(folder() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wheel = wheel or built_wheel()
        kernel = _kernel(folder() / f"kernel-{SUITE}")
        return BootImage(kernel, [userland_layer(wheel), wheel_layer(wheel)], code_of(wheel))


def _kernel(there: Path) -> Path:
    """Return the newest kernel that Debian had when it was first asked, so that figures of one cache can be compared.
    """
    if not (there / ".dredge-packages").exists():
        apt = Apt(SUITE, "arm64")
        apt.update()
        environment = {**os.environ, "APT_CONFIG": str(apt.conf), "LC_ALL": "C"}
        said = run(["apt-cache", "depends", META_PACKAGE], env=environment)
        names = [line.split()[1] for line in said.splitlines() if line.strip().startswith("Depends: linux-image-")]
        if not names:
            raise DebianError(f"{META_PACKAGE} of Debian {SUITE} depends on no kernel: {said.strip()}")
        make("only", SUITE, "arm64", there, names)
    found = sorted((there / "boot").glob("vmlinuz-*"))
    if not found:
        raise DebianError(f"there is no kernel in {there / 'boot'}; remove {there} and try again")
    return found[0]
