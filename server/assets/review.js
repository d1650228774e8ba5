// Review of one attempt: every stream of every part in step at 0.5 to 16 times, incidents by key.
import { Recording } from "./recording.js";

const BEFORE_S = 4; // where the server names no clip of its own
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
    this.filters();
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
    const list = this.stage.querySelector(".incidents[data-done]");
    if (list) {
      list.addEventListener("click", (event) => { if (event.target.closest("[data-jump]")) this.go(this.indexOf(event.target)); });
      list.addEventListener("submit", (event) => this.judge(event));
      list.addEventListener("keydown", (event) => this.noted(event));
    }
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

  indexOf(node) {
    return this.items.indexOf(node.closest("[data-incident]"));
  }

  /** Shows what is asked for, in list and timeline alike, and says how much that is. */
  filters() {
    this.filter = this.stage.querySelector("[data-filter]");
    if (!this.filter) return;
    this.filter.hidden = false;
    this.filter.addEventListener("submit", (event) => event.preventDefault());
    this.filter.addEventListener("change", () => this.sift());
    this.sift();
  }

  /** Hides what is not asked for; the one that is being looked at stays until another one is. */
  sift() {
    if (!this.filter) return;
    const { kind, verdict, grade } = Object.fromEntries(new FormData(this.filter));
    let shown = 0;
    this.items.forEach((item, index) => {
      const is = item.dataset.verdict || "unjudged";
      const fits = (!kind || item.dataset.kind === kind) && (!verdict || is === verdict) && Number(item.dataset.grade) >= Number(grade);
      if (fits) shown += 1;
      item.hidden = !fits && index !== this.at;
      const mark = this.stage.querySelector(`.mark[data-mark="${item.dataset.incident}"]`);
      if (mark) mark.hidden = item.hidden;
    });
    const out = this.filter.querySelector("output");
    out.textContent = out.dataset.words.replace("{n}", shown).replace("{all}", this.items.length);
  }

  /** Goes to the next one that is shown, forwards or back. */
  step(by) {
    let index = this.at + by;
    while (this.items[index]?.hidden) index += by;
    this.go(index);
  }

  /** Goes to the next one that nobody has judged, from here on and then from the top. */
  unjudged() {
    const open = (item) => !item.dataset.verdict && !item.hidden;
    const after = this.items.findIndex((item, index) => index > this.at && open(item));
    const index = after < 0 ? this.items.findIndex(open) : after;
    if (index >= 0) this.go(index);
    return index >= 0;
  }

  /** Sends a judgement and goes on with the next one, with the player and the filters as they are. */
  async judge(event) {
    const form = event.target.closest("form.judge");
    if (!form || !event.submitter) return;
    event.preventDefault();
    const index = this.indexOf(form);
    const id = this.items[index].dataset.incident;
    const had = Boolean(this.items[index].dataset.verdict);
    const body = new URLSearchParams(new FormData(form));
    body.set(event.submitter.name, event.submitter.value);
    let page;
    try {
      const answer = await fetch(form.action, { method: "POST", body });
      if (!answer.ok) throw new Error(String(answer.status));
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!page.getElementById(`i-${id}`)?.dataset.verdict) throw new Error("not judged");
    } catch {
      // The page itself says what is wrong, or asks to sign in.
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name: event.submitter.name, value: event.submitter.value });
      form.append(field);
      form.submit();
      return;
    }
    this.refresh(page, index);
    if (had || !this.unjudged()) this.items[index].focus({ preventScroll: true });
    const list = this.stage.querySelector(".incidents[data-done]");
    if (this.items.every((item) => item.dataset.verdict)) document.querySelector("[data-told]").textContent = list.dataset.done;
    this.sift();
  }

  /** Takes over what a judgement changed: the incident, its mark, the verdict, what an act would say. */
  refresh(page, index) {
    const id = this.items[index].dataset.incident;
    const fresh = document.importNode(page.getElementById(`i-${id}`), true);
    fresh.setAttribute("aria-current", String(index === this.at));
    this.items[index].replaceWith(fresh);
    this.items[index] = fresh;
    const mark = this.stage.querySelector(`.mark[data-mark="${id}"]`);
    mark.classList.remove("confirmed", "dismissed");
    mark.classList.add(fresh.dataset.verdict);
    for (const part of document.querySelectorAll("[data-fresh]")) {
      const other = page.querySelector(`[data-fresh="${part.dataset.fresh}"]`);
      if (other) part.replaceWith(document.importNode(other, true));
    }
  }

  /** In a note Enter judges nothing: it saves the note of what is judged, and else leaves the field. */
  noted(event) {
    if (event.key !== "Enter" || event.target.name !== "note") return;
    event.preventDefault();
    const item = event.target.closest("[data-incident]");
    const button = item.querySelector(`button[value="${item.dataset.verdict || "none"}"]`);
    if (button) button.click();
    else item.focus();
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
      j: () => this.step(1), k: () => this.step(-1), u: () => this.unjudged(),
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
    const { from: begins, to: ends } = item.dataset;
    const clip = begins ? [from + Number(begins) / 1e6, from + Number(ends) / 1e6] : [moment - BEFORE_S, moment + AFTER_S];
    this.loop = [Math.max(from, clip[0]), Math.min(part ? from + part.length : this.end, clip[1])];
    this.seek(this.loop[0]);
    this.play(true);
    this.next = this.items[index + 1];
    this.sift();
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
