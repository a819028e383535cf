# SPDX-License-Identifier: BSD-2-Clause
"""What every verb does with the path it writes to: links, devices, pipes, the input itself, permissions, full disks."""

import io
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import wave
from pathlib import Path

import numpy as np
import pytest
from processes import end, start

from dredge_device.pi.output import files
from dredge_device.pi.output.files import OutputError, OutputFile, write_bytes, write_text
from dredge_host.capture.writer import Capture
from dredge_host.errors import UsageError


def names(folder):
    return sorted(os.listdir(folder))


def dredge(*words, **extra):
    return subprocess.run([sys.executable, "-m", "dredge_host", *map(str, words)], capture_output=True, **extra)


# The module ----------------------------------------------------------------------------------------


def test_links_are_followed_and_stay_links(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "real").write_text("old")
    (tmp_path / "link").symlink_to("disk/real")
    (tmp_path / "second").symlink_to("link")
    (tmp_path / "dangling").symlink_to("disk/new")
    write_text(tmp_path / "second", "a")
    write_text(tmp_path / "dangling", "b")
    assert (disk / "real").read_text() == "a" and (disk / "new").read_text() == "b"
    assert all((tmp_path / name).is_symlink() for name in ("link", "second", "dangling")) and len(names(disk)) == 2


def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match="loop: a link that leads to itself"):
        write_text(tmp_path / "loop", "a")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_replaced_file_passes_on_its_mode_and_owner(tmp_path, mode):
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 12345, 54321)
    before = path.stat()
    write_text(path, "new")
    after = path.stat()
    assert path.read_text() == "new" and stat.S_IMODE(after.st_mode) == mode
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)


def test_new_files_follow_the_umask_and_private_ones_do_not_open_up(tmp_path):
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"")
        write_bytes(tmp_path / "b", b"", mode=files.PRIVATE)
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in "ab"] == [0o640, 0o600]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_a_failed_write_keeps_the_old_file(tmp_path, failure):
    (tmp_path / "a").write_text("old")
    with pytest.raises(failure), OutputFile(tmp_path / "a") as file:
        file.write(b"half")
        raise failure
    assert (tmp_path / "a").read_text() == "old" and names(tmp_path) == ["a"]


def test_temporary_names_cannot_be_guessed_and_never_follow_a_link(tmp_path, monkeypatch):
    seen = set()
    for _ in range(20):
        with OutputFile(tmp_path / ("n" * 255)):
            seen.update(names(tmp_path))
        (tmp_path / ("n" * 255)).unlink()
    assert len(seen) == 20
    (tmp_path / "victim").write_text("kept")
    (tmp_path / ".a.guessed.part").symlink_to("victim")
    monkeypatch.setattr(files.secrets, "token_hex", lambda size: "guessed")
    with pytest.raises(OutputError, match="/a: File exists"):
        write_text(tmp_path / "a", "written through")
    assert (tmp_path / "victim").read_text() == "kept"


@pytest.mark.parametrize("alias", ["same name", "other spelling", "symbolic link", "hard link", "link to the input"])
def test_the_input_is_never_the_output(tmp_path, alias):
    source = tmp_path / "in.wav"
    source.write_text("in")
    target = tmp_path / "out.wav"
    if alias == "same name":
        target = source
    elif alias == "other spelling":
        target = Path(f"{tmp_path}/../{tmp_path.name}/in.wav")
    elif alias == "hard link":
        target.hardlink_to(source)
    else:
        target.symlink_to("in.wav")
    given = (target, source) if alias == "link to the input" else (source, target)
    with pytest.raises(OutputError, match="this is the same file as"):
        files.check_each([given[0]], inputs=[given[1]])
    assert source.read_text() == "in"


def test_two_outputs_are_two_files_but_may_both_go_nowhere(tmp_path):
    with pytest.raises(OutputError, match="same file"):
        files.check_each([tmp_path / "a", None, tmp_path / "." / "a"])
    files.check_each([os.devnull, os.devnull], inputs=[os.devnull, "-"])


def test_what_cannot_be_written_is_named_as_it_was_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("folder")
    os.mkfifo("fifo")
    for typed, words in (
        ("", "expected a file name"),
        ("a\0b", "expected a file name"),
        ("folder", "folder: this is a folder"),
        ("no/a", "no/a: the folder no does not exist"),
        ("fifo/a", "fifo/a: "),
        ("x" * 300, "x: File name too long"),
        ("/proc/a", "/proc/a: "),
    ):
        with pytest.raises(OutputError, match=words) as caught:
            write_text(typed, "a")
        assert "\n" not in str(caught.value) and ".part" not in str(caught.value)
    assert names(tmp_path) == ["fifo", "folder"]


