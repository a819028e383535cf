# SPDX-License-Identifier: BSD-2-Clause
"""The status of an agent: real processes asked by HTTP and heard through a real MQTT broker."""

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import numpy as np
import pytest
from device_host import Host, start_agent
from ports import free_port
from waiting import LONGEST_S

from dredge_device import control, rtp
from dredge_device.__main__ import main
from dredge_device.pi.status import metrics
from dredge_device.pi.status.document import STUCK_S, StatusDocument
from dredge_device.pi.status.figures import SILENT_US, SessionFigures
from dredge_device.pi.status.http import HttpStatus
from dredge_device.pi.status.mqtt import SENSORS, discovery
from dredge_device.pi.status.urls import broker, check_status
from dredge_kernels import opus

SSRC = 0xBEEF
REPORT = {
    "schema": "dredge-device-report-1", "timeline": {}, "loss_pct": 5.0, "packets": {"expected": 200, "lost": 10},
    "sources": {"opus": 190, "dred": 9, "plc": 1}, "delay_ms": {"mean": 1000.5, "jitter": 0.25},
    "queue": {"recovered_pct": 90.0, "late_periods": 2, "load_pct": 4.5}, "budget": {"p99_us": 2500},
}  # fmt: skip


def document(clock, peer='10.0.0.1:1000', report=REPORT):
    made = StatusDocument("agent", "udp://127.0.0.1:5004", {"ok": True, "simd": "avx2"}, clock=clock)
    figures = SessionFigures(peer, False, report, 1_000_000, 4_900_000)
    made.publish([figures], None, {"streams": {"running": 1, "most": 2, "ended": 7}, "governor": {"refused": 1}})
    return made


def test_the_document_holds_the_device_report_and_a_summary():
    found = document(lambda: 5_000_000).read()
    (session,) = found["sessions"]
    assert session["report"]["queue"] == REPORT["queue"] and "timeline" not in session["report"]
    assert (session["seconds"], session["heard_age_s"], session["ended"]) == (4.0, 0.1, None)
    assert found["summary"] | {"cpu_pct": 0, "temperature_c": 0} == {
        "state": "playing", "sessions": 1, "peer": "10.0.0.1:1000", "loss_pct": 5.0, "recovered_pct": 90.0, "dred": 9,
        "delay_ms": 1000.5, "late_periods": 2, "cpu_pct": 0, "temperature_c": 0}  # fmt: skip
    assert found["device"] == {"simd": "avx2"} and found["healthy"] and found["process"]["rss_kb"] > 1000


def test_a_player_that_hangs_is_not_healthy_and_its_figures_have_an_age():
    now = [5_000_000]
    made = document(lambda: now[0])
    assert made.healthy
    now[0] += int(STUCK_S * 1e6)
    assert not made.healthy and made.read()["age_s"] == STUCK_S


def test_the_summary_says_when_the_sender_fell_silent():
    now = [5_000_000]
    made = document(lambda: now[0])
    assert made.read()["summary"]["state"] == "playing"
    now[0] = 4_900_000 + SILENT_US
    assert made.read()["summary"]["state"] == "silent"


def test_prometheus_text_is_well_formed_whatever_a_peer_is_called():
    text = metrics.text(document(lambda: 5_000_000, 'a"b\\c\nd').read())
    name, label, value = r"dredge_[a-z0-9_]+", r'[a-z]+="(?:[^"\\\n]|\\["\\n])*"', r"-?[0-9.e+-]+"
    for line in text.splitlines():
        assert re.fullmatch(rf"# (?:HELP|TYPE) {name} .+|{name}(?:\{{{label}(?:,{label})*\}})? {value}", line), line
    assert 'dredge_stream_periods_total{peer="a\\"b\\\\c\\nd",source="dred"} 9' in text
    assert "dredge_up 1\n" in text and "dredge_sessions_ended_total 7\n" in text and "dredge_sessions 1\n" in text


def test_a_report_without_figures_gives_no_metric_and_no_error():
    assert "dredge_stream_delay_seconds" not in metrics.text(document(lambda: 5_000_000, report={}).read())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://x/y", "expected http://"),
        ("http://127.0.0.1", "expected http://127.0.0.1:PORT"),
        ("http://127.0.0.1:70000", "expected http://"),
        ("http://0.0.0.0:9000", "can be read by other machines; use 127.0.0.1, or add --allow-remote"),
        ("http://192.168.1.7:9000", "can be read by other machines"),
        ("mqtt://host", "expected mqtt://"),
        ("mqtt://host/a/#", "no # or +"),
        ("mqtt://host/a?every=0", "every=SECONDS"),
        ("mqtt://host/a?often=1", "every=SECONDS"),
        ("mqtt://me:secret@/a", "status is 'mqtt://…@/a'"),
    ],
)
def test_urls_that_are_none_are_refused_with_advice(url, said, capsys):
    with pytest.raises(ValueError, match=re.escape(said)):
        check_status(url, False)
    with pytest.raises(SystemExit):
        main(["--status", url])
    assert "secret" not in capsys.readouterr().err


