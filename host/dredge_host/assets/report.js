// Plays all signals from one clock, so that switching keeps the position to the sample.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const axis = document.querySelector(".axis");
  if (!axis) return;
  const packetSeconds = 0.02;
  const total = data.packets * packetSeconds;
  const byPacket = new Map(data.rows.map((row) => [row[0], row]));
  const find = (id) => document.getElementById(id);
  const [play, seek, clock, head, readout, zoom] =
    ["play", "seek", "clock", "head", "readout", "zoom"].map(find);
  const choices = [...document.querySelectorAll(".signals button")];
  const players = new Map(
    [...document.querySelectorAll("audio[data-signal]")].map((a) => [a.dataset.signal, a]));

  let context = null;         // made on the first play: browsers ask for a gesture
  let decoded = null;         // promise of Map(signal -> AudioBuffer)
  let voices = [];            // running {source, gain, signal}
  let startedAt = 0;          // context time that belongs to position 0, while playing
  let position = 0;           // seconds, while stopped
  let playing = false;
  let signal = choices.length ? choices[0].dataset.signal : null;

  const now = () => (playing ? Math.min(context.currentTime - startedAt, total) : position);

  async function bytesOf(player) {
    const text = atob(player.src.slice(player.src.indexOf(",") + 1));
    return Uint8Array.from(text, (c) => c.charCodeAt(0)).buffer;
  }

  function decodeAll() {
    decoded ??= Promise.all([...players].map(async ([name, player]) =>
      [name, await context.decodeAudioData(await bytesOf(player))])).then((all) => new Map(all));
    return decoded;
  }

  async function start() {
    context ??= new AudioContext();
    await context.resume();
    const buffers = await decodeAll();
    if (playing) return;
    if (position >= total - 0.01) position = 0;
    const when = context.currentTime + 0.03;
    voices = [...buffers].map(([name, buffer]) => {
      const source = new AudioBufferSourceNode(context, { buffer });
      const gain = new GainNode(context, { gain: name === signal ? 1 : 0 });
      source.connect(gain).connect(context.destination);
      source.start(when, Math.min(position, buffer.duration));
      return { source, gain, name };
    });
    startedAt = when - position;
    playing = true;
    show();
    requestAnimationFrame(tick);
  }

  // Without a working audio output the plain players are all that is left.
  function begin() {
    start().catch(() => document.body.classList.remove("scripted"));
  }

  function stop() {
    position = now();
    playing = false;
    for (const voice of voices) voice.source.stop();
    voices = [];
    show();
  }

  function select(name) {
    signal = name;
    for (const voice of voices) {
      voice.gain.gain.setTargetAtTime(voice.name === name ? 1 : 0, context.currentTime, 0.004);
    }
    show();
  }

  function moveTo(seconds) {
    const resume = playing;
    if (playing) stop();
    position = Math.max(0, Math.min(seconds, total));
    show();
    if (resume) begin();
  }

  function show() {
    const at = now();
    play.textContent = playing ? "Pause" : "Play";
    play.setAttribute("aria-pressed", String(playing));
    seek.value = at;
    clock.textContent = `${at.toFixed(2)} s`;
    head.style.left = `${(100 * at) / total}%`;
    for (const choice of choices) {
      const chosen = choice.dataset.signal === signal;
      choice.setAttribute("aria-checked", String(chosen));
      choice.tabIndex = chosen ? 0 : -1;
    }
    for (const lane of document.querySelectorAll(".lane[data-signal]")) {
      lane.classList.toggle("heard", lane.dataset.signal === signal);
    }
  }

  function tick() {
    if (!playing) return;
    if (now() >= total) stop();
    else { show(); requestAnimationFrame(tick); }
  }

  function describe(packet) {
    const row = byPacket.get(packet);
    const at = `${(packet * packetSeconds).toFixed(2)} s, packet ${packet}`;
    if (!row) return at;
    const number = (value, scale, unit) =>
      value === null ? "" : `, ${(value / scale).toFixed(scale > 1 ? 2 : 0)} ${unit}`;
    return `${at}: ${data.sources[row[1]]}${number(row[2], 1, "ms delay")}` +
      number(row[3], 1000, "ms CPU");
  }

  function secondsAt(event) {
    const box = axis.getBoundingClientRect();
    return (total * (event.clientX - box.left)) / box.width;
  }

  axis.addEventListener("pointermove", (event) => {
    const packet = Math.floor(secondsAt(event) / packetSeconds);
    if (packet >= 0 && packet < data.packets) readout.textContent = describe(packet);
  });
  zoom.addEventListener("input", () => axis.style.setProperty("--zoom", 2 ** Number(zoom.value)));
  document.querySelector(".zoom").hidden = false;

  if (!choices.length || !window.AudioContext) return;
  document.body.classList.add("scripted");
  axis.classList.add("scrub");
  document.querySelector(".deck").hidden = false;
  head.hidden = false;
  axis.addEventListener("click", (event) => moveTo(secondsAt(event)));
  play.addEventListener("click", () => (playing ? stop() : begin()));
  seek.addEventListener("input", () => moveTo(Number(seek.value)));
  for (const choice of choices) choice.addEventListener("click", () => select(choice.dataset.signal));

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const onControl = event.target.closest("input, summary, audio");
    const index = Number(event.key) - 1;
    if (event.key === " " && !onControl && !event.target.closest("button")) {
      event.preventDefault();
      if (playing) stop(); else begin();
    } else if (choices[index]) {
      select(choices[index].dataset.signal);
    } else if (!onControl && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
      const step = event.key === "ArrowLeft" ? -1 : 1;
      const group = event.target.closest(".signals");
      event.preventDefault();
      if (group) {              // the arrows of a radio group choose
        const at = choices.findIndex((c) => c.dataset.signal === signal);
        const next = choices[(at + step + choices.length) % choices.length];
        select(next.dataset.signal);
        next.focus();
      } else {
        moveTo(now() + step);
      }
    }
  });
  show();
})();
