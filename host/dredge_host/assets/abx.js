// SPDX-License-Identifier: BSD-2-Clause
// The blind test: X is A or B, drawn anew for every trial; the score stays secret until the end.
"use strict";

// Probability of at least `right` of `trials` correct answers by guessing (exact binomial, one-sided).
function binomialTail(right, trials) {
  let [term, sum] = [0.5 ** trials, 0];
  for (let k = 0; k <= trials; k += 1) {
    if (k >= right) sum += term;
    term *= (trials - k) / (k + 1);
  }
  return Math.min(1, sum);
}

function verdictOf(right, trials) {
  if (!trials) return "No trial was answered.";
  const p = binomialTail(right, trials);
  const shown = p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(3)}`;
  const score = `${right} of ${trials} right; guessing does at least as well with ${shown}.`;
  if (p < 0.05) return `${score} You heard a difference.`;
  const few = trials < 5 ? "Fewer than 5 trials can never tell." : "That is no proof that there is none.";
  return `${score} Nothing shows that you heard a difference. ${few}`;
}

const PRACTICE = 3;         // questions of a trial run

class BlindTest {
  #players; #find; #before = null;
  #x = null;            // "a" or "b": known to nobody but this object
  #pair = {};
  #answers = [];        // {x, said}
  #practice = false;    // a trial run: it tells at once and does not count
  started = () => {};
  ended = () => {};

  constructor(players) {
    this.#players = players;
    this.#find = (id) => document.getElementById(id);
    const on = (id, action) => this.#find(id).addEventListener("click", action);
    on("abx-start", () => this.start());
    on("abx-practice", () => this.start(true));
    on("abx-end", () => this.end());
    for (const which of ["a", "x", "b"]) on(`hear-${which}`, () => this.hear(which));
    for (const which of ["a", "b"]) on(`x-is-${which}`, () => this.answer(which));
    this.#find("blind").hidden = false;
  }

  get running() { return this.#x !== null; }

  start(practice = false) {
    this.#find("blind").open = true;
    const [a, b] = ["abx-a", "abx-b"].map((id) => this.#find(id).value);
    if (a === b) {
      this.#find("abx-score").textContent = "Choose two different signals.";
      return;
    }
    this.#pair = { a, b };
    this.#practice = practice;
    this.#answers = [];
    this.#before = { signal: this.#players.signal, matched: this.#players.matched };
    this.#players.match(true);
    this.#find("abx-score").textContent = "";
    this.#turn(true);
    this.#draw();
    this.started();
    this.hear("a");
    this.#find("hear-x").focus();
  }

  hear(which) {
    if (!this.running) return;
    // Where A and B cannot change without a pause, X pauses always: the pause must not tell.
    const pause = !this.#players.together(Object.values(this.#pair));
    this.#players.select(this.#pair[which === "x" ? this.#x : which], pause);
    for (const each of ["a", "x", "b"]) {
      this.#find(`hear-${each}`).setAttribute("aria-pressed", String(each === which));
    }
    if (!this.#players.playing) this.#players.play();
  }

  answer(said) {
    if (!this.running) return;
    this.#answers.push({ x: this.#x, said });
    if (this.#practice && this.#answers.length === PRACTICE) { this.end(); return; }
    this.#draw();
    this.hear("x");
  }

  end() {
    if (!this.running) return;
    this.#x = null;
    this.#players.pause();
    this.#players.select(this.#before.signal);
    this.#players.match(this.#before.matched);
    this.#turn(false);
    const right = this.#answers.filter(({ x, said }) => x === said).length;
    this.#find("abx-score").textContent = this.#practice
      ? `${this.#told()}Trial run: ${right} of ${this.#answers.length} right. It does not count; now start the test.`
      : verdictOf(right, this.#answers.length);
    this.ended();
    this.#find("abx-start").focus();
  }

  #draw() {
    this.#x = crypto.getRandomValues(new Uint8Array(1))[0] & 1 ? "b" : "a";
    const count = this.#answers.length;
    this.#find("abx-trial").textContent = this.#practice
      ? `${this.#told()}Question ${count + 1} of ${PRACTICE}: is X A or B?`
      : `Trial ${count + 1}. ${count} answered${count < 5 ? "; at least 5 are needed to tell anything" : ""}.`;
  }

  // What the last answer of a trial run was worth.
  #told() {
    const last = this.#answers.at(-1);
    return last ? `${last.x === last.said ? "Right" : "Wrong"}: X was ${last.x.toUpperCase()}. ` : "";
  }

  #turn(on) {
    this.#find("abx-setup").hidden = on;
    this.#find("abx-run").hidden = !on;
  }
}
