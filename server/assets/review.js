// Review of one attempt: every stream in step at 0.5 to 16 times, incidents by key.
import { mime, tracks } from "./cmaf.js";

const BEFORE_S = 3;
const AFTER_S = 6;
const AHEAD_S = 30;
const KEEP_S = 60;
const STEP_MAX_S = 0.2;

/** One recorded stream: ranges of one file, by an index of its chunks. */
class Part {
  constructor(video) {
    this.video = video;
    this.url = video.dataset.recording;
    this.ready = this.open();
  }

  async open() {
    const answer = await fetch(`${this.url}.json`);
    if (!answer.ok) throw new Error(`index ${answer.status}`);
    this.index = await answer.json();
    if (this.index.chunks.length === 0) throw new Error("empty");
    const init = await this.range(0, this.index.init);
    this.source = new MediaSource();
    this.video.src = URL.createObjectURL(this.source);
    await new Promise((done) => this.source.addEventListener("sourceopen", done, { once: true }));
    this.buffer = this.source.addSourceBuffer(mime(tracks(init)));
    this.source.duration = this.index.end_us / 1e6;
    await this.append(init);
    this.next = 0;
    this.busy = false;
    this.loaded = new Set();
  }

  async range(from, length) {
    const answer = await fetch(`${this.url}.mp4`, { headers: { range: `bytes=${from}-${from + length - 1}` } });
    return new Uint8Array(await answer.arrayBuffer());
  }

  append(bytes) {
    return new Promise((done, failed) => {
      this.buffer.addEventListener("updateend", done, { once: true });
      this.buffer.addEventListener("error", failed, { once: true });
      this.buffer.appendBuffer(bytes);
    });
  }

  /** Returns the chunk to begin with for a moment: the last key at or before it. */
  keyAt(seconds) {
    const { chunks } = this.index;
    let key = 0;
    for (let at = 0; at < chunks.length && chunks[at][0] / 1e6 <= seconds; at += 1) {
      if (chunks[at][3]) key = at;
    }
    return key;
  }

  async fill(seconds) {
    if (this.busy || !this.index) return;
    this.busy = true;
    try {
      const { chunks } = this.index;
      let at = this.keyAt(seconds);
      while (at < chunks.length && this.loaded.has(at)) at += 1;
      if (at < chunks.length && chunks[at][0] / 1e6 < seconds + AHEAD_S) {
        let end = at;
        while (end < chunks.length && !this.loaded.has(end) && end - at < 40 && chunks[end][0] / 1e6 < seconds + AHEAD_S) end += 1;
        const from = chunks[at][1];
        const last = chunks[end - 1];
        await this.append(await this.range(from, last[1] + last[2] - from));
        for (let one = at; one < end; one += 1) this.loaded.add(one);
      }
      if (seconds > KEEP_S && this.loaded.size > 600 && !this.buffer.updating) {
        this.buffer.remove(0, seconds - KEEP_S);
        this.loaded = new Set([...this.loaded].filter((one) => chunks[one][0] / 1e6 > seconds - KEEP_S));
      }
    } finally {
      this.busy = false;
    }
  }
}

export async function start(stage) {
  const parts = [...stage.querySelectorAll("video[data-recording]")].map((video) => new Part(video));
  const opened = await Promise.allSettled(parts.map((part) => part.ready));
  const good = parts.filter((_, index) => opened[index].status === "fulfilled");
  opened.forEach((one, index) => {
    if (one.status === "rejected") parts[index].video.closest("figure").dataset.missing = "true";
  });
  new Player(stage, good);
}

class Player {
  constructor(stage, parts) {
    this.stage = stage;
    this.parts = parts;
    this.end = Math.max(0, ...parts.map((part) => part.index.end_us / 1e6));
    this.time = 0;
    this.rate = 1;
    this.playing = false;
    this.loop = null;
    this.watched = 0;
    this.form = stage.querySelector("[data-player]");
    this.items = [...stage.querySelectorAll("[data-incident]")];
    this.at = -1;
    this.bind();
    this.marks();
    this.seek(0);
    this.stage.dataset.ready = String(parts.length);
    this.last = performance.now();
    const tick = (now) => { this.tick(now); requestAnimationFrame(tick); };
    requestAnimationFrame(tick);
  }

  bind() {
    this.form.querySelector("[data-play]").addEventListener("click", () => this.toggle());
    this.form.querySelector("[data-rate]").addEventListener("change", (event) => { this.rate = Number(event.target.value); this.apply(); });
    this.bar = this.form.querySelector("[data-seek]");
    this.bar.max = String(this.end);
    this.bar.addEventListener("input", () => { this.loop = null; this.seek(Number(this.bar.value)); });
    this.out = this.form.querySelector("output");
    this.items.forEach((item, index) => item.querySelector("[data-jump]").addEventListener("click", () => this.go(index)));
    addEventListener("keydown", (event) => this.key(event));
  }

  marks() {
    const line = this.stage.querySelector(".timeline");
    this.head = line.querySelector(".head-line");
    line.querySelectorAll(".mark").forEach((mark) => {
      mark.style.left = `${(100 * Number(mark.dataset.us)) / 1e6 / Math.max(this.end, 1)}%`;
      mark.style.height = `${20 + 80 * Number(mark.dataset.severity)}%`;
      const index = this.items.findIndex((item) => item.dataset.incident === mark.dataset.mark);
      mark.addEventListener("click", () => this.go(index));
    });
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
    const moment = Number(item.dataset.us) / 1e6;
    this.loop = [Math.max(0, moment - BEFORE_S), Math.min(this.end, moment + AFTER_S)];
    this.seek(this.loop[0]);
    this.playing = true;
    this.apply();
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

  toggle() { this.playing = !this.playing; this.apply(); }

  seek(seconds) {
    this.time = seconds;
    for (const part of this.parts) part.video.currentTime = seconds;
    this.apply();
  }

  apply() {
    for (const { video } of this.parts) {
      video.playbackRate = this.rate;
      if (this.playing) video.play().catch(() => { this.playing = false; });
      else video.pause();
    }
    const button = this.form.querySelector("[data-play]");
    button.textContent = this.playing ? button.dataset.pause : button.dataset.start;
  }

  tick(now) {
    const passed = Math.min(1, (now - this.last) / 1000);
    this.last = now;
    const leading = this.parts[0];
    if (leading && this.playing) {
      this.watched += passed;
      const stalled = leading.video.readyState < 3;
      this.time = stalled ? this.time : Math.max(leading.video.currentTime, this.time === 0 ? 0 : leading.video.currentTime);
      if (this.loop && this.time > this.loop[1]) this.seek(this.loop[0]);
      if (this.time >= this.end - 0.05 && !this.loop) { this.playing = false; this.apply(); }
    }
    for (const part of this.parts) {
      part.fill(this.time).catch(() => {});
      const apart = part.video.currentTime - this.time;
      if (part !== leading && Math.abs(apart) > STEP_MAX_S * Math.max(1, this.rate)) part.video.currentTime = this.time;
    }
    if (this.next && leading) {
      for (const part of this.parts) part.fill(Math.max(0, Number(this.next.dataset.us) / 1e6 - BEFORE_S)).catch(() => {});
    }
    this.bar.value = String(this.time);
    this.out.textContent = `${clock(this.time)} / ${clock(this.end)}`;
    this.head.style.left = `${(100 * this.time) / Math.max(this.end, 1)}%`;
    for (const field of document.querySelectorAll("input[name=watched_s]")) field.value = String(Math.round(this.watched));
  }
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
