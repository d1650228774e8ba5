// One recorded stream in one video element: ranges of one file, by an index of its chunks.
import { mime, stretch, tracks } from "./cmaf.js";

const AHEAD_S = 30;
const KEEP_S = 60;
const CHUNKS_MAX = 40; // of one request
const LOADED_MAX = 600; // chunks that are kept before older ones go
const CHUNK_S = 0.5;
const HOLE_S = 2; // a camera that gives nothing for longer gave nothing
const STEP_MAX_S = 0.2;
const EDGE_S = 0.02;
const END_S = 0.5;

export class Recording {
  constructor(figure) {
    this.figure = figure;
    this.epoch = figure.dataset.epoch;
    this.began = Number(figure.dataset.began);
    this.video = figure.querySelector("video");
    this.note = figure.querySelector(".gap-note");
    this.url = this.video.dataset.recording;
    // A display that stands still sends nothing; a camera or a microphone always gives something.
    this.holds = /\/screen-\d+$/.test(this.url);
    this.loaded = new Set();
    this.busy = false;
  }

  /** Reads the index. */
  async open() {
    const answer = await fetch(`${this.url}.json`);
    if (!answer.ok) throw new Error(`index ${answer.status}`);
    const index = await answer.json();
    if (index.chunks.length === 0) throw new Error("empty");
    this.index = index;
    this.length = index.end_us / 1e6;
    this.starts = index.chunks.map((chunk) => chunk[0] / 1e6);
    return this;
  }

  /** Opens the media, once: when its part is looked at. */
  attach() {
    this.attached ??= this.openSource();
    return this.attached;
  }

  async openSource() {
    const init = await this.range(0, this.index.init);
    this.known = tracks(init);
    const source = new MediaSource();
    this.video.src = URL.createObjectURL(source);
    await new Promise((done) => source.addEventListener("sourceopen", done, { once: true }));
    this.buffer = source.addSourceBuffer(mime(this.known));
    source.duration = this.length;
    await this.append(init);
    this.ready = true;
  }

  async range(from, length) {
    const answer = await fetch(`${this.url}.mp4`, { headers: { range: `bytes=${from}-${from + length - 1}` } });
    if (!answer.ok) throw new Error(`media ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  }

  append(bytes) {
    return new Promise((done, failed) => {
      this.buffer.addEventListener("updateend", done, { once: true });
      this.buffer.addEventListener("error", failed, { once: true });
      this.buffer.appendBuffer(bytes);
    });
  }

  /** Returns the last chunk that begins at or before a moment; the first where none does. */
  chunkAt(seconds) {
    let low = 0;
    let high = this.starts.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.starts[middle] <= seconds) low = middle + 1; else high = middle;
    }
    return Math.max(0, low - 1);
  }

  /** Returns the chunk that decoding begins with for a moment. */
  keyAt(seconds) {
    let at = this.chunkAt(seconds);
    while (at > 0 && !this.index.chunks[at][3]) at -= 1;
    return at;
  }

  /** Tells whether everything that a moment needs is there. */
  has(seconds) {
    return this.loaded.has(this.chunkAt(seconds));
  }

  /** Returns holes in which nothing was recorded, as [from, to] in seconds. */
  holes() {
    if (this.holds) return [];
    const edges = [0, ...this.starts.map((start) => start + CHUNK_S)];
    return [...this.starts, this.length].map((start, at) => [edges[at], start]).filter(([from, to]) => to - from > HOLE_S);
  }

  /** Returns until when the last picture of a chunk is shown. */
  until(at) {
    const next = this.index.chunks[at + 1];
    if (!next) return this.holds ? this.index.end_us : 0;
    const hole = (next[0] - this.index.chunks[at][0]) / 1e6 - CHUNK_S;
    return this.holds || hole <= HOLE_S ? next[0] : 0;
  }

  async fill(seconds) {
    if (this.busy || !this.ready) return;
    this.busy = true;
    try {
      const { chunks } = this.index;
      let at = this.keyAt(seconds);
      while (at < chunks.length && this.loaded.has(at)) at += 1;
      const wanted = (one) => one < chunks.length && (one <= this.chunkAt(seconds) || this.starts[one] < seconds + AHEAD_S);
      if (wanted(at)) {
        let end = at;
        while (wanted(end) && !this.loaded.has(end) && end - at < CHUNKS_MAX) end += 1;
        await this.load(at, end);
      }
      if (seconds > KEEP_S && this.loaded.size > LOADED_MAX) await this.forget(seconds - KEEP_S);
    } finally {
      this.busy = false;
    }
  }

  async load(from, to) {
    const { chunks } = this.index;
    const [, offset] = chunks[from];
    const last = chunks[to - 1];
    const bytes = await this.range(offset, last[1] + last[2] - offset);
    for (let at = from; at < to; at += 1) {
      const begin = chunks[at][1] - offset;
      stretch(bytes.subarray(begin, begin + chunks[at][2]), this.known, this.until(at));
    }
    await this.append(bytes);
    for (let at = from; at < to; at += 1) this.loaded.add(at);
  }

  async forget(before) {
    // Decoding begins with a key frame: what hangs on one that goes, goes with it.
    const key = this.keyAt(before);
    if (key === 0) return;
    await new Promise((done) => {
      this.buffer.addEventListener("updateend", done, { once: true });
      this.buffer.remove(0, this.starts[key]);
    });
    this.loaded = new Set([...this.loaded].filter((one) => one >= key));
  }

  /** Returns the end of the buffered range that holds a moment; 0 where none does. */
  rangeEnd(seconds) {
    const { buffered } = this.video;
    for (let at = 0; at < buffered.length; at += 1) {
      if (buffered.start(at) <= seconds + EDGE_S && seconds < buffered.end(at) - EDGE_S) return buffered.end(at);
    }
    return 0;
  }

  /** Tells whether nothing was recorded at a moment, and not just for a moment. */
  lacks(seconds) {
    this.empty ??= this.holes();
    const outside = seconds < this.starts[0] - HOLE_S || seconds > this.length + HOLE_S;
    return outside || this.empty.some(([from, to]) => from < seconds && seconds < to);
  }

  /**
   * Follows the common clock; returns its own time where it runs freely, null where the clock should
   * wait for it, and undefined where it has nothing to say.
   */
  follow(clock, playing, rate) {
    const { video } = this;
    // A stream that begins a little later than the others shows its first picture until then.
    const early = clock < this.starts[0] && !this.lacks(clock);
    const seconds = early ? this.starts[0] : clock;
    const inside = this.ready && this.rangeEnd(seconds) > 0;
    this.note.hidden = !this.lacks(clock);
    if (video.playbackRate !== rate) video.playbackRate = rate;
    if (!inside || !playing || early) {
      if (!video.paused) video.pause();
      if (inside && !video.seeking && Math.abs(video.currentTime - seconds) > EDGE_S) video.currentTime = seconds;
      return undefined;
    }
    if (video.paused) video.play().catch(() => {});
    if (video.seeking) return null;
    if (Math.abs(video.currentTime - seconds) > STEP_MAX_S * Math.max(1, rate)) {
      video.currentTime = seconds;
      return null;
    }
    // Just before the end of what there is a browser waits for more.
    if (video.readyState < 3) return this.rangeEnd(seconds) - seconds < END_S ? undefined : null;
    return video.currentTime;
  }

  rest() {
    if (!this.video.paused) this.video.pause();
  }
}
