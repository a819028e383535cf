// SPDX-License-Identifier: BSD-2-Clause
// Puts players, axis and blind test together: buttons, keys, and what they show.
"use strict";
(() => {
  const LEAD = 0.3;         // seconds before and after a gap
  const axisElement = document.querySelector(".axis");
  if (!axisElement) return;
  const find = (id) => document.getElementById(id);
  const data = JSON.parse(find("data").textContent);
  const timeline = new Timeline(data);
  const axis = new Axis(timeline);
  const sounds = new Map([...document.querySelectorAll("audio[data-signal]")].map((a) => [a.dataset.signal, a]));
  if (!sounds.size || !window.AudioContext) return;

  const players = new Players(sounds, data.signals, timeline.total, PACKET_SECONDS);
  const choices = [...document.querySelectorAll(".signals button")];
  const lanes = [...document.querySelectorAll(".lane[data-signal]")];
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const blind = sounds.size > 1 ? new BlindTest(players) : { running: false };
  let mark = null;          // where a loop shall begin, until its end is known
  let shown = 0;            // when the position was last drawn

  let drawing = false;      // a next drawing is already asked for

  const seconds = (value) => `${value.toFixed(2)} s`;

  function showLoop(loop, at) {
    const ends = loop?.map(seconds).join(" to ");
    find("loop").textContent = ends ?? (mark === null ? "" : `from ${seconds(mark)}`);
    find("loop-off").disabled = !loop && mark === null;
    const aroundGap = Boolean(loop && timeline.gaps.some((gap) => same(around(gap), loop)));
    find("loop-gap")?.setAttribute("aria-pressed", String(aroundGap));
    axis.show(at, loop ?? (mark === null ? null : [mark, Math.max(at, mark)]), players.playing);
  }

  function show() {
    const [at, secret] = [players.position, blind.running];
    find("play").textContent = players.playing ? "Pause" : "Play";
    find("seek").value = at;
    find("seek").setAttribute("aria-valuetext", seconds(at));
    find("clock").textContent = seconds(at);
    showLoop(players.loop, at);
    for (const choice of choices) {
      const chosen = choice.dataset.signal === players.signal && !secret;
      choice.setAttribute("aria-checked", String(chosen));
      choice.disabled = secret;
      choice.tabIndex = chosen ? 0 : -1;
    }
    for (const lane of lanes) lane.classList.toggle("heard", lane.dataset.signal === players.signal && !secret);
    if (find("match")) { find("match").checked = players.matched; find("match").disabled = secret; }
  }

  function tick(time) {
    drawing = false;
    if (!players.playing) return;
    if (!players.loop && players.position >= timeline.total) players.pause();
    else if (!calm.matches || time - shown > 250) { shown = time; show(); }
    drawNext();
  }

  function drawNext() {
    if (drawing || !players.playing) return;
    drawing = true;
    requestAnimationFrame(tick);
  }

  players.changed = () => { show(); drawNext(); };
  players.failed = () => {
    document.body.classList.remove("scripted");
    find("status").textContent = "This browser cannot play here; use the players below the pictures.";
  };

  const toggle = () => (players.playing ? players.pause() : players.play());
  const around = ([start, end]) => [Math.max(0, start - LEAD), Math.min(timeline.total, end + LEAD)];
  const same = (a, b) => Math.abs(a[0] - b[0]) < 1e-6 && Math.abs(a[1] - b[1]) < 1e-6;

  function loopOver(loop) {
    mark = null;
    players.setLoop(loop);
  }

  function goTo(gap) {
    if (!gap) return;
    if (players.loop) loopOver(around(gap));
    players.seek(gap[0] - LEAD);
    find("status").textContent = `Gap at ${seconds(gap[0])}, ${Math.round(1000 * (gap[1] - gap[0]))} ms.`;
  }

  const jump = {
    next: () => goTo(timeline.next(players.position, LEAD)),
    // While playing, one press goes back past the gap that was just heard.
    previous: () => goTo(timeline.previous(players.position - (players.playing ? 0.5 : 0), LEAD)),
  };

  function loopGap() {
    const gap = timeline.nearest(players.position, LEAD);
    if (!gap) return;
    loopOver(players.loop && same(around(gap), players.loop) ? null : around(gap));
  }

  function loopFrom() {
    mark = players.position;
    players.setLoop(null);
  }

  function loopTo() {
    const [from, to] = [mark ?? players.loop?.[0] ?? 0, players.position];
    if (to - from > 2 * PACKET_SECONDS) loopOver([from, to]);
    else find("status").textContent = "The end of a loop lies after its start.";
  }

  function choose(name) {
    if (!blind.running && sounds.has(name)) players.select(name);
  }

  // The page opens where the difference is largest, in a loop, with the first of the two signals to compare.
  function openAtTheWorst() {
    const gap = data.worst?.map((packet) => packet * PACKET_SECONDS);
    if (!gap) return;
    choose(data.pair?.[0]);
    loopOver(around(gap));
    players.seek(gap[0] - LEAD);
    axis.focus(around(gap));
  }

  blind.started = () => { if (!players.loop && timeline.gaps.length) loopGap(); show(); };
  blind.ended = show;

  const clicks = { play: toggle, "next-gap": jump.next, "previous-gap": jump.previous, "loop-gap": loopGap,
    "loop-from": loopFrom, "loop-to": loopTo, "loop-off": () => loopOver(null) };
  for (const [id, action] of Object.entries(clicks)) find(id)?.addEventListener("click", action);
  for (const choice of choices) choice.addEventListener("click", () => choose(choice.dataset.signal));
  for (const button of document.querySelectorAll("[data-gap]")) {
    const start = Number(button.dataset.gap) * PACKET_SECONDS;
    button.addEventListener("click", () => goTo(timeline.nearest(start - LEAD, LEAD)));
  }
  find("seek").addEventListener("input", () => players.seek(Number(find("seek").value)));
  find("match")?.addEventListener("change", () => players.match(find("match").checked));
  axis.seeked = (at) => players.seek(at);
  axis.marked = (loop) => { loopOver(loop); players.seek(loop[0]); };

  const pair = data.pair ?? [];
  const keys = { a: () => choose(pair[0]), b: () => choose(pair[1]), " ": toggle, n: jump.next, p: jump.previous, g: loopGap, "[": loopFrom, "]": loopTo,
    0: () => loopOver(null), t: () => blind.start?.() };
  const testKeys = { a: () => blind.hear("a"), x: () => blind.hear("x"), b: () => blind.hear("b"),
    A: () => blind.answer("a"), B: () => blind.answer("b"), e: () => blind.end() };

  function arrow(event) {
    const step = event.key === "ArrowLeft" ? -1 : 1;
    event.preventDefault();
    if (!event.target.closest(".signals")) {
      players.seek(players.position + step * (event.shiftKey ? PACKET_SECONDS : 1));
      return;
    }
    const at = choices.findIndex((choice) => choice.dataset.signal === players.signal);
    const next = choices[(at + step + choices.length) % choices.length];
    choose(next.dataset.signal);      // the arrows of a radio group choose
    next.focus();
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !find("shortcuts").checked) return;
    if (event.target.closest("input[type=range], select, audio, pre")) return;
    if (event.key === " " && event.target.closest("button, summary, input")) return;
    if (event.key.startsWith("Arrow") && /Left|Right/.test(event.key)) { arrow(event); return; }
    const action = (blind.running && testKeys[event.key]) || keys[event.key];
    if (action && !(blind.running && event.key === "t")) { event.preventDefault(); action(); }
    else if (/^[1-9]$/.test(event.key)) choose(choices[Number(event.key) - 1]?.dataset.signal);
  });

  document.body.classList.add("scripted");
  document.querySelector(".deck").hidden = false;
  for (const part of document.querySelectorAll(".tools.gaps")) part.hidden = false;
  axis.enable();
  openAtTheWorst();
  show();
})();
