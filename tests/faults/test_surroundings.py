# SPDX-License-Identifier: BSD-2-Clause
"""Odd surroundings: no home, closed standard streams, other locales; messages of one line whatever is typed."""

import json
import os
import subprocess
import sys

import pytest

from dredge_host.console import to_json
from dredge_host.doctor import works
from dredge_host.errors import sentence

DREDGE = [sys.executable, "-m", "dredge_host"]


def environment(**changes):
    return {**{name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_DATA_HOME",
            "XDG_CACHE_HOME", "LANG", "LC_ALL", "PYTHONIOENCODING")}, **changes}  # fmt: skip


def run(*words, **extra):
    return subprocess.run([*DREDGE, *map(str, words)], capture_output=True, timeout=120, **extra)


# Surroundings --------------------------------------------------------------------------------------


@pytest.mark.parametrize("home", ["none", "unreadable", "a file", "not there"])
def test_a_home_is_optional(tmp_path, speech, home):
    changes = {}
    if home == "unreadable":
        (tmp_path / "home").mkdir(mode=0)
        changes = {"HOME": str(tmp_path / "home")}
    elif home == "a file":
        (tmp_path / "home").touch()
        changes = {"HOME": str(tmp_path / "home")}
    elif home == "not there":
        changes = {"HOME": "/nonexistent/home"}
    clip = speech(1)
    code = (
        "import os, sys; os.setgid(12345) if os.geteuid() == 0 else None\n"
        "os.setuid(12345) if os.geteuid() == 0 else None\n"
        "sys.argv[0] = 'dredge'\n"
        "from dredge_host.cli.main import main; main()"
    )
    imports = [sys.executable, "-c", code.split("from")[0] + "import dredge_host.cli.main"]
    if os.geteuid() == 0 and subprocess.run(imports, capture_output=True).returncode:
        pytest.skip("needs a checkout that another user may read: not below /root")
    simulate = ["simulate", str(clip), os.devnull, "--loss", "10%", "--no-quality"]
    for verb in (["models", "list"], ["models", "verify"], ["doctor"], simulate):
        done = subprocess.run([sys.executable, "-c", code, *verb], capture_output=True, env=environment(**changes),
                              cwd="/", timeout=120)  # fmt: skip
        if b"Permission denied" in done.stderr and str(clip).encode() in done.stderr:
            continue  # the test's own folder is closed to another user
        assert done.returncode == 0 and b"Traceback" not in done.stderr, (verb, done.stderr[-500:])


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full"])
def test_standard_streams_may_be_closed_or_full(tmp_path, speech, closed):
    target = tmp_path / "o.wav"
    line = f'exec "$@" {closed}'
    words = ["simulate", speech(1), target, "--conceal", "opus", "--no-quality"]
    done = subprocess.run(["sh", "-c", line, "sh", *DREDGE, *words], capture_output=True, timeout=120)
    assert b"Traceback" not in done.stderr and target.stat().st_size == 44 + 32000
    assert done.returncode == 0 or closed == ">/dev/full"


@pytest.mark.parametrize("unbuffered", [{}, {"PYTHONUNBUFFERED": "1"}])
@pytest.mark.parametrize("module", ["dredge_host", "dredge_device"])
def test_a_full_standard_output_is_named(module, unbuffered):
    words = ["models", "list"] if module == "dredge_host" else ["--listen", "udp://127.0.0.1:0"]
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", module, *words], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=60, env={**bare, **unbuffered})  # fmt: skip
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "standard output: No space left on device; make room on this disk" in done.stderr


@pytest.mark.parametrize("unbuffered", [{}, {"PYTHONUNBUFFERED": "1"}])
def test_a_reader_that_leaves_ends_a_verb_without_a_word(unbuffered):
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*DREDGE, "models", "list"], stdout=write, stderr=subprocess.PIPE, timeout=60,
                          env={**bare, **unbuffered})  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


