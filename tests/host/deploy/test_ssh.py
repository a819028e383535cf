# SPDX-License-Identifier: BSD-2-Clause
"""Deployment through a real sshd on this machine, below a scratch root."""

from __future__ import annotations

import json
import os
import platform
import shutil
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from sshserver import SSHD, SshServer

from dredge_host.cli import main
from dredge_host.deploy import deploy
from dredge_host.deploy.ssh import Remote, RemoteError
from dredge_host.deploy.systemd_unit import NAME, Agent
from dredge_host.errors import UnreachableError, UsageError

pytestmark = pytest.mark.skipif(
    SSHD is None or shutil.which("ssh") is None,
    reason="needs ssh and sshd: apt-get install openssh-client openssh-server"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with SshServer(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def remote(server):
    with Remote("pi", server.config) as connection:
        yield connection


def small_wheel(folder: Path, text: str = "1", check: str = "pass") -> Path:
    """A wheel with a `dredge` command that answers like ours, and needs nothing: installs in seconds."""
    path = folder / f"dredge-0.1.0-py3-none-manylinux_2_31_{platform.machine()}.whl"
    code = (
        f"import json, sys\ndef main():\n"
        f"    if sys.argv[1] == 'check' and '{check}' != 'pass':\n        sys.exit('{check}')\n"
        f"    print(json.dumps({{'pass': True, 'findings': [], 'text': '{text}'}}))\n"
    )
    info = "dredge-0.1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("dredge_stub.py", code)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: dredge\nVersion: 0.1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\ndredge = dredge_stub:main\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def dredge(server, *words):
    """The wheels here need nothing, so nothing is fetched for them: --unpinned."""
    return CliRunner().invoke(main.cli, ["deploy", "pi", "--ssh-config", str(server.config), "--unpinned", *words])


def outcomes(result):
    """Title to outcome, from the lines on standard error."""
    rows = [line for line in result.stderr.splitlines() if line[:12].strip() in ("done", "already so")]
    return {line[12:].split()[0]: line[:12].strip() for line in rows}


@pytest.fixture(scope="module")
def with_python(server, tmp_path_factory):
    """A scratch root that has a virtual environment already: making one takes longer than everything else."""
    folder = tmp_path_factory.mktemp("root")
    done = dredge(server, "--wheel", str(small_wheel(folder)), "--root", str(folder / "root"))
    assert done.exit_code == 0, done.output
    return folder / "root"


@pytest.fixture
def root(with_python):
    """That root, in which no wheel is known to be installed."""
    (with_python / "opt/dredge/wheel.sha256").unlink(missing_ok=True)
    return with_python


def test_script_output_and_failures(remote):
    assert remote.run("echo one; echo two") == "one\ntwo"
    with pytest.raises(RemoteError, match="no such thing"):
        remote.run("echo no such thing >&2; exit 3")


def test_a_program_that_reads_its_input_does_not_swallow_the_script(remote):
    assert remote.run("cat\necho still here") == "still here"


def test_a_closed_port_is_unreachable(server):
    with Remote("pi", server.config, port=1) as connection, pytest.raises(UnreachableError, match="pi: "):
        connection.run("true")


@pytest.mark.parametrize("target", ["-oProxyCommand=touch /tmp/x", "", "a b"])
def test_a_target_cannot_be_an_option(target):
    with pytest.raises(UsageError, match="no ssh target"):
        Remote(target)


def test_what_is_at_the_other_end(remote):
    there = deploy.look(remote)
    assert there["machine"] == platform.machine()
    assert there["python"].startswith("3.")
    assert there["root"] == ("yes" if os.getuid() == 0 else there["root"])


def test_install_again_and_uninstall(server, tmp_path):
    """Everything is done once, nothing the second time, one thing after a change, and it all goes again."""
    root = tmp_path / "root"
    wheel = small_wheel(tmp_path)
    words = ["--wheel", str(wheel), "--root", str(root), "--json"]
    first = dredge(server, *words)
    assert first.exit_code == 0, first.output
    assert set(outcomes(first).values()) <= {"done", "already so"}
    assert outcomes(first)["install"] == outcomes(first)["unit"] == outcomes(first)["virtual"] == "done"
    assert json.loads(first.stdout)["doctor"]["pass"] is True
    unit = root / "etc/systemd/system" / NAME
    assert "ExecStart=/opt/dredge/venv/bin/dredge agent" in unit.read_text()
    assert (root / "etc/systemd/system/multi-user.target.wants" / NAME).is_symlink()

    second = dredge(server, *words)
    again = outcomes(second)
    again.pop("copy")
    assert second.exit_code == 0 and set(again.values()) == {"already so"}, second.output

    small_wheel(tmp_path, text="2")
    third = dredge(server, *words, "--core", "3")
    assert outcomes(third)["install"] == outcomes(third)["unit"] == "done"
    assert outcomes(third)["virtual"] == "already so"
    assert json.loads(third.stdout)["doctor"]["text"] == "2"
    assert "--core 3" in unit.read_text()

    removed = dredge(server, "--uninstall", "--root", str(root))
    assert removed.exit_code == 0, removed.output
    assert not unit.exists() and not (root / "opt/dredge").exists()
    assert set(outcomes(dredge(server, "--uninstall", "--root", str(root))).values()) == {"already so"}


def test_nothing_of_the_copy_is_left_behind(server, remote, root, tmp_path):
    plan = deploy.Plan(small_wheel(tmp_path), Agent(), root=str(root), lock=None)
    said, copies = [], []

    def step(title, outcome):
        said.append(title)
        copies.extend(server.scratch.rglob("*.whl"))

    deploy.carry_out(remote, plan, "yes", step)
    assert copies and list(server.scratch.rglob("*.whl")) == []
    assert len(said) == 7


def test_a_package_that_is_not_the_pinned_one_is_not_installed(remote, root, tmp_path):
    """A lock whose only package is here, with the sum of another one: pip refuses, and so does deploy."""
    wheel = small_wheel(tmp_path)
    lock = tmp_path / "device-lock.txt"
    plan = deploy.Plan(wheel, Agent(), root=str(root), lock=lock)
    for digest, works in (("0" * 64, False), (deploy.digest(wheel), True)):
        lock.write_text(f"dredge @ {wheel.as_uri()} --hash=sha256:{digest}\n")
        if works:
            deploy.carry_out(remote, plan, "yes", lambda title, outcome: None)
            continue
        with pytest.raises(RemoteError, match=r"DO NOT MATCH THE HASHES|Expected sha256"):
            deploy.carry_out(remote, plan, "yes", lambda title, outcome: None)
        assert not (root / "opt/dredge/wheel.sha256").exists()
    assert (root / "opt/dredge/venv/bin/dredge").exists()
    lock.write_text(f"# newer\n{lock.read_text()}")  # another lock is installed again, though the wheel is the same
    said = {}
    deploy.carry_out(remote, plan, "yes", said.__setitem__)
    assert said[f"install {wheel.name}"] == deploy.DONE


def test_a_failing_step_ends_it_with_its_words(server, root, tmp_path):
    wheel = small_wheel(tmp_path)
    wheel.write_bytes(b"not a wheel")
    result = dredge(server, "--wheel", str(wheel), "--root", str(root))
    assert result.exit_code == 1
    assert "dredge: pi:" in result.stderr and "wheel" in result.stderr.lower()
    assert not (root / "opt/dredge/wheel.sha256").exists()


def test_what_a_check_without_a_document_said_is_shown(server, root, tmp_path):
    wheel = small_wheel(tmp_path, check="no models here")
    result = dredge(server, "--wheel", str(wheel), "--root", str(root))
    assert result.exit_code == 1
    assert "doctor: pass" in result.stdout and "check: FAIL" in result.stdout
    assert "no models here" in result.stdout


REAL = os.environ.get("DREDGE_WHEEL", "")


@pytest.mark.skipif(platform.machine() not in REAL, reason="needs a wheel: make wheels, set DREDGE_WHEEL")
def test_the_real_wheel_passes_doctor_and_check(server, tmp_path):
    result = dredge(server, "--wheel", REAL, "--root", str(tmp_path / "root"), "--json")
    document = json.loads(result.stdout)
    assert document["doctor"]["pass"], document
    states = {finding["name"]: finding["state"] for finding in document["doctor"]["findings"]}
    assert states["libopus"] == states["models"] == states["neural runtime"] == "ok"
