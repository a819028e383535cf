# SPDX-License-Identifier: BSD-2-Clause
"""The blind test in a real browser: driven by keys, silent about the score, right in the end; and odd pages."""

import math
import re

import numpy as np
import pytest
import soundfile
from browser import NEEDS_BROWSER, Browser
from report_page import moment, names_of_controls, needs_sound, problems, report, start

from dredge_host.report import write_report

pytestmark = NEEDS_BROWSER

# The page draws X from the system's randomness; here from a list, 1 for B.
DRAWS = "globalThis.draws = {}; crypto.getRandomValues = (bytes) => {{ bytes[0] = draws.shift() ?? 0; return bytes; }};"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def page(browser, tmp_path):
    browser.events.clear()
    browser.open(report(tmp_path))
    yield browser
    assert problems(browser) == []


def begin(page, draws):
    page.run(DRAWS.format(draws))
    page.press("t")


def said(page, name):
    return page.run(f"document.getElementById('{name}').textContent")


def test_it_opens_at_the_worst_gap_in_a_loop_with_a_and_b_to_compare(page):
    def heard():
        return page.run("document.querySelector('.lane.heard').dataset.signal")

    assert page.run("document.getElementById('loop').textContent") == "0.70 s to 1.60 s"
    assert page.run("+seek.value") == pytest.approx(0.7) and heard() == "dred"
    lines = page.run("[...document.querySelectorAll('.guide')].map(p => p.textContent)")
    assert lines[0].startswith("This loop is the worst gap of the run: for 300 ms, at 1.00 s")
    assert lines[1].startswith("Press A (Received, with DRED) and B (Neural concealment only)")
    page.press("b")
    assert heard() == "plc"
    page.press("a")
    assert heard() == "dred"


def test_a_long_run_opens_with_the_gap_in_the_middle_of_the_view(browser, tmp_path):
    """60 s with one gap of 300 ms at 45 s: the picture is enlarged, and the loop lies in it."""
    soundfile.write(tmp_path / "dred.wav", np.zeros(60 * 16000, np.int16), 16000)
    rows = [[i, "dred" if 2250 <= i < 2265 else "opus", 400.0, 900] for i in range(3000)]
    browser.events.clear()
    browser.open(write_report(tmp_path / "r.html", {"timeline": rows}, {"dred": tmp_path / "dred.wav"}))
    left, right, width = browser.run(
        "(() => {const r = region.getBoundingClientRect(), v = document.querySelector('.axis-scroll')"
        ".getBoundingClientRect(); return [r.left - v.left, r.right - v.left, v.width]})()"
    )
    assert (left + right) / 2 == pytest.approx(width / 2, abs=3) and 0.1 < (right - left) / width < 0.2
    assert problems(browser) == []


def test_every_column_fits_a_phone(browser, tmp_path):
    times = {"p50_us": 1234, "p95_us": 12345, "p99_us": 23456, "max_us": 98765}
    checks = [{"name": "coverable losses filled", "value": 99.25, "unit": "%", "limit": 95.0, "at_least": True,
               "pass": False}]  # fmt: skip
    result = {
        "verdict": {"pass": False, "checks": checks},
        "frames": {"by_source": {"opus": 123456, "lbrr": 12345, "dred": 23456}, "reasons": {"no later packet": 12}},
        "stream": {"bitrate_bps": {"speech": 23104.4, "lbrr": 11001.1, "dred": 25758.5, "headers": 16000.0}},
        "cpu": {**times, "stages": {"vocoder": times, "features": times}, "wall": times},
    }
    browser.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)
    browser.events.clear()
    browser.open(report(tmp_path, **result))
    hidden = browser.run("[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)")
    browser.call("Emulation.clearDeviceMetricsOverride")
    assert len(hidden) == 5 and max(hidden) <= 0
    assert problems(browser) == []


def test_a_whole_test_by_keys(page):
    begin(page, [0, 1, 1, 0, 1, 0])
    assert page.run("blind.open") and page.run("document.activeElement.id") == "hear-x"
    assert page.run("document.getElementById('loop').textContent") == "0.70 s to 1.60 s", "around the first gap"
    for number, answer in enumerate("ABBAA"):
        assert said(page, "abx-trial").startswith(f"Trial {number + 1}. {number} answered")
        for key in "axb":
            page.press(key)
            assert page.run(f"document.getElementById('hear-{key}').getAttribute('aria-pressed')") == "true"
        page.press(answer, shift=True)
    assert said(page, "abx-trial") == "Trial 6. 5 answered."
    page.press("e")
    assert said(page, "abx-score") == (
        "4 of 5 right; guessing does at least as well with p = 0.188. Nothing shows that you heard a difference. "
        "That is no proof that there is none."
    )
    assert page.run("document.getElementById('abx-run').hidden") and page.run("play.textContent") == "Play"
    assert page.run("document.querySelector('.lane.heard').dataset.signal") == "dred", "as it was before"
    assert page.run("document.activeElement.id") == "abx-start"


