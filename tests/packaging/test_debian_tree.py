# SPDX-License-Identifier: BSD-2-Clause
"""Debian packages, resolved by apt and unpacked, from a small archive made here."""

import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import debian
import pytest

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("apt-get", "dpkg-deb", "dpkg-scanpackages"))),
    reason="needs Debian and dpkg-dev: apt-get install dpkg-dev"
)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def package(folder, name, depends="", path="usr/share/doc/file"):
    """A real .deb with one file in it."""
    tree = folder / f"{name}.tree"
    (tree / "DEBIAN").mkdir(parents=True)
    fields = [f"Package: {name}", "Version: 1:1.0", "Architecture: arm64", "Maintainer: n <n@example.org>"]
    fields += [f"Depends: {depends}"] * bool(depends) + [f"Description: {name}", ""]
    (tree / "DEBIAN/control").write_text("\n".join(fields))
    target = tree / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(name)
    subprocess.run(["dpkg-deb", "-b", str(tree), str(folder / f"{name}.deb")], check=True, capture_output=True)
    return folder / f"{name}.deb"


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An unsigned archive on a web server, as apt's only source."""
    pool = tmp_path / "pool"
    pool.mkdir()
    package(pool, "top", depends="below", path="lib/aarch64-linux-gnu/top.so")
    package(pool, "below", path="usr/lib/aarch64-linux-gnu/below.so")
    listed = subprocess.run(["dpkg-scanpackages", "."], cwd=pool, check=True, capture_output=True, text=True).stdout
    (pool / "Packages").write_text(listed)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(pool)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("DREDGE_DEBIAN_MIRROR", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("DREDGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(debian, "KEYRING", pool / "Packages")  # any file: trusted=yes needs no signature
    start = debian.Apt.__init__

    def local(self, suite, arch):
        start(self, suite, arch)
        (self.state / "sources.list").write_text(f"deb [trusted=yes] http://127.0.0.1:{server.server_port} ./\n")

    monkeypatch.setattr(debian.Apt, "__init__", local)
    yield pool
    server.shutdown()
    server.server_close()


def test_a_tree_holds_what_a_package_depends_on_and_keeps_the_merged_folders(archive, tmp_path):
    root = debian.make("tree", "any", "arm64", tmp_path / "root", ["top"])
    assert (root / "usr/lib/aarch64-linux-gnu/top.so").read_text() == "top"
    assert (root / "usr/lib/aarch64-linux-gnu/below.so").read_text() == "below"
    assert (root / "lib").is_symlink()


def test_only_means_without_dependencies(archive, tmp_path):
    root = debian.make("only", "any", "arm64", tmp_path / "root", ["top"])
    assert (root / "lib/aarch64-linux-gnu/top.so").exists()
    assert not (root / "usr/lib/aarch64-linux-gnu/below.so").exists()


def test_the_same_wish_again_changes_nothing_another_one_does(archive, tmp_path):
    root = debian.make("only", "any", "arm64", tmp_path / "root", ["top"])
    (root / "mark").write_text("still here")
    debian.make("only", "any", "arm64", root, ["top"])
    assert (root / "mark").exists()
    debian.make("only", "any", "arm64", root, ["below"])
    assert not (root / "mark").exists()


def test_a_failure_names_the_cause_and_leaves_nothing(archive, tmp_path):
    with pytest.raises(debian.DebianError, match="Unable to locate package missing"):
        debian.make("tree", "any", "arm64", tmp_path / "root", ["missing"])
    assert not (tmp_path / "root").exists()
    (archive / "below.deb").write_bytes(b"damaged")
    with pytest.raises(debian.DebianError):
        debian.make("tree", "any", "arm64", tmp_path / "root", ["top"])
    assert [path.name for path in tmp_path.iterdir() if "root" in path.name] == []


def test_a_missing_keyring_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(debian, "KEYRING", tmp_path / "none.gpg")
    monkeypatch.setenv("DREDGE_CACHE", str(tmp_path))
    with pytest.raises(debian.DebianError, match="apt install debian-archive-keyring"):
        debian.Apt("bookworm", "arm64")


def test_wrong_arguments_show_the_usage(capsys):
    assert debian.main(["tree", "bookworm"]) == 2
    assert "SUITE ARCH FOLDER PACKAGE" in capsys.readouterr().err


def test_the_mirror_is_the_one_of_this_system_unless_named(monkeypatch):
    monkeypatch.delenv("DREDGE_DEBIAN_MIRROR", raising=False)
    uses = "http://mirror.example.org/debian-security/\nhttp://mirror.example.org/debian/\n"
    monkeypatch.setattr(debian, "run", lambda command: uses)
    assert debian.mirror() == "http://mirror.example.org/debian"
    monkeypatch.setattr(debian, "run", lambda command: "http://mirror.example.org/ubuntu/\n")
    with pytest.raises(debian.DebianError, match="set DREDGE_DEBIAN_MIRROR"):
        debian.mirror()
    monkeypatch.setenv("DREDGE_DEBIAN_MIRROR", "http://other.example.org/debian")
    assert debian.mirror() == "http://other.example.org/debian"
