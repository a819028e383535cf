// SPDX-License-Identifier: BSD-2-Clause
// Plays all signals from one clock, so that switching keeps the position to the sample.
"use strict";

// Where a recording is at a moment of the packets' time, and back; the same where nothing was stretched.
class Warp {
  constructor(points, packetSeconds) {
    this.points = points.map(([packet, own]) => [packet * packetSeconds, own]);
  }

  get straight() { return this.points.length < 2; }

  own(shared) { return this.straight ? shared : this.map(shared, 0, 1); }

  shared(own) { return this.straight ? own : this.map(own, 1, 0); }

  map(value, from, to) {
    const after = this.points.findIndex((point) => point[from] > value);
    const at = after < 0 ? this.points.length - 1 : Math.max(1, after);
    const [a, b] = [this.points[at - 1], this.points[at]];
    const span = b[from] - a[from];
    return span > 0 ? a[to] + ((value - a[from]) * (b[to] - a[to])) / span : b[to];
  }
}

// Times from outside are seconds on the packets' time axis; "own" ones are those of the signal that is heard.
class Players {
  #elements; #info; #total;
  #context = null;    // made on the first play: browsers ask for a gesture
  #buffers = null;    // promise of Map(signal -> AudioBuffer)
  #voices = [];       // running {source, gain, name}
  #startedAt = 0;     // context time that belongs to own time 0, while playing
  #from = 0;          // own time at which the voices began
  #rest = 0;          // position while stopped
  #playing = false;
  #wanted = false;    // play was asked for and may still be decoding
  #signal; #loop = null; #matched = false;
  changed = () => {};
  failed = () => {};

  // elements: Map(name -> audio element with a data URL); info: {name: {level_db, warp}}
  constructor(elements, info, total, packetSeconds) {
    this.#elements = elements;
    this.#total = total;
    this.#info = new Map([...elements.keys()].map((name) => [name, {
      level: info[name].level_db ?? 0, warp: new Warp(info[name].warp, packetSeconds) }]));
    this.#signal = [...elements.keys()][0];
  }

  get playing() { return this.#playing; }
  get signal() { return this.#signal; }
  get loop() { return this.#loop; }
  get matched() { return this.#matched; }
  get #warp() { return this.#info.get(this.#signal).warp; }

  get position() {
    if (!this.#playing) return this.#rest;
    let own = Math.max(this.#context.currentTime - this.#startedAt, this.#from);
    if (this.#loop) {
      const [a, b] = this.#loop.map((edge) => this.#warp.own(edge));
      if (own >= b) own = a + ((own - a) % (b - a));
    }
    return Math.max(0, Math.min(this.#warp.shared(own), this.#total));
  }

  play() {
    this.#wanted = true;
    // Without a working audio output the plain players are all that is left.
    return this.#start().catch(() => { this.#wanted = false; this.failed(); });
  }

  pause() {
    this.#wanted = false;
    if (!this.#playing) return;
    this.#rest = this.position;
    this.#silence();
    this.changed();
  }

  seek(seconds) {
    this.#again(() => { this.#rest = Math.max(0, Math.min(seconds, this.#total)); });
  }

  // [from, to] or null
  setLoop(loop) {
    this.#again(() => { this.#loop = loop; });
  }

  // Whether these signals share one time, so that changing between them needs no pause.
  together(names) { return names.every((name) => this.#info.get(name).warp.straight); }

  // anew: stop and begin again even where that is not needed
  select(name, anew = false) {
    if (this.#playing && (anew || !this.together([this.#signal, name]))) {
      this.#again(() => { this.#signal = name; });
      return;
    }
    this.#signal = name;
    this.#fade();
    this.changed();
  }

  match(on) {
    this.#matched = on;
    this.#fade();
    this.changed();
  }

  // Changes something that voices cannot follow: they stop and begin anew.
  #again(change) {
    const resume = this.#playing;
    if (resume) { this.#rest = this.position; this.#silence(); }
    change();
    if (this.#loop && (this.#rest < this.#loop[0] || this.#rest >= this.#loop[1])) this.#rest = this.#loop[0];
    this.changed();
    if (resume) this.play();
  }

  #silence() {
    this.#playing = false;
    for (const voice of this.#voices) voice.source.stop();
    this.#voices = [];
  }

  // Never above 1: the louder signals come down to the quietest.
  #gain(name) {
    if (name !== this.#signal) return 0;
    const least = Math.min(...[...this.#info.values()].map((info) => info.level));
    return this.#matched ? 10 ** ((least - this.#info.get(name).level) / 20) : 1;
  }

  #fade() {
    for (const voice of this.#voices) {
      voice.gain.gain.setTargetAtTime(this.#gain(voice.name), this.#context.currentTime, 0.004);
    }
  }

  async #start() {
    this.#context ??= newContext();
    await this.#context.resume();
    this.#buffers ??= this.#decode();
    const buffers = await this.#buffers;
    if (this.#playing || !this.#wanted) return;
    if (!this.#loop && this.#rest >= this.#total - 0.01) this.#rest = 0;
    const when = this.#context.currentTime + 0.03;
    this.#from = this.#warp.own(this.#rest);
    this.#startedAt = when - this.#from;
    // Straight signals run together, the others muted; a stretched one has a time of its own and runs alone.
    const names = this.#warp.straight
      ? [...buffers.keys()].filter((name) => this.#info.get(name).warp.straight) : [this.#signal];
    this.#voices = names.map((name) => this.#voice(name, buffers.get(name), when));
    this.#playing = true;
    this.changed();
  }

  #voice(name, buffer, when) {
    const source = new AudioBufferSourceNode(this.#context, { buffer });
    const gain = new GainNode(this.#context, { gain: this.#gain(name) });
    if (this.#loop) {
      source.loop = true;
      [source.loopStart, source.loopEnd] = this.#loop.map((edge) => this.#warp.own(edge));
    }
    source.connect(gain).connect(this.#context.destination);
    source.start(when, Math.max(0, this.#from));
    return { source, gain, name };
  }

  // All of one length, so that a loop ends for all at the same sample.
  async #decode() {
    const all = [...this.#elements].map(async ([name, element]) => {
      const decoded = await this.#context.decodeAudioData(bytesOf(element.src));
      const seconds = Math.max(this.#total, this.#info.get(name).warp.own(this.#total));
      const length = Math.ceil(seconds * decoded.sampleRate);
      const buffer = new AudioBuffer({ length, sampleRate: decoded.sampleRate });
      buffer.copyToChannel(decoded.getChannelData(0).subarray(0, length), 0);
      return [name, buffer];
    });
    return new Map(await Promise.all(all));
  }
}

// At the rate of the speech, which needs a third of the memory; at the browser's own where it allows no other.
function newContext() {
  try { return new AudioContext({ sampleRate: 16000 }); } catch { return new AudioContext(); }
}

function bytesOf(dataUrl) {
  const text = atob(dataUrl.slice(dataUrl.indexOf(",") + 1));
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return bytes.buffer;
}
