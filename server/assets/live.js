// One live stream on one canvas, by WebCodecs: the newest picture each frame, a still until there is
// one, and its sound.
import { boxes, samples, tracks } from "./cmaf.js";

const QUEUE_MAX = 120; // pictures that wait to be decoded; more: up to the next key frame is dropped
const AGAIN_MS = 2000;
const SOUND_AHEAD_S = 0.06;
const QUIET_MS = { camera: 3000, microphone: 3000 }; // a screen that stands still sends nothing

export class Live {
  /** Shows `url` on `canvas`; `on` gets {state, level}. */
  constructor(canvas, url, on) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false, desynchronized: true });
    this.url = url;
    this.on = on;
    this.quietMs = QUIET_MS[url.split("/").at(-1).split("-")[0]];
    this.known = null;
    this.newest = null;
    this.drawn = false;
    this.audio = null;
    this.playAt = 0;
    this.ended = false;
    this.draw = this.draw.bind(this);
    if ("VideoDecoder" in window && "AudioDecoder" in window) {
      this.connect();
      requestAnimationFrame(this.draw);
    } else {
      this.said("unsupported");
    }
  }

  connect() {
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    socket.onmessage = (event) => this.take(new Uint8Array(event.data));
    socket.onclose = () => {
      this.known = null;
      this.said("waiting");
      if (!this.ended) setTimeout(() => this.connect(), AGAIN_MS);
    };
    this.socket = socket;
  }

  take(bytes) {
    if (bytes[0] === 0xff && bytes[1] === 0xd8) return this.still(bytes);
    if (isInit(bytes)) return this.open(tracks(bytes));
    if (!this.known) return;
    this.heardAt = performance.now();
    for (const sample of samples(bytes, this.known)) {
      if (sample.track.kind === "video") this.picture(sample);
      else this.sound(sample);
    }
  }

  /** The small picture that the server has of a stream which nobody looked at yet. */
  async still(jpeg) {
    const picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })).catch(() => null);
    if (picture && !this.drawn) {
      this.size(picture.width, picture.height);
      this.context.drawImage(picture, 0, 0);
    }
    if (picture) picture.close();
  }

  open(known) {
    this.known = known;
    this.waitKey = true;
    this.heardAt = performance.now();
    for (const one of known) {
      if (one.kind === "video") this.openVideo(one);
      else this.openAudio(one);
    }
  }

  openVideo(one) {
    if (this.video && this.video.state !== "closed") this.video.close();
    this.video = new VideoDecoder({
      output: (frame) => {
        if (this.newest) this.newest.close();
        this.newest = frame;
      },
      error: () => this.socket.close(), // whoever comes anew gets a key frame
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
    this.hasPicture = this.known.some((other) => other.kind === "video");
  }

  picture(sample) {
    if (!this.video || this.video.state !== "configured") return;
    if (this.video.decodeQueueSize > QUEUE_MAX) this.waitKey = true;
    if (this.waitKey && !sample.sync) return;
    this.waitKey = false;
    this.video.decode(new EncodedVideoChunk({ type: sample.sync ? "key" : "delta", timestamp: sample.time, data: sample.data }));
  }

  sound(sample) {
    if (!this.decoder || this.decoder.state !== "configured") return;
    if (!this.hasPicture) this.said("live");
    this.decoder.decode(new EncodedAudioChunk({ type: "key", timestamp: sample.time, data: sample.data }));
  }

  heard(data) {
    const plane = new Float32Array(data.numberOfFrames);
    data.copyTo(plane, { planeIndex: 0, format: "f32-planar" });
    let peak = 0;
    for (const value of plane) peak = Math.max(peak, Math.abs(value));
    this.on({ level: Math.round(Math.min(1, peak) * 100) });
    if (this.audio) this.play(plane, data.sampleRate);
    data.close();
  }

  /** Plays packet after packet; what came too early or too late is played from now on. */
  play(plane, rate) {
    const buffer = this.audio.createBuffer(1, plane.length, rate);
    buffer.copyToChannel(plane, 0);
    const node = this.audio.createBufferSource();
    node.buffer = buffer;
    node.connect(this.audio.destination);
    const now = this.audio.currentTime;
    if (this.playAt > now + 1) return; // a burst after a gap: what is live comes next
    if (this.playAt < now) this.playAt = now + SOUND_AHEAD_S;
    node.start(this.playAt);
    this.playAt += buffer.duration;
  }

  /** Switches the sound on or off; must be called from a press. */
  listen(wanted) {
    if (wanted && !this.audio) {
      this.audio = new AudioContext({ sampleRate: 48000, latencyHint: "interactive" });
      this.playAt = 0;
    }
    if (!wanted && this.audio) {
      this.audio.close();
      this.audio = null;
    }
  }

  said(state) {
    if (this.state === state) return;
    this.state = state;
    this.on({ state });
  }

  size(width, height) {
    if (this.canvas.width === width && this.canvas.height === height) return;
    this.canvas.width = width;
    this.canvas.height = height;
  }

  draw() {
    if (this.ended) return;
    if (this.newest) {
      this.size(this.newest.displayWidth, this.newest.displayHeight);
      this.context.drawImage(this.newest, 0, 0);
      this.newest.close();
      this.newest = null;
      this.drawn = true;
      this.said("live");
    } else if (this.quietMs && this.state === "live" && performance.now() - this.heardAt > this.quietMs) {
      this.said("waiting"); // a picture that stands still is not shown as live
    }
    requestAnimationFrame(this.draw);
  }

  close() {
    this.ended = true;
    if (this.socket) this.socket.close();
    if (this.audio) this.audio.close();
  }
}

function isInit(bytes) {
  let found = false;
  boxes(bytes, (type) => { found ||= type === "moov"; });
  return found;
}

/** Loads the page anew where other streams are worth a look, unless somebody is writing. */
function follow(root) {
  const shown = [...root.querySelectorAll("canvas[data-live]")].map((canvas) => canvas.dataset.live.split("/").at(-1)).join(" ");
  root.addEventListener("htmx:afterSwap", () => {
    const now = root.querySelector("[data-streams]");
    if (now && now.dataset.streams !== shown && !root.querySelector("details[open], dialog[open]")) location.reload();
  });
}

/** Starts every `canvas[data-live]` of the page. */
export function start(root) {
  follow(root);
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  for (const canvas of root.querySelectorAll("canvas[data-live]")) {
    const figure = canvas.closest("figure");
    const state = figure.querySelector("[data-state]");
    const meter = figure.querySelector("meter");
    const live = new Live(canvas, `${scheme}://${location.host}${canvas.dataset.live}`, (change) => {
      if (change.state) {
        state.textContent = state.dataset[change.state];
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
