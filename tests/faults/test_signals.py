# SPDX-License-Identifier: BSD-2-Clause
"""Signals at any time: a stated end, nothing half-written; a stop and a continue: the stream goes on."""

import json
import os
import signal
import subprocess
import sys
import time
import wave

import pytest
from processes import end, start, start_agent
from waiting import until

ENDS = {signal.SIGINT: 130, signal.SIGTERM: 0, signal.SIGHUP: 0}  # of the agent; a service is stopped by SIGTERM


def names(folder):
    return sorted(os.listdir(folder))


def frames(path):
    with wave.open(str(path), "rb") as file:
        return file.getnframes()


@pytest.mark.parametrize("number", ENDS)
def test_an_agent_in_mid_stream_completes_its_file(number, tmp_path, speech):
    agent, url = start_agent("--out", tmp_path / "a.wav", "--playout", "fixed:100")
    host = start("stream", speech(20), "--to", url, "--redundancy", "0", "--conceal", "opus")
    try:
        until(lambda: any(part.stat().st_size > 8000 for part in tmp_path.glob(".a.wav.*.part")))
        agent.send_signal(number)
        agent.send_signal(number)  # an impatient second one changes nothing
        code, _, errors = end(agent)
    finally:
        host.send_signal(signal.SIGTERM)
        host_code, _, host_errors = end(host)
    assert code == ENDS[number] and "Traceback" not in errors
    assert names(tmp_path) == ["a.wav"] and frames(tmp_path / "a.wav") > 3000
    assert host_code == 130 and "Traceback" not in host_errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_verb_that_writes_leaves_nothing_half(number, tmp_path, speech):
    out, pipe = tmp_path / "out", tmp_path / "pipe.wav"
    out.mkdir()
    os.mkfifo(pipe)
    verb = start("simulate", pipe, out / "a.wav", "--loss", "20%")
    pipe.write_bytes(speech(120).read_bytes())  # returns when it has read nearly all of that, which takes it seconds
    verb.send_signal(number)
    code, _, errors = end(verb)
    assert (code, names(out)) == (130, []) and "Traceback" not in errors, errors


def test_an_evaluation_that_is_told_to_stop(tmp_path, speech):
    out = tmp_path / "out"
    folder = speech(30).parent
    verb = start("evaluate", folder, "--clips", "30", "--no-plcmos", "--no-estoi", "--no-words", "--out", out)
    said = next((line for line in verb.stderr if " cells, " in line), "")  # it is at work
    verb.send_signal(signal.SIGTERM)
    code, _, errors = end(verb)
    assert said and code == 130 and "Traceback" not in errors, errors
    assert not [name for _, _, files in os.walk(tmp_path) for name in files if name.endswith(".part")]


def test_an_unlistened_signal_ends_an_agent_and_the_next_one_starts(tmp_path):
    """SIGUSR1 means nothing to an agent: it dies of it as of SIGKILL, and its port is free at once."""
    agent, url = start_agent("--out", tmp_path / "a.wav")
    agent.send_signal(signal.SIGUSR1)
    assert end(agent)[0] == -signal.SIGUSR1
    again, same = start_agent("--listen", url, "--out", tmp_path / "a.wav")
    again.send_signal(signal.SIGTERM)
    assert end(again)[0] == 0 and same == url
    assert names(tmp_path) == []  # an agent without a session writes nothing


def test_nohup_keeps_an_agent_alive():
    agent, _ = start_agent(ignoring=signal.SIGHUP)
    agent.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert agent.poll() is None
    agent.send_signal(signal.SIGTERM)
    assert end(agent)[0] == 0


def test_a_reader_that_went_away_is_no_traceback(speech, tmp_path):
    verb = start("simulate", speech(1), tmp_path / "a.wav", "--json", "--no-quality")
    verb.stdout.close()
    verb.wait(120)
    assert verb.returncode == 1 and "Traceback" not in verb.stderr.read()
    assert names(tmp_path) == ["a.wav"]
    verb.stderr.close()