def test_nothing_on_the_page_tells_what_x_is_or_how_it_goes(page, tmp_path):
    """The page is the same to the letter whether X is A or B, and whether the answers were right or wrong."""

    def played(draws):
        page.events.clear()
        page.open(tmp_path / "report.html")
        begin(page, draws)
        seen = []
        for answer in "ABA":
            page.press("x")
            seen.append(still(page))
            page.press(answer, shift=True)
            seen.append(still(page))
        page.press("e")
        return seen, said(page, "abx-score")

    right, score = played([0, 1, 0])
    wrong, other = played([1, 0, 1])
    assert right == wrong
    assert score.startswith("3 of 3 right") and other.startswith("0 of 3 right")


def still(page):
    """The page without what moves with time: position, and the waiting for sound."""
    return page.run(
        "(() => {const copy = document.querySelector('main').cloneNode(true);"
        "for (const q of ['#clock', '#head', '#play', '#seek', '#abx-score']) copy.querySelector(q).remove();"
        "return copy.outerHTML.replace(/src=.[^ >]*/g, '')})()"
    )


def test_during_the_test_signals_cannot_be_looked_up(page):
    begin(page, [1])
    page.press("2")
    assert page.run("[...document.querySelectorAll('.signals button')].every(b => b.disabled)")
    assert page.run("document.querySelectorAll('.lane.heard, .signals [aria-checked=true]').length") == 0
    assert page.run("match.disabled") and page.run("match.checked"), "all are equally loud"
    page.press("e")
    assert not page.run("match.checked"), "as it was before"
    assert said(page, "abx-score") == "No trial was answered."


def test_every_control_of_a_running_test_has_a_name(page):
    begin(page, [1])
    controls = names_of_controls(page)
    assert all(name for _, name in controls), controls
    for name in ("Hear A", "Hear X", "Hear B", "X is A", "X is B", "End and show the score"):
        assert ("button", name) in controls
    page.press("e")
    names = names_of_controls(page)
    assert {("combobox", "A"), ("combobox", "B")} <= set(names) and ("button", "Start the test") in names


def test_buttons_do_what_keys_do_and_two_equal_signals_are_refused(page):
    page.run("blind.open = true; document.getElementById('abx-b').value = 'dred'")
    page.run("document.getElementById('abx-start').click()")
    assert said(page, "abx-score") == "Choose two different signals."
    page.run(DRAWS.format("[1, 0]") + "document.getElementById('abx-b').value = 'original'")
    for name in ("abx-start", "hear-a", "hear-b", "hear-x", "x-is-b", "abx-end"):
        page.run(f"document.getElementById('{name}').click()")
    assert said(page, "abx-score").startswith("1 of 1 right")


def test_a_trial_run_tells_at_once_and_does_not_count(page):
    page.run(DRAWS.format("[0, 1, 1]") + "blind.open = true; document.getElementById('abx-practice').click()")
    assert said(page, "abx-trial") == "Question 1 of 3: is X A or B?"
    page.press("A", shift=True)
    assert said(page, "abx-trial") == "Right: X was A. Question 2 of 3: is X A or B?"
    page.press("A", shift=True)
    assert said(page, "abx-trial") == "Wrong: X was B. Question 3 of 3: is X A or B?"
    page.press("B", shift=True)
    assert said(page, "abx-score") == (
        "Right: X was B. Trial run: 2 of 3 right. It does not count; now start the test."
    )
    page.run(DRAWS.format("[0]") + "document.getElementById('abx-start').click()")
    assert said(page, "abx-trial").startswith("Trial 1. 0 answered"), "the real test begins from nothing"
    page.press("e")


def test_jumps_take_the_loop_along(page):
    begin(page, [0])
    page.press("n")
    assert page.run("document.getElementById('loop').textContent") == "2.70 s to 3.40 s"
    page.press("e")


@pytest.mark.parametrize(("right", "trials"), [(0, 0), (0, 7), (5, 5), (9, 12), (16, 16), (60, 100), (500, 1000)])
def test_chance_is_the_exact_binomial_tail(page, right, trials):
    exact = sum(math.comb(trials, k) for k in range(right, trials + 1)) / 2**trials
    assert page.run(f"binomialTail({right}, {trials})") == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    ("right", "trials", "words"),
    [
        (4, 4, "p = 0.063. Nothing shows that you heard a difference. Fewer than 5 trials can never tell."),
        (5, 5, "p = 0.031. You heard a difference."),
        (16, 16, "p < 0.001. You heard a difference."),
        (8, 16, "p = 0.598. Nothing shows that you heard a difference. That is no proof that there is none."),
    ],
)
def test_the_verdict_says_what_follows(page, right, trials, words):
    assert page.run(f"verdictOf({right}, {trials})") == (
        f"{right} of {trials} right; guessing does at least as well with {words}"
    )


