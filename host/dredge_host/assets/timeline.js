// SPDX-License-Identifier: BSD-2-Clause
// What happened to every packet, and the axis that shows it: pointer, zoom, position, loop.
"use strict";

const PACKET_SECONDS = 0.02;

class Timeline {
  // data: {packets, letters, sources: {letter: name}, delay_ms: [[value, packets], ...], cpu_us: [...]}
  constructor(data) {
    this.data = data;
    this.total = data.packets * PACKET_SECONDS;
    this.gaps = [...data.letters.matchAll(/[^._on]+/g)].map((run) => [
      run.index * PACKET_SECONDS, (run.index + run[0].length) * PACKET_SECONDS]);
  }

  delay(packet) {
    let rest = packet;
    for (const [value, count] of this.data.delay_ms) {
      if (rest < count) return value;
      rest -= count;
    }
    return null;
  }

  describe(packet) {
    const { letters, sources, cpu_us: cpu } = this.data;
    const at = `${(packet * PACKET_SECONDS).toFixed(2)} s, packet ${packet}`;
    const source = sources[letters[packet]];
    if (!source) return at;
    const delay = this.delay(packet);
    return `${at}: ${source}${delay === null ? "" : `, ${delay.toFixed(0)} ms delay`}` +
      (cpu[packet] < 0 ? "" : `, ${(cpu[packet] / 1000).toFixed(2)} ms CPU`);
  }

  // The gap to jump to from a moment; lead: seconds before a gap at which a jump lands.
  next(from, lead) { return this.gaps.find(([start]) => start - lead > from + 0.005) ?? null; }

  previous(from, lead) { return this.gaps.findLast(([start]) => start - lead < from - 0.005) ?? null; }

  // The gap around a moment, or the one closest to it.
  nearest(from, lead) {
    const far = ([start, end]) => Math.max(start - lead - from, from - end - lead, 0);
    const near = ([start]) => Math.abs(start - lead - from);
    const closer = (a, b) => far(a) < far(b) || (far(a) === far(b) && near(a) < near(b));
    return this.gaps.reduce((best, gap) => (best && !closer(gap, best) ? best : gap), null);
  }
}

class Axis {
  #axis; #scroller; #head; #region; #zoom; #readout; #timeline;
  #drag = null;             // seconds at which a mouse button went down
  seeked = () => {};        // (seconds)
  marked = () => {};        // ([from, to])

  constructor(timeline) {
    const find = (query) => document.querySelector(query);
    [this.#axis, this.#scroller, this.#head, this.#region, this.#zoom, this.#readout] =
      [".axis", ".axis-scroll", "#head", "#region", "#zoom", "#readout"].map(find);
    this.#timeline = timeline;
    this.#axis.addEventListener("pointermove", (event) => this.#point(event));
    this.#zoom.addEventListener("input", () => this.#magnify(2 ** Number(this.#zoom.value)));
    this.#zoom.closest(".zoom").hidden = false;
  }

  // From here on clicks seek, and dragging with a mouse marks a loop.
  enable() {
    this.#axis.classList.add("scrub");
    this.#head.hidden = false;
    this.#axis.addEventListener("pointerdown", (event) => {
      this.#drag = event.pointerType === "mouse" && event.button === 0 ? this.#seconds(event) : null;
    });
    this.#axis.addEventListener("click", (event) => {
      const from = this.#drag ?? this.#seconds(event);
      this.#drag = null;
      const [a, b] = [from, this.#seconds(event)].sort((x, y) => x - y);
      if (this.#dragged(a, b)) this.marked([a, b]);
      else this.seeked(b);
    });
  }

  show(position, loop, follow) {
    const { total } = this.#timeline;
    this.#head.style.left = `${(100 * position) / total}%`;
    this.#mark(loop);
    const [view, x] = [this.#scroller, (position / total) * this.#axis.clientWidth];
    if (follow && (x < view.scrollLeft || x > view.scrollLeft + view.clientWidth)) {
      view.scrollLeft = x - 0.1 * view.clientWidth;
    }
  }

  #mark(loop) {
    const { total } = this.#timeline;
    this.#region.hidden = !loop;
    if (!loop) return;
    this.#region.style.left = `${(100 * loop[0]) / total}%`;
    this.#region.style.width = `${(100 * (loop[1] - loop[0])) / total}%`;
  }

  #seconds(event) {
    const box = this.#axis.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width)) * this.#timeline.total;
  }

  #dragged(a, b) {
    return (b - a) * (this.#axis.clientWidth / this.#timeline.total) > 5 && b - a > 2 * PACKET_SECONDS;
  }

  #point(event) {
    const seconds = this.#seconds(event);
    const packet = Math.min(Math.floor(seconds / PACKET_SECONDS + 1e-9), this.#timeline.data.packets - 1);
    this.#readout.textContent = this.#timeline.describe(packet);
    if (this.#drag === null || !event.buttons) return;
    const marks = [this.#drag, seconds].sort((x, y) => x - y);
    if (this.#dragged(...marks)) this.#mark(marks);
  }

  // Shows a loop in the middle, as large as a sixth of the view or larger.
  focus([from, to]) {
    const { total } = this.#timeline;
    this.#zoom.value = Math.max(0, Math.floor(4 * Math.log2(total / (6 * (to - from)))) / 4);
    this.#magnify(2 ** Number(this.#zoom.value));
    this.#scroller.scrollLeft = ((from + to) / (2 * total)) * this.#axis.clientWidth - this.#scroller.clientWidth / 2;
  }

  // What is in the middle stays there.
  #magnify(times) {
    const view = this.#scroller;
    const middle = (view.scrollLeft + view.clientWidth / 2) / this.#axis.clientWidth;
    this.#axis.style.setProperty("--zoom", times);
    view.scrollLeft = middle * this.#axis.clientWidth - view.clientWidth / 2;
  }
}