def test_a_stream_outlives_the_reader_of_its_remarks(speech):
    """`dredge stream … 2>&1 >/dev/null | head -1`: the second line has no reader any more."""
    read, write = os.pipe()
    words = ["stream", speech(1), "--to", "loop://", "--seconds", "2", "--json-lines", "--json"]
    more = ["--conceal", "opus", "--playout", "fixed:100"]
    stream = subprocess.Popen([*DREDGE, *words, *more], stdout=subprocess.PIPE, stderr=write)
    os.close(write)
    os.close(read)
    out, _ = stream.communicate(timeout=60)
    assert stream.returncode == 0 and json.loads(out)["device_report"]["final"]


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1"])
def test_letters_that_a_terminal_cannot_show_are_escaped(tmp_path, locale):
    for extra in ({}, {"PYTHONIOENCODING": "ascii"}, {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        changes = environment(LC_ALL=locale, HOME=str(tmp_path), **extra)
        done = run("doctor", env=changes)
        assert done.returncode == 0 and b"Traceback" not in done.stderr and b"recovery" in done.stdout
        done = run("simulate", tmp_path / "nä.wav", "o.wav", env=changes)
        assert done.returncode == 2 and done.stderr.count(b"\n") == 1 and b"Traceback" not in done.stderr


def test_names_in_other_letters_need_no_locale_that_knows_them(tmp_path, speech):
    """Typed or in a file: the bytes of the name are the same as in any locale."""
    changes = environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    folder = tmp_path / "ü n"
    folder.mkdir()
    for name in ("ö.wav", "ö" * 45 + ".wav"):  # the second one is longer than what a temporary name repeats
        done = run("simulate", speech(1), folder / name, "--conceal", "opus", "--no-quality", env=changes)
        assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["ö.wav", "ö" * 45 + ".wav"]
    (tmp_path / "agent.toml").write_text(f'out = "{folder}/ä.wav"\n', encoding="utf-8")
    done = run("agent", "--config", tmp_path / "agent.toml", "--listen", "udp://127.0.0.1:0", "--seconds", "0.1",
               env=changes)  # fmt: skip
    assert done.returncode == 0, done.stderr


# Messages ------------------------------------------------------------------------------------------

LONG = "a" * 300


@pytest.mark.parametrize("words", [
    ("stream", "CLIP", "--to", "loop://", "--seconds", "nan"),
    ("stream", "CLIP", "--to", "loop://", "--seconds", "inf"),
    ("stream", "CLIP", "--to", "loop://", "--seconds", "-1"),
    ("check", "--to", "udp://localhost:1", "--seconds", "nan"),
    ("demo", "--seconds", "nan"), ("traces", "make", "x", "--speech", "/", "--seconds", "nan"),
    ("bench", "--compare", "x", "--tolerance", "nan"),
    ("stream", "CLIP", "--to", f"udp://{LONG}:5004"), ("stream", "CLIP", "--to", "udp://a..b:5004"),
    ("stream", "CLIP", "--to", "udp://-:5004"), ("stream", "CLIP", "--to", "udp://\x1b[31mred:5004"),
    ("simulate", "CLIP", "o.xyz"), ("simulate", "CLIP"), ("simulate", "--no-such"), ("frobnicate",),
    ("simulate", f"{LONG}{LONG}.wav", "o.wav"), ("simulate", "CLIP", f"{LONG}.wav"), ("inspect", "\x1b]0;title\x07"),
    ("simulate", "CLIP", "o.wav", "--loss", "nan%"), ("simulate", "CLIP", "o.wav", "--redundancy", "nan"),
    ("simulate", "CLIP", "o.wav", "--ssrc", "1"), ("inspect", "CLIP", "--ssrc", "x"), ("report", "CLIP"),
])  # fmt: skip
def test_a_mistake_is_one_line(tmp_path, speech, words):
    done = run(*[speech(1) if word == "CLIP" else word for word in words], cwd=tmp_path)
    text = done.stderr.decode()
    assert done.returncode in (2, 3) and text.count("\n") == 1, text
    assert text.startswith("dredge: ") and "Traceback" not in text and "\x1b" not in text and len(text) < 700
    assert not list(tmp_path.glob("*.part"))


def test_messages_are_short_and_printable():
    assert sentence(ValueError("a\n b\x1b[31m\x00" + "x" * 5000)).startswith("a b\ufffd[31m\ufffdx")
    assert len(sentence(ValueError("x" * 5000))) < 700


def test_what_is_no_number_is_null_in_a_report():
    import numpy as np

    document = {"a": float("nan"), "b": [np.float32("inf"), 1.5], "c": {"d": np.array([np.nan, 2.0])}, "f": True}
    assert json.loads(to_json(document)) == {"a": None, "b": [None, 1.5], "c": {"d": [None, 2.0]}, "f": True}


# Doctor --------------------------------------------------------------------------------------------


def test_doctor_tries_what_it_calls_ok(monkeypatch):
    assert works.recovery().state == "ok" and "100 ms" in works.recovery().value
    assert works.audio_files().state == "ok" and works.network().state in ("ok", "warn")


def test_doctor_says_why_recovery_does_not_work(monkeypatch):
    from dredge_host.offline import simulate
    from dredge_models.registry import ModelError

    def broken(*words, **named):
        raise ModelError("no TFLite runtime that works with numpy 2.0.0")

    monkeypatch.setattr(simulate, "simulate", broken)
    finding = works.recovery()
    assert finding.state == "fail" and "numpy 2.0.0" in finding.value and "pip install" in finding.advice


def test_doctor_tells_of_a_machine_without_ipv4(monkeypatch):
    import socket

    whole = works._passes
    monkeypatch.setattr(works, "_passes", lambda family, address: family != socket.AF_INET and whole(family, address))
    assert works.network().state in ("warn", "fail")
