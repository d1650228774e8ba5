// One live stream on one canvas: WebCodecs, newest picture each frame; Media Source Extensions where
// a browser has no WebCodecs.
import { mime, samples, tracks } from "./cmaf.js";

const QUEUE_MAX = 4; // deeper: everything up to the next key frame is dropped
const AGAIN_MS = 2000;

export class Live {
  /** Shows `url` on `canvas`; `on` gets {state, level}. */
  constructor(canvas, url, on) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false, desynchronized: true });
    this.url = url;
    this.on = on;
    this.known = null;
    this.newest = null;
    this.waitKey = true;
    this.audio = null;
    this.playAt = 0;
    this.ended = false;
    this.connect();
    this.draw = this.draw.bind(this);
    requestAnimationFrame(this.draw);
  }

  connect() {
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => this.take(new Uint8Array(event.data));
    socket.onclose = () => {
      this.known = null;
      this.on({ state: "waiting" });
      if (!this.ended) setTimeout(() => this.connect(), AGAIN_MS);
    };
    this.socket = socket;
  }

  take(bytes) {
    if (!this.known) {
      this.known = tracks(bytes);
      this.init = bytes;
      if ("VideoDecoder" in window) this.open();
      else this.openSource();
      return;
    }
    if (this.source) return this.append(bytes);
    for (const sample of samples(bytes, this.known)) {
      if (sample.track.kind === "video") this.picture(sample);
      else this.sound(sample);
    }
  }

  open() {
    this.waitKey = true;
    for (const one of this.known) {
      if (one.kind === "video") this.openVideo(one);
      else if ("AudioDecoder" in window) this.openAudio(one);
    }
    this.on({ state: "live" });
  }

  openVideo(one) {
    if (this.video && this.video.state !== "closed") this.video.close();
    this.video = new VideoDecoder({
      output: (frame) => {
        if (this.newest) this.newest.close();
        this.newest = frame;
      },
      error: () => { this.waitKey = true; this.openVideo(one); },
    });
    this.video.configure({ codec: one.codec, description: one.description, optimizeForLatency: true });
  }

  openAudio(one) {
    if (this.decoder && this.decoder.state !== "closed") this.decoder.close();
    this.decoder = new AudioDecoder({
      output: (data) => this.heard(data),
      error: () => { this.decoder = null; },
    });
    this.decoder.configure({ codec: "opus", sampleRate: 48000, numberOfChannels: one.channels || 1, description: one.description });
  }

  picture(sample) {
    if (this.waitKey && !sample.sync) return;
    if (this.video.decodeQueueSize > QUEUE_MAX) {
      this.waitKey = true;
      if (!sample.sync) return;
    }
    this.waitKey = false;
    this.video.decode(new EncodedVideoChunk({ type: sample.sync ? "key" : "delta", timestamp: sample.time, data: sample.data }));
  }

  sound(sample) {
    if (!this.decoder || this.decoder.state !== "configured") return;
    this.decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: sample.time, data: sample.data }));
  }

  heard(data) {
    const plane = new Float32Array(data.numberOfFrames);
    data.copyTo(plane, { planeIndex: 0, format: "f32-planar" });
    let peak = 0;
    for (const value of plane) peak = Math.max(peak, Math.abs(value));
    this.on({ level: Math.round(Math.min(1, peak) * 100) });
    if (this.audio) {
      const buffer = this.audio.createBuffer(1, plane.length, data.sampleRate);
      buffer.copyToChannel(plane, 0);
      const node = this.audio.createBufferSource();
      node.buffer = buffer;
      node.connect(this.audio.destination);
      const now = this.audio.currentTime;
      if (this.playAt < now || this.playAt > now + 1) this.playAt = now + 0.06;
      node.start(this.playAt);
      this.playAt += buffer.duration;
    }
    data.close();
  }

  /** Switches the sound on or off; must be called from a press. */
  listen(wanted) {
    if (wanted && !this.audio) this.audio = new AudioContext({ sampleRate: 48000, latencyHint: "interactive" });
    if (!wanted && this.audio) { this.audio.close(); this.audio = null; }
    if (this.element) this.element.muted = !wanted;
  }

  openSource() {
    const element = document.createElement("video");
    element.autoplay = true;
    element.muted = true;
    element.setAttribute("aria-label", this.canvas.getAttribute("aria-label") || "");
    this.canvas.replaceWith(element);
    this.element = element;
    this.waiting = [this.init];
    this.source = new MediaSource();
    element.src = URL.createObjectURL(this.source);
    this.source.addEventListener("sourceopen", () => {
      this.buffer = this.source.addSourceBuffer(mime(this.known));
      this.buffer.mode = "segments";
      this.buffer.addEventListener("updateend", () => this.feed());
      this.feed();
    }, { once: true });
    this.on({ state: "live" });
  }

  append(bytes) {
    if (this.waiting.length > 64) this.waiting.splice(0, 32);
    this.waiting.push(bytes);
    this.feed();
  }

  feed() {
    if (!this.buffer || this.buffer.updating || this.waiting.length === 0) return;
    this.buffer.appendBuffer(this.waiting.shift());
    const ranges = this.element.buffered;
    if (ranges.length > 0) {
      const end = ranges.end(ranges.length - 1);
      if (end - this.element.currentTime > 1) this.element.currentTime = end - 0.2;
    }
  }

  draw() {
    if (this.ended) return;
    if (this.newest) {
      const { displayWidth: width, displayHeight: height } = this.newest;
      if (this.canvas.width !== width || this.canvas.height !== height) {
        this.canvas.width = width;
        this.canvas.height = height;
      }
      this.context.drawImage(this.newest, 0, 0);
      this.newest.close();
      this.newest = null;
    }
    requestAnimationFrame(this.draw);
  }

  close() {
    this.ended = true;
    this.socket.close();
    if (this.audio) this.audio.close();
  }
}

/** Starts every `canvas[data-live]` of the page. */
export function start(root) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  for (const canvas of root.querySelectorAll("canvas[data-live]")) {
    const figure = canvas.closest("figure");
    const state = figure.querySelector("[data-state]");
    const meter = figure.querySelector("meter");
    const live = new Live(canvas, `${scheme}://${location.host}${canvas.dataset.live}`, (change) => {
      if (change.state && state) {
        state.textContent = change.state === "live" ? state.dataset.live : state.dataset.waiting;
        state.className = `source ${change.state}`;
      }
      if (change.level !== undefined && meter) meter.value = change.level;
    });
    const listen = figure.querySelector("[data-listen]");
    if (listen) {
      listen.addEventListener("click", () => {
        const wanted = listen.getAttribute("aria-pressed") !== "true";
        listen.setAttribute("aria-pressed", String(wanted));
        live.listen(wanted);
      });
    }
    addEventListener("pagehide", () => live.close(), { once: true });
  }
}
