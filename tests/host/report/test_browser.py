# SPDX-License-Identifier: BSD-2-Clause
"""The report in a real browser, driven through Chromium's debugging pipe: looks, players, loops, keys."""

import pytest
from browser import NEEDS_BROWSER, Browser
from report_page import GAPS, SECONDS, moment, names_of_controls, needs_sound, problems, report, start

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    browser = Browser(folder / "profile")
    browser.open(report(folder))
    yield browser
    browser.close()


@pytest.fixture(autouse=True)
def fresh(page):
    """Every test finds the players stopped at the beginning, without a loop, at one size."""
    page.call("Emulation.setDeviceMetricsOverride", width=1000, height=800, deviceScaleFactor=1, mobile=False)
    page.run("if (play.textContent === 'Pause') play.click(); document.getElementById('loop-off').click();"
             "document.querySelector('.signals button').click(); document.activeElement.blur();"
             "seek.value = 0; seek.dispatchEvent(new Event('input')); scrollTo(0, 0)")  # fmt: skip
    yield
    assert problems(page) == []


def heard(page):
    return page.run("document.querySelector('.lane.heard').dataset.signal")


def position(page):
    return page.run("+seek.value")


def test_loads_without_errors_or_requests(page):
    asked = [e["params"]["request"]["url"] for e in page.events if e["method"] == "Network.requestWillBeSent"]
    assert asked and all(url.startswith(("file:", "data:", "about:")) for url in asked)


def test_all_pictures_decode(page):
    assert page.run("[...document.images].map(i => i.naturalWidth)") == [300, 300, 300]  # one column per packet


def test_gaps_lie_on_the_picture_where_they_are_in_time(page):
    edges = page.run(
        "[...document.querySelectorAll('.lane[data-signal]')].map(lane => {"
        "const i = lane.querySelector('img').getBoundingClientRect(), m = lane.querySelector('.marks');"
        "const b = m.getBoundingClientRect(), p = m.querySelector('.edge').getBoundingClientRect();"
        "return [b.left - i.left, b.width - i.width, b.top - i.top, b.height - i.height,"
        "(p.left - i.left) / i.width, (p.right - i.left) / i.width]})"
    )
    for *offsets, first, last in edges:
        assert offsets == pytest.approx([0, 0, 0, 0], abs=0.5)
        assert (first, last) == pytest.approx((GAPS[0][0] / SECONDS, GAPS[-1][1] / SECONDS), abs=0.003)


def test_keys_switch_without_losing_position(page):
    needs_sound(page)
    start(page)
    at, then = moment(page)
    page.press("2")
    assert heard(page) == "dred"
    later, now = moment(page)
    assert at <= later < at + now - then + 0.1, "time went on, and nothing else happened"
    page.press(" ")
    assert page.run("play.textContent") == "Play"


def test_arrows_move_by_a_second_or_a_packet(page):
    page.press("ArrowRight")
    page.press("ArrowRight", shift=True)
    assert position(page) == pytest.approx(1.02)
    page.press("ArrowLeft")
    assert position(page) == pytest.approx(0.02)


def test_n_and_p_jump_from_gap_to_gap(page):
    starts = []
    for _ in range(4):
        page.press("n")
        starts.append(position(page))
    leads = [start - 0.3 for start, _ in GAPS]
    assert starts == pytest.approx([*leads, leads[-1]], abs=0.011), "the last gap stays"
    page.press("p")
    assert position(page) == pytest.approx(leads[-2], abs=0.011)
    assert page.run("document.getElementById('status').textContent") == "Gap at 3.00 s, 100 ms."


def test_a_loop_lies_around_the_gap_and_sound_stays_in_it(page):
    needs_sound(page)
    page.press("n")
    page.press("g")
    low, high = GAPS[0][0] - 0.3, GAPS[0][1] + 0.3
    assert page.run("document.getElementById('loop').textContent") == f"{low:.2f} s to {high:.2f} s"
    assert page.run("document.getElementById('loop-gap').getAttribute('aria-pressed')") == "true"
    box = page.run("(() => {const r = region.getBoundingClientRect(), a = region.parentNode.getBoundingClientRect();"
                   "return [(r.left - a.left) / a.width, (r.right - a.left) / a.width]})()")  # fmt: skip
    assert box == pytest.approx([low / SECONDS, high / SECONDS], abs=0.003)
    start(page)
    seen = page.run(
        "new Promise(r => {const s = []; const t = setInterval(() => {s.push(+seek.value);"
        "if (s.length > 20 && s.some((x, i) => x < s[i - 1])) {clearInterval(t); r(s)}}, 50)})"
    )
    assert all(low - 0.011 <= at <= high + 0.011 for at in seen)
    page.press("n")
    assert page.run("document.getElementById('loop').textContent").startswith("2.70 s"), "the loop goes along"
    page.press("g")
    assert page.run("document.getElementById('loop').textContent") == ""


def test_a_loop_between_marks(page):
    page.press("ArrowRight")
    page.press("[")
    page.press("ArrowRight")
    page.press("]")
    assert page.run("document.getElementById('loop').textContent") == "1.00 s to 2.00 s"
    page.press("ArrowLeft")
    page.press("0")
    assert page.run("document.getElementById('loop-off').disabled")
    page.press("[")
    page.press("]")
    assert page.run("document.getElementById('status').textContent") == "The end of a loop lies after its start."