def test_an_adaptive_recording_keeps_the_place_when_signals_change(browser, tmp_path):
    """Packets from 150 on were held for 1 s, so the recording runs a second behind the original."""
    wavs = {}
    for name, seconds in (("original", 6), ("received", 7)):
        wavs[name] = tmp_path / f"{name}.wav"
        soundfile.write(wavs[name], np.zeros(seconds * 16000, np.int16), 16000)
    rows = [[i, "opus", 40.0 if i < 150 else 1040.0, 500] for i in range(300)]
    browser.events.clear()
    browser.open(write_report(tmp_path / "r.html", {"timeline": rows, "settings": {"adaptive": True}}, wavs))
    lookahead = 104 / 16000
    own, shared = browser.run(
        "(() => {const d = JSON.parse(document.getElementById('data').textContent).signals;"
        "const w = new Warp(d.received.warp, 0.02);"
        "return [[0, 2, 4, 6].map(t => w.own(t)), [1, 2.98, 3.5, 5.5].map(t => w.shared(w.own(t)))]})()"
    )
    assert own == pytest.approx([lookahead, 2 + lookahead, 5 + lookahead, 7 + lookahead], abs=2e-3)
    assert shared == pytest.approx([1, 2.98, 3.5, 5.5], abs=2e-3)
    needs_sound(browser)
    browser.run("seek.value = 4; seek.dispatchEvent(new Event('input'))")
    browser.run("seek.value = 4; seek.dispatchEvent(new Event('input'))")
    start(browser)
    for key in "2121":
        before, then = moment(browser)
        browser.press(key)
        browser.run("new Promise(r => setTimeout(r, 100))")
        after, now = moment(browser)
        assert before - 0.02 <= after < before + now - then + 0.1
    assert problems(browser) == []


def test_a_browser_that_allows_no_other_rate_plays_at_its_own(page):
    needs_sound(page)
    page.run("globalThis.Own = AudioContext; globalThis.AudioContext = class extends Own {"
             "constructor(options) {if (options) throw new Error('not this rate'); super();}}")  # fmt: skip
    start(page)
    page.press(" ")
    assert page.run("+seek.value") > 0


def test_a_browser_without_sound_says_so_and_shows_the_plain_players(page):
    page.run("globalThis.AudioContext = class {constructor() {throw new Error('no device')}}")
    page.press(" ")
    page.run("new Promise(r => setTimeout(r, 50))")
    assert page.run("document.getElementById('status').textContent").startswith("This browser cannot play here")
    assert page.run("document.querySelector('.lane audio').offsetHeight") > 0


def test_markup_in_a_result_does_not_run(browser, tmp_path):
    evil = "</script><img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"
    path = report(tmp_path, environment={evil: evil}, verdict={"pass": True, "checks": [{"name": evil}]})
    browser.events.clear()
    browser.open(path)
    assert browser.run("document.title") == "Dredge: speech through packet loss"
    assert browser.run("document.querySelectorAll('script').length") == 2
    assert problems(browser) == []


def test_the_policy_stops_a_script_that_got_in_after_all(browser, tmp_path):
    path = report(tmp_path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("<main>", "<main><script>document.title = 'pwned'</script>"), encoding="utf-8")
    browser.events.clear()
    browser.open(path)
    assert browser.run("document.title") == "Dredge: speech through packet loss"
    assert any("Content Security Policy" in str(problem) for problem in problems(browser))


def test_without_scripts_the_plain_players_are_there(browser, tmp_path):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.events.clear()
    browser.open(report(tmp_path))
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    shown = browser.run("['audio', '.lane img', '.deck', '.zoom', '#blind', '.gaps.tools']"
                        ".map(q => document.querySelector(q).offsetHeight > 0)")  # fmt: skip
    assert shown == [True, True, False, False, False, False]


def test_calm_motion_moves_the_position_in_steps(page):
    needs_sound(page)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    start(page)
    steps, seconds = page.run(
        "new Promise(r => {const s = new Set(), from = performance.now();"
        "const t = setInterval(() => s.add(head.style.left), 10);"
        "setTimeout(() => {clearInterval(t); r([s.size, (performance.now() - from) / 1000])}, 1000)})"
    )
    page.press(" ")
    page.call("Emulation.setEmulatedMedia", features=[])
    assert steps <= 4 * seconds + 2
    assert re.fullmatch(r"[\d.]+%", page.run("head.style.left"))
