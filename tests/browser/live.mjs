// Live glass to glass in headless Chromium, for server/examples/live_view.rs, which starts it: reads
// the capture time back off each canvas once the frame that shows it is out.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { TREE } from "./server.mjs";

const words = JSON.parse(process.env.QORGAN_WORDS);
const modules = process.env.QORGAN_NODE_MODULES ?? join(process.env.CARGO_TARGET_DIR ?? join(TREE, "target"), "qorgan-node", "node_modules");
const { chromium } = createRequire(join(modules, "x.js"))("playwright-core");
const SETTLE_MS = 5000;
const TICKS_PER_S = 100;

/** Runs in the page before its own scripts: notes when a picture came, was drawn and was out. */
function watchCanvases() {
  const began = new WeakMap();
  const seen = new Map();
  window.seen = [];
  let inFrame = false;

  const frame = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (call) => frame((now) => {
    inFrame = true;
    try { call(now); } finally { inFrame = false; }
  });
  /** Calls back after the browser has made the frame that shows what was just drawn. */
  const afterFrame = (call) => {
    const soon = () => {
      const channel = new MessageChannel();
      channel.port1.onmessage = call;
      channel.port2.postMessage(0);
    };
    if (inFrame) soon(); else frame(soon);
  };

  const bitmap = window.createImageBitmap.bind(window);
  window.createImageBitmap = async (...given) => {
    const at = Date.now();
    const made = await bitmap(...given);
    began.set(made, at);
    return made;
  };
  window.VideoDecoder = class extends VideoDecoder {
    constructor(init) {
      const came = new Map();
      super({
        ...init,
        output: (picture) => {
          began.set(picture, came.get(picture.timestamp));
          came.delete(picture.timestamp);
          init.output(picture);
        },
      });
      this.came = came;
    }

    decode(chunk) {
      this.came.set(chunk.timestamp, Date.now());
      super.decode(chunk);
    }
  };

  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (picture, ...rest) {
    const result = draw.call(this, picture, ...rest);
    const drawn = Date.now();
    const came = began.get(picture);
    const captured = read(this, drawn);
    const key = this.canvas;
    if (captured === null || seen.get(key) === captured) return result;
    seen.set(key, captured);
    afterFrame(() => {
      const source = key.dataset.live ? `large ${key.dataset.live.split("/").at(-1)}` : `wall ${key.className}`;
      window.seen.push({ source, total: Date.now() - captured, way: came - captured, decode: drawn - came });
    });
    return result;
  };

  function read(context, now) {
    const width = context.canvas.width;
    const block = Math.floor(width / 16);
    if (block < 4) return null;
    let bits = 0;
    for (const row of [0, 1]) {
      const { data } = context.getImageData(0, row * block + (block >> 1), block * 16, 1);
      for (let bit = 0; bit < 16; bit += 1) {
        bits = bits * 2 + (data[(bit * block + (block >> 1)) * 4] > 127 ? 1 : 0);
      }
    }
    const time = Math.floor(bits / 256);
    if (((time ^ (time >> 8) ^ (time >> 16) ^ 0xa5) & 0xff) !== bits % 256) return null;
    const captured = now - (now % 0x1000000) + time;
    return captured > now + 1000 ? captured - 0x1000000 : captured;
  }
}

function stat(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { parent: Number(fields[1]), seconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S };
}

/** Returns the processor seconds of the server and of everything that the browser started. */
function spent() {
  const all = new Map();
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number)) {
    try { all.set(pid, stat(pid)); } catch { /* it ended meanwhile */ }
  }
  let browser = 0;
  for (const [pid, { seconds }] of all) {
    let above = all.get(pid).parent;
    while (above > 1 && above !== process.pid) above = all.get(above)?.parent ?? 0;
    if (above === process.pid) browser += seconds;
  }
  return { browser, server: all.get(words.server).seconds };
}

function quantiles(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return [0.5, 0.95, 0.99].map((share) => `${at(share)}`).join(" / ");
}

async function look(page, path, name) {
  await page.goto(path);
  await page.waitForTimeout(SETTLE_MS);
  await page.evaluate(() => { window.seen = []; });
  const before = spent();
  const from = Date.now();
  await page.waitForTimeout(words.seconds * 1000);
  const seconds = (Date.now() - from) / 1000;
  const after = spent();
  const seen = await page.evaluate(() => window.seen);
  const share = (who) => `${(100 * (after[who] - before[who]) / seconds).toFixed(0)} %`;
  console.log(`${words.feeds} feeds, ${name}: server ${share("server")}, browser ${share("browser")} of a core`);
  for (const source of [...new Set(seen.map((one) => one.source))].sort()) {
    const own = seen.filter((one) => one.source === source);
    const part = (key) => quantiles(own.map((one) => one[key]));
    console.log(`  ${source}: p50/p95/p99 ${part("total")} ms glass to glass (to the decoder ${part("way")}, decoded and drawn ${part("decode")}); `
      + `${own.length} pictures, ${(own.length / seconds).toFixed(1)}/s`);
  }
  if (seen.length === 0) throw new Error(`nothing was drawn on ${path}`);
  if (process.env.QORGAN_SHOTS) await page.screenshot({ path: join(process.env.QORGAN_SHOTS, `live-${words.feeds}-${name}.png`) });
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: words.origin, viewport: { width: 1920, height: 1080 } });
  await context.addCookies([{ name: "__Host-qorgan", value: words.cookie, url: words.origin, secure: true, httpOnly: true, sameSite: "Strict" }]);
  await context.addInitScript(watchCanvases);
  const page = await context.newPage();
  await look(page, "/console/wall", "wall");
  await look(page, `/console/attempts/${words.attempt}`, "candidate");
} finally {
  await browser.close();
}