def on_axis(page, *shares):
    """Presses the mouse at the first share of the axis and lets go at the last."""
    page.run("document.querySelector('.strip').scrollIntoView({block: 'center'})")
    left, width, top = page.run(
        "(() => {const b = document.querySelector('.axis').getBoundingClientRect();"
        "return [b.left, b.width, document.querySelector('.strip').getBoundingClientRect().top]})()"
    )
    kinds = ["mousePressed", *["mouseMoved"] * (len(shares) - 1), "mouseReleased"]
    for kind, share in zip(kinds, [*shares, shares[-1]], strict=True):
        page.call("Input.dispatchMouseEvent", type=kind, x=left + width * share, y=top + 4, button="left",
                  buttons=1, clickCount=1)  # fmt: skip


def test_clicking_the_time_axis_seeks_and_dragging_loops(page):
    on_axis(page, 0.25)
    assert position(page) == pytest.approx(1.5, abs=0.05)
    on_axis(page, 0.5, 0.6, 0.75)
    assert page.run("document.getElementById('loop').textContent") == "3.00 s to 4.50 s"
    assert position(page) == pytest.approx(3.0, abs=0.05)


def test_readout_names_the_source(page):
    page.run(
        "(() => {const a = document.querySelector('.axis'), b = a.getBoundingClientRect();"
        "a.dispatchEvent(new PointerEvent('pointermove', {clientX: b.left + b.width * 55.5 / 300,"
        "clientY: b.top + 5, bubbles: true}))})()"
    )
    assert page.run("readout.textContent") == "1.10 s, packet 55: dred, 400 ms delay, 0.95 ms CPU"


def test_zoom_keeps_the_middle_and_scrolls_only_the_axis(page):
    page.run("zoom.value = 3; zoom.dispatchEvent(new Event('input'))")
    width, scrolled, middle = page.run(
        "(() => {const v = document.querySelector('.axis-scroll'), w = document.querySelector('.axis').clientWidth;"
        "return [w / v.clientWidth, v.scrollLeft > 0, (v.scrollLeft + v.clientWidth / 2) / w]})()"
    )
    assert width == pytest.approx(8, abs=0.05) and scrolled and middle == pytest.approx(0.5, abs=0.01)
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    page.run("zoom.value = 0; zoom.dispatchEvent(new Event('input'))")


def test_equal_loudness_says_by_how_much(page):
    label = page.run("document.getElementById('match').closest('label').textContent")
    assert "against Original" in label and "Neural concealment only -6.0 dB" in label
    page.run("match.click()")
    assert page.run("match.checked") is True
    page.run("match.click()")


def test_keys_can_be_switched_off(page):
    page.run("shortcuts.click()")
    page.press("n")
    assert position(page) == 0
    page.run("shortcuts.click()")
    page.press("n")
    assert position(page) > 0


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_nothing_is_wider_than_the_screen(page, width):
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
    page.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
    assert page.run("document.documentElement.scrollWidth") <= width
    page.run("document.querySelectorAll('details').forEach(d => { d.open = false })")


def test_dark_theme_follows_the_system(page):
    def back(theme):
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        return page.run("getComputedStyle(document.body).backgroundColor")

    assert back("dark") == "rgb(19, 20, 24)"
    assert back("light") == "rgb(251, 250, 248)"


def test_paper_has_pictures_and_no_players(page):
    page.call("Emulation.setEmulatedMedia", media="print")
    shown = page.run(
        "['.deck', '#blind', '.zoom', '.lane img', '.legend'].map(q => document.querySelector(q).offsetHeight > 0)"
    )
    page.call("Emulation.setEmulatedMedia", media="")
    assert shown == [False, False, False, True, True]


def test_every_control_has_a_name_and_can_be_reached(page):
    page.run("document.querySelectorAll('details').forEach(d => { d.open = true })")
    controls = names_of_controls(page)
    assert len(controls) > 20
    assert all(name for _, name in controls), controls
    assert ("button", "Play") in controls and ("slider", "Position") in controls
    assert ("radio", "Received, with DRED") in controls, "the digit is for eyes only"
    page.run("document.querySelectorAll('details').forEach(d => { d.open = false })")


def test_tab_goes_through_the_deck_in_order_with_a_visible_ring(page):
    page.run("(() => {const h = document.querySelector('h1'); h.tabIndex = -1; h.focus()})()")
    seen = []
    for _ in range(9):
        page.press("Tab")
        seen.append(page.run("document.activeElement.id || document.activeElement.textContent.trim()"))
        assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid", seen[-1]
    jumps = ["previous-gap", "next-gap", "loop-gap", "loop-from", "loop-to"]
    assert seen == ["play", "seek", "1 Original", *jumps, "match"]


def test_arrows_choose_in_the_group_of_signals(page):
    page.run("document.querySelector('.signals [aria-checked=true]').focus()")
    page.press("ArrowRight")
    assert heard(page) == "dred" and page.run("document.activeElement.dataset.signal") == "dred"
    page.press("ArrowLeft")
    page.press("ArrowLeft")
    assert heard(page) == "plc", "around the end"


def test_one_drawing_at_a_time_however_often_something_changes(page):
    needs_sound(page)
    page.run("globalThis.asked = 0; globalThis.frame = requestAnimationFrame;"
             "requestAnimationFrame = (f) => { asked += 1; return frame(f); }")  # fmt: skip
    start(page)
    for key in "123123123123":
        page.press(key)
    asked, frames = page.run(
        "new Promise(r => {asked = 0; let n = 0; const count = () => (++n < 20 ? frame(count) : r([asked, n]));"
        "frame(count)})"
    )
    page.run("requestAnimationFrame = frame")
    page.press(" ")
    assert asked <= frames + 1
