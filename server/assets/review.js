// Review of one attempt: every stream of every part in step at 0.5 to 16 times, incidents by key.
import { Recording } from "./recording.js";

const BEFORE_S = 3;
const AFTER_S = 6;
const APART_S = 1; // between two parts at least, so that the gap is seen
const SKIP_S = 3; // a longer hole is passed over but for its last second

export async function start(stage) {
  const recordings = [...stage.querySelectorAll("figure[data-epoch]")].map((figure) => new Recording(figure));
  const opened = await Promise.allSettled(recordings.map((one) => one.open()));
  opened.forEach((one, at) => {
    if (one.status === "rejected") recordings[at].figure.dataset.missing = "true";
  });
  new Player(stage, partsOf(recordings.filter((_, at) => opened[at].status === "fulfilled")));
}

/** Puts the parts of a recording one after the other on a common clock. */
function partsOf(recordings) {
  const parts = [];
  for (const one of recordings) {
    let part = parts.at(-1);
    if (!part || part.epoch !== one.epoch) {
      const after = part ? part.offset + part.length + APART_S : 0;
      part = { epoch: one.epoch, offset: Math.max(one.began, after), length: 0, streams: [] };
      parts.push(part);
    }
    part.streams.push(one);
    part.length = Math.max(part.length, one.length);
  }
  return parts;
}

class Player {
  constructor(stage, parts) {
    this.stage = stage;
    this.parts = parts;
    this.last = parts.at(-1);
    this.end = this.last ? this.last.offset + this.last.length : 0;
    this.time = 0;
    this.rate = 1;
    this.playing = false;
    this.loop = null;
    this.watched = 0;
    this.form = stage.querySelector("[data-player]");
    this.items = [...stage.querySelectorAll("[data-incident]")];
    this.at = -1;
    this.holes = parts.flatMap((part, at) => this.holesOf(part, parts[at + 1]));
    this.bind();
    this.marks();
    this.seek(0);
    const asked = new URLSearchParams(location.search).get("at");
    this.go(this.items.findIndex((item) => item.dataset.incident === asked));
    this.stage.dataset.ready = String(parts.reduce((sum, part) => sum + part.streams.length, 0));
    this.before = performance.now();
    const tick = (now) => { this.tick(now); requestAnimationFrame(tick); };
    requestAnimationFrame(tick);
  }

  /** Returns where a part has nothing at all, and the time until the next one. */
  holesOf(part, next) {
    const always = part.streams.filter((one) => !one.holds);
    const all = always.length === 0 ? [] : always.map((one) => one.holes()).reduce(both);
    const holes = all.map(([from, to]) => [part.offset + from, part.offset + to]);
    if (next) holes.push([part.offset + part.length, next.offset]);
    return holes;
  }

  bind() {
    this.form.querySelector("[data-play]").addEventListener("click", () => this.toggle());
    this.form.querySelector("[data-rate]").addEventListener("change", (event) => { this.rate = Number(event.target.value); });
    this.bar = this.form.querySelector("[data-seek]");
    this.bar.max = String(this.end);
    this.bar.addEventListener("input", () => { this.loop = null; this.seek(Number(this.bar.value)); });
    this.out = this.form.querySelector("output");
    this.items.forEach((item, index) => item.querySelector("[data-jump]").addEventListener("click", () => this.go(index)));
    for (const item of this.stage.querySelectorAll("[data-uncounted] .incident")) {
      item.querySelector("[data-jump]").addEventListener("click", () => { this.loop = null; this.seek(Math.max(0, this.moment(item) - BEFORE_S)); this.play(true); });
    }
    this.pickers = [...this.stage.querySelectorAll("[data-part]")];
    for (const picker of this.pickers) {
      picker.addEventListener("click", () => {
        const part = this.parts.find((one) => one.epoch === picker.dataset.part);
        this.loop = null;
        if (part) this.seek(part.offset);
      });
    }
    addEventListener("keydown", (event) => this.key(event));
  }

  marks() {
    const line = this.stage.querySelector(".timeline");
    this.head = line.querySelector(".head-line");
    line.querySelectorAll(".mark").forEach((mark) => {
      const index = this.items.findIndex((item) => item.dataset.incident === mark.dataset.mark);
      mark.style.left = this.place(this.moment(this.items[index]));
      mark.style.height = `${20 + 80 * Number(mark.dataset.severity)}%`;
      mark.addEventListener("click", () => this.go(index));
    });
    for (const [from, to] of this.holes) {
      const gap = document.createElement("span");
      gap.className = "gap";
      gap.title = line.dataset.gap;
      gap.style.left = this.place(from);
      gap.style.width = this.place(to - from);
      line.prepend(gap);
    }
  }

  place(seconds) {
    return `${(100 * seconds) / Math.max(this.end, 1)}%`;
  }

  /** Returns when an incident was, on the common clock. */
  moment(item) {
    const part = this.parts.find((one) => one.epoch === item.dataset.epoch);
    return (part ? part.offset : 0) + Number(item.dataset.us) / 1e6;
  }