def test_a_fifo_is_written_through(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    heard = []
    reader = threading.Thread(target=lambda: heard.append((tmp_path / "fifo").read_bytes()))
    reader.start()
    write_bytes(tmp_path / "fifo", bytes(200_000))
    reader.join(120)
    assert heard == [bytes(200_000)] and stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


# Verbs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["-", "/dev/stdout", "/dev/fd/1", "link"])
def test_a_wav_on_standard_output_is_only_that(tmp_path, speech, target):
    if target == "link":
        (tmp_path / "link").symlink_to("/dev/stdout")
        target = tmp_path / "link"
    done = dredge("simulate", speech(1), target, "--conceal", "opus", "--no-quality", cwd=tmp_path)
    with wave.open(io.BytesIO(done.stdout)) as file:
        assert file.getnframes() == 16000 and len(done.stdout) == 44 + 32000
    assert b"s of speech in" in done.stderr and "-" not in names(tmp_path)


def test_standard_output_in_a_file_is_appended_to_as_the_shell_opened_it(tmp_path, speech):
    with (tmp_path / "o").open("wb") as file:
        file.write(b"first")
        file.flush()
        subprocess.run([sys.executable, "-m", "dredge_host", "simulate", str(speech(1)), "/dev/stdout",
                        "--conceal", "opus", "--no-quality"], stdout=file, check=True)  # fmt: skip
    assert (tmp_path / "o").read_bytes()[:9] == b"firstRIFF" and (tmp_path / "o").stat().st_size == 5 + 44 + 32000


def test_a_verb_never_writes_over_its_input(tmp_path, speech):
    source = speech(1)
    before = source.read_bytes()
    (tmp_path / "t.txt").write_text("0 1\n")
    for words in (
        ("simulate", source, source),
        ("simulate", source, tmp_path / "o.wav", "--save-trace", source),
        ("simulate", source, tmp_path / "o.wav", "--save-trace", tmp_path / "o.wav"),
        ("simulate", source, tmp_path / "o.wav", "--loss", f"trace:{tmp_path / 't.txt'}", "--save-trace",
         tmp_path / "t.txt"),
        ("stream", source, "--to", "loop://", "--save-trace", source),
        ("traces", "convert", tmp_path / "t.txt", tmp_path / "t.txt", "--force"),
    ):  # fmt: skip
        done = dredge(*words)
        assert done.returncode == 2 and done.stderr.count(b"\n") == 1, done.stderr
        assert b"same file" in done.stderr
    assert source.read_bytes() == before and (tmp_path / "t.txt").read_text() == "0 1\n"


INSIDE = """
mount -t tmpfs none "$1" && cp -a /dev/null /dev/urandom /dev/zero "$1"/ && mkdir "$1/shm" && mount --bind "$1" /dev
shift
for out in /dev/null /dev/zero; do
  "$@" "$out" > said 2>&1 || cat said; stat -c '%n %F' "$out"
  "$@" o.wav --save-trace "$out" > said 2>&1 || cat said; stat -c '%n %F' "$out"
done
"""


def test_devices_stay_devices(tmp_path, speech):
    """In a mount namespace with a /dev of its own."""
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs root and mount namespaces: sudo make test")
    (tmp_path / "dev").mkdir()
    words = [sys.executable, "-m", "dredge_host", "simulate", "--conceal", "opus", "--no-quality", str(speech(1))]
    done = subprocess.run(["unshare", "-m", "sh", "-c", INSIDE, "sh", str(tmp_path / "dev"), *words],
                          capture_output=True, text=True, cwd=tmp_path, timeout=120)  # fmt: skip
    lines = [f"/dev/{name} character special file" for name in ("null", "null", "zero", "zero")]
    assert done.stdout.splitlines() == lines, done.stderr


def test_an_agent_that_never_had_a_session_leaves_the_recording_alone(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"precious")
    agent = start("agent", "--listen", "udp://127.0.0.1:0", "--out", tmp_path / "a.wav")
    assert agent.stdout.readline().startswith("listening")
    agent.send_signal(signal.SIGTERM)
    assert end(agent)[0] == 0
    assert names(tmp_path) == ["a.wav"] and (tmp_path / "a.wav").read_bytes() == b"precious"


# Captures ------------------------------------------------------------------------------------------

FAR = ("127.0.0.1", 5004)


def test_a_capture_takes_the_next_free_name_and_is_private(tmp_path, capsys):
    for content in (b"one", b"two"):
        with Capture(tmp_path / "c.pcap", FAR) as capture:
            capture.sent(content)
    assert names(tmp_path) == ["c-2.pcap", "c-2.sdp", "c.pcap", "c.sdp"]
    assert b"one" in (tmp_path / "c.pcap").read_bytes() and b"two" in (tmp_path / "c-2.pcap").read_bytes()
    assert "is there already; the capture is" in capsys.readouterr().err
    with Capture(tmp_path / "c.pcap", FAR, overwrite=True) as capture:
        capture.sent(b"three")
    assert len(names(tmp_path)) == 4 and b"three" in (tmp_path / "c.pcap").read_bytes()
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_disk_that_is_full_from_the_start_leaves_nothing(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            Capture(tmp_path / "c.pcap", FAR)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert names(tmp_path) == []


def test_a_full_disk_ends_the_capture_and_not_the_stream(tmp_path, capsys):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with Capture(tmp_path / "c.pcap", FAR) as capture:
            for _ in range(100):
                capture.sent(bytes(56))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "c.pcap").stat().st_size == 24 + 9 * 100  # whole records only
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "ends after 9 datagrams" in told


@pytest.mark.parametrize("name", ["c.wav", "c.pcapng", "c.sdp"])
def test_a_capture_under_the_name_of_another_format_is_refused(tmp_path, name):
    with pytest.raises(UsageError, match="expected a name ending in"):
        Capture(tmp_path / name, FAR)


def test_a_capture_into_a_fifo_has_nothing_beside_it(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    with Capture(tmp_path / "fifo", FAR) as capture:
        capture.sent(b"there")
    assert os.read(reader, 1000).endswith(b"there") and names(tmp_path) == ["fifo"]
    os.close(reader)


def test_samples_are_what_was_given(tmp_path):
    from dredge_host.sending.audio import write_audio

    pcm = np.arange(-500, 500, dtype=np.int16)[::2]
    with wave.open(str(write_audio(tmp_path / "a.wav", pcm, 8000))) as file:
        assert file.getframerate() == 8000
        assert (np.frombuffer(file.readframes(1000), np.int16) == pcm).all()