def stream_with_a_stop(who, seconds, speech):
    """The final document of a stream in which a process stands still between others of its seconds."""
    agent, url = start_agent("--playout", "fixed:200")
    words = ["--redundancy", "0", "--conceal", "opus", "--playout", "fixed:200", "--json", "--json-lines"]
    host = start("stream", speech(4.5), "--to", url, "--seconds", "600", *words)
    told = (json.loads(line) for line in host.stderr if line.startswith("{"))
    try:
        begun = next(state["t_s"] for state in told if state.get("loss_pct") is not None)  # the device has reported
        hurt = {"agent": agent, "host": host}[who]
        hurt.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        hurt.send_signal(signal.SIGCONT)
        assert any(state["t_s"] > begun + seconds + 1.5 and not state["device_silent"] for state in told)
        host.send_signal(signal.SIGINT)
        code, out, errors = end(host)
    finally:
        host.kill()
        agent.send_signal(signal.SIGTERM)
        agent_code, _, agent_errors = end(agent)
    assert code == 130, errors
    assert agent_code == 0 and "Traceback" not in agent_errors
    return json.loads(out)


@pytest.mark.parametrize("who", ["agent", "host"])
def test_a_process_that_was_stopped_goes_on(who, speech):
    document = stream_with_a_stop(who, 1.7, speech)
    device = document["device_report"]
    packets = device["packets"]
    assert packets["sent"] == packets["arrived"] + packets["missing"]
    assert device["final"] and packets["arrived"] > 100
    if who == "agent":  # what waited in the socket was old when it could be heard, so playout leapt over it
        assert device["sources"]["skipped"] > 20


def test_a_stream_whose_device_dies_says_what_was_sent(speech):
    agent, url = start_agent("--playout", "fixed:100")
    stream = start("stream", speech(4), "--to", url, "--conceal", "opus", "--playout", "fixed:100", "--json")
    assert any(" began (" in line for line in agent.stderr)
    agent.kill()
    end(agent)
    code, out, said = end(stream)
    accounting = json.loads(out)["stream"]["accounting"]
    assert accounting["made"] == 200 and accounting["sent"] > 0 and not accounting["complete"]
    assert code == 3 and "nobody listens there" in said.splitlines()[-1]


# NumPy as it is, but one of the modules that its C code imports waits for the signal.
WAITING_NUMPY = """
import os, sys, time
import importlib.machinery

inside, go_on = sys.argv[1:]

class Waits(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.endswith("._multiarray_umath"):
            sys.meta_path.remove(Waits)
            open(inside, "w").close()
            begun = time.monotonic()
            while not os.path.exists(go_on) and time.monotonic() < begun + 120:
                time.sleep(0.01)
        return None

sys.meta_path.insert(0, Waits)
from dredge_host.__main__ import main
sys.argv[1:] = ["simulate", "in.wav", "out.wav"]
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_during_the_imports_of_a_verb_is_heard_after_them(number, tmp_path):
    """NumPy would print the interrupt, and say that it is broken itself."""
    inside, go_on = tmp_path / "inside", tmp_path / "go on"
    os.mkfifo(tmp_path / "in.wav")  # nobody writes into it
    words = [sys.executable, "-c", WAITING_NUMPY, str(inside), str(go_on)]
    loading = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    until(inside.exists)
    loading.send_signal(number)
    time.sleep(0.1)
    go_on.touch()
    code, out, said = end(loading)
    assert (code, out, said.strip()) == (130, "", "dredge: interrupted")


def test_ctrl_c_while_the_command_is_loading_leaves_no_traceback(tmp_path):
    """On a small board the imports take seconds; here one of them waits for the signal."""
    (tmp_path / "click.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(60)\n")
    paths = os.pathsep.join([str(tmp_path), *(path for path in sys.path if path)])
    loading = subprocess.Popen([sys.executable, "-m", "dredge_host", "doctor"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": paths})  # fmt: skip
    assert loading.stdout.readline() == "loading\n"
    loading.send_signal(signal.SIGINT)
    code, _, said = end(loading)
    assert (code, said) == (-signal.SIGINT, "")  # which a shell reports as 130