def test_a_broker_s_url():
    plain, secure = broker("mqtt://pi/home/dredge"), broker("mqtts://u:p%40@h:1/t?every=2&discovery")
    assert (plain.host, plain.port, plain.topic, plain.every_s, plain.discovery) == ("pi", 1883, "home/dredge", 5.0, "")
    assert (secure.port, secure.user, secure.password, secure.tls) == (1, "u", "p@", True)
    assert (secure.every_s, secure.discovery) == (2.0, "homeassistant")
    check_status("http://0.0.0.0:9000", True)


@pytest.fixture
def served():
    status = HttpStatus("127.0.0.1", 0, document(lambda: time.monotonic_ns() // 1000))
    yield status.url
    status.close()


def get(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
            return answer.status, answer.headers["Content-Type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"], error.read().decode()


def test_http_answers(served):
    assert json.loads(get(served)[2])["schema"] == "dredge.status/1"
    assert get(served + "/metrics")[:2] == (200, metrics.CONTENT_TYPE)
    assert get(served + "/healthz")[::2] == (200, "ok\n")
    assert get(served + "/other")[0] == 404
    where = urllib.parse.urlsplit(served)
    with socket.create_connection((where.hostname, where.port)) as caller:
        caller.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = caller.makefile("rb").read()
    assert b" 501 " in answer and answer.endswith(b"expected GET of /, /metrics or /healthz\n") and b"<" not in answer


def test_a_page_under_another_name_cannot_read_it(served):
    """DNS rebinding: a browser on this machine asks 127.0.0.1 for somebody else's host."""
    assert get(served, Host="evil.example:80")[0] == 403
    for name in ("localhost:1", "127.0.0.1", "LOCALHOST"):
        assert get(served, Host=name)[0] == 200, name


def test_slow_and_rude_clients_are_let_go_and_others_are_answered(served):
    host, port = served.removeprefix("http://").split(":")
    rude = []
    for said in (b"", b"GET / HT", b"\0" * 9000, b"POST / HTTP/1.1\r\n\r\n", b"GET " + b"/" * 9000, b"\r\n\r\n"):
        rude.append(socket.create_connection((host, int(port)), timeout=60))
        rude[-1].sendall(said)
    assert get(served)[0] == 200
    for client in rude:
        try:
            while client.recv(4096):
                pass
        except ConnectionError:
            pass
        client.close()


def test_answers_are_rationed(served):
    """However many ask, there are at most fifty answers a second."""
    host, answered, stop = served.removeprefix("http://"), [], threading.Event()

    def ask():
        while not stop.is_set():
            connection = http.client.HTTPConnection(host, timeout=60)
            try:
                connection.request("GET", "/metrics")
                answered.append(connection.getresponse().status)
            except OSError:
                continue
            finally:
                connection.close()

    begun = time.monotonic()
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.8)
    stop.set()
    for thread in threads:
        thread.join()
    assert 0 < len(answered) <= (time.monotonic() - begun) / 0.02 + 4 and set(answered) == {200}


def stream(host, count=75, lost=(30, 31)):
    """A session of so many packets."""
    encoder = opus.OpusEncoder(bitrate=24000)
    tone = np.rint(5000 * np.sin(np.arange(320 * count) / 9)).astype(np.int16).reshape(count, 320)
    host.ask(control.HELLO, {"role": "host"})
    host.ask(control.CONFIGURE, {"playout_ms": 100, "conceal": "opus", "ssrc": SSRC, "first_sequence": 0})
    for number, piece in enumerate(tone):
        if number not in lost:
            host.socket.send(rtp.build(number, 960 * number, SSRC, encoder.encode(piece)))
        host.listen(0.02)


def goodbye(host, count=75):
    host.ask(control.BYE, {"last_sequence": count - 1})
    host.listen(LONGEST_S, lambda: any("output" in r for r in host.reports))


def until(work, wanted, seconds=120.0):
    """The first value that is as wanted."""
    end = time.monotonic() + seconds
    while True:
        value = work()
        if wanted(value):
            return value
        assert time.monotonic() < end, value
        time.sleep(0.1)


def test_an_agent_s_status_follows_its_sessions():
    process, address = start_agent("--conceal", "opus", "--status", "http://127.0.0.1:0")
    host = Host(address)
    try:
        assert " ready at " in process.stderr.readline()
        url = process.stderr.readline().split()[-1]
        idle = until(lambda: json.loads(get(url)[2]), lambda d: d.get("streams"))
        assert idle["summary"]["state"] == "idle" and idle["sessions"] == [] and idle["last"] is None
        assert idle["streams"] == {"running": 0, "most": 1, "ended": 0} and idle["process"]["cpu_s"] > 0
        stream(host)
        playing = until(lambda: json.loads(get(url)[2]), lambda d: d["sessions"] and d["sessions"][0]["report"])
        (session,) = playing["sessions"]
        assert session["peer"] == "{}:{}".format(*host.socket.getsockname()) and session["report"]["conceal"] == "opus"
        goodbye(host)
        after = until(lambda: json.loads(get(url)[2]), lambda d: d["last"])
        assert after["last"]["ended"] == "goodbye" and after["last"]["report"]["packets"]["missing"] == 2
        assert after["summary"]["state"] == "idle" and after["summary"]["loss_pct"] > 0
        until(lambda: get(url + "/metrics")[2], lambda text: "\ndredge_sessions_ended_total 1\n" in text)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(url, timeout=5)
    finally:
        host.close()
        process.kill()
        process.communicate()


def test_a_taken_port_is_said_and_nothing_stays():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["--conceal", "opus", "--listen", "udp://127.0.0.1:0", "--status",
                     f"http://127.0.0.1:{taken.getsockname()[1]}"]) == 3  # fmt: skip


@pytest.fixture
def mosquitto(tmp_path):
    """(host, port) of a real broker."""
    program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
    if program is None:
        pytest.skip("needs mosquitto: apt-get install mosquitto")
    pytest.importorskip("paho.mqtt.client", reason="needs paho-mqtt: dredge extras add mqtt")
    port = free_port()
    (tmp_path / "conf").write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
    process = subprocess.Popen([program, "-c", str(tmp_path / "conf")], stderr=subprocess.DEVNULL)
    try:
        until(lambda: _open(port), bool)
        yield port
    finally:
        process.kill()
        process.wait()


def _open(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_broker_and_home_assistant_hear_of_every_session(mosquitto):
    from paho.mqtt import client as paho

    heard = {}
    client = paho.Client(paho.CallbackAPIVersion.VERSION2)
    client.on_message = lambda client, data, message: heard.setdefault(message.topic, []).append(message.payload)
    client.connect("127.0.0.1", mosquitto)
    client.subscribe("#")
    client.loop_start()
    url = f"mqtt://127.0.0.1:{mosquitto}/home/dredge?every=1&discovery"
    process, address = start_agent("--conceal", "opus", "--status", url)
    host = Host(address)

    def documents():
        return [json.loads(payload) for payload in heard.get("home/dredge", [])]

    try:
        until(lambda: heard.get("home/dredge/availability"), lambda v: v == [b"online"])
        stream(host)
        until(documents, lambda d: d and d[-1]["summary"]["state"] == "playing")
        goodbye(host)
        last = until(documents, lambda d: d and d[-1]["last"])[-1]
        assert last["last"]["report"]["packets"]["missing"] == 2 and last["summary"]["state"] == "idle"
        configured = {topic for topic in heard if topic.startswith("homeassistant/sensor/home_dredge/")}
        assert len(configured) == len(SENSORS)
        loss = json.loads(heard["homeassistant/sensor/home_dredge/loss_pct/config"][0])
        assert loss["state_topic"] == "home/dredge" and loss["value_template"] == "{{ value_json.summary.loss_pct }}"
        process.kill()  # no goodbye: the broker tells it
        until(lambda: heard["home/dredge/availability"], lambda v: v[-1] == b"offline")
    finally:
        client.loop_stop()
        host.close()
        process.kill()
        process.communicate()


def test_an_agent_works_while_its_broker_is_away_and_says_goodbye_to_nobody():
    port = free_port()
    process, address = start_agent("--conceal", "opus", "--once", "--status", f"mqtt://127.0.0.1:{port}/t")
    host = Host(address)
    try:
        stream(host, 20, ())
        goodbye(host, 20)
        assert process.wait(60) == 0
    finally:
        host.close()
        process.kill()
        process.communicate()


def test_every_sensor_reads_a_figure_of_the_summary():
    known = document(lambda: 5_000_000).read()["summary"]
    found = discovery(broker("mqtt://h/t?discovery=ha"))
    topics = {topic for topic, _ in found}
    assert len(topics) == len(SENSORS) and all(topic.startswith("ha/sensor/t/") for topic in topics)
    assert {key for key, *_ in SENSORS} <= set(known)
    assert discovery(broker("mqtt://h/t")) == []