  key(event) {
    if (event.target.closest("input, textarea, select, dialog") && event.key !== "Escape") return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      j: () => this.go(this.at + 1), k: () => this.go(this.at - 1),
      c: () => this.press("confirmed"), d: () => this.press("dismissed"),
      n: () => this.note(), " ": () => this.toggle(),
    }[event.key === " " ? " " : letter(event)];
    if (!act || (event.key === " " && event.target.closest("button, a, summary"))) return;
    event.preventDefault();
    act();
  }

  go(index) {
    if (index < 0 || index >= this.items.length) return;
    this.items.forEach((item, one) => item.setAttribute("aria-current", String(one === index)));
    const item = this.items[index];
    this.stage.querySelectorAll(".mark").forEach((mark) => mark.setAttribute("aria-current", String(mark.dataset.mark === item.dataset.incident)));
    this.at = index;
    item.scrollIntoView({ block: "nearest" });
    const moment = this.moment(item);
    const part = this.partAt(moment);
    const from = part ? part.offset : 0;
    this.loop = [Math.max(from, moment - BEFORE_S), Math.min(part ? from + part.length : this.end, moment + AFTER_S)];
    this.seek(this.loop[0]);
    this.play(true);
    this.next = this.items[index + 1];
  }

  press(verdict) {
    const item = this.items[this.at];
    const button = item && item.querySelector(`button[value="${verdict}"]`);
    if (button) button.click();
  }

  note() {
    const item = this.items[this.at];
    const field = item && item.querySelector("input[name=note]");
    if (field) field.focus();
  }

  toggle() { this.play(!this.playing); }

  play(playing) {
    this.playing = playing;
    const button = this.form.querySelector("[data-play]");
    button.textContent = playing ? button.dataset.pause : button.dataset.start;
  }

  /** Returns the part that a moment lies in, or that went before. */
  partAt(seconds) {
    return this.parts.findLast((part) => part.offset <= seconds) ?? this.parts[0];
  }

  seek(seconds) {
    this.time = Math.max(0, Math.min(seconds, this.end));
    this.show(this.partAt(this.time));
  }

  /** Shows the streams of one part and lets the others rest. */
  show(part) {
    if (this.part === part) return;
    this.part = part;
    for (const other of this.parts) {
      for (const one of other.streams) {
        one.figure.hidden = other !== part;
        if (other === part) one.attach().catch(() => { one.figure.dataset.missing = "true"; });
        else one.rest();
      }
    }
    for (const picker of this.pickers) picker.setAttribute("aria-pressed", String(picker.dataset.part === part.epoch));
  }

  tick(now) {
    const passed = Math.min(1, (now - this.before) / 1000);
    this.before = now;
    if (!this.part) return;
    const local = this.time - this.part.offset;
    let own;
    let waits = false;
    for (const one of this.part.streams) {
      one.fill(local).catch(() => {});
      const time = one.follow(local, this.playing, this.rate);
      own ??= time;
      waits ||= time === null || (local < one.length && !(one.ready && one.has(local)));
    }
    if (this.playing) {
      this.watched += passed;
      if (own !== undefined && own !== null) this.time = Math.max(this.time, own + this.part.offset);
      else if (!waits) this.time += passed * this.rate;
      this.pass();
    }
    this.ahead();
    this.tell();
  }

  /** Loops, passes over holes, goes on to the next part, ends. */
  pass() {
    if (this.loop && this.time > this.loop[1]) return this.seek(this.loop[0]);
    const hole = this.holes.find(([from, to]) => this.time > from + 1 && this.time < to - 1 && to - from > SKIP_S);
    if (hole) this.time = hole[1] - 1;
    this.show(this.partAt(this.time));
    if (this.time >= this.end - 0.05) {
      this.time = this.end;
      this.play(false);
    }
  }

  /** Has the next incident's pictures there before they are asked for. */
  ahead() {
    if (!this.next) return;
    const moment = Math.max(0, this.moment(this.next) - BEFORE_S);
    const part = this.partAt(moment);
    if (part !== this.part) return;
    for (const one of part.streams) {
      if (one.has(this.time - part.offset)) one.fill(Math.max(0, moment - part.offset)).catch(() => {});
    }
  }

  tell() {
    this.bar.value = String(this.time);
    this.out.textContent = `${clock(this.time)} / ${clock(this.end)}`;
    this.head.style.left = this.place(this.time);
    for (const field of document.querySelectorAll("input[name=watched_s]")) field.value = String(Math.round(this.watched));
  }
}

/** Returns what two lists of spans have in common. */
function both(ones, others) {
  return ones.flatMap(([from, to]) => others.map(([a, b]) => [Math.max(from, a), Math.min(to, b)])).filter(([from, to]) => to > from);
}

/** Returns the Latin letter of the pressed key, also on a Cyrillic layout. */
function letter(event) {
  return event.code.startsWith("Key") ? event.code.slice(3).toLowerCase() : event.key.toLowerCase();
}

function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (value) => String(value).padStart(2, "0");
  return `${two(Math.floor(whole / 3600))}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}
