// The proctor's wall: one WebSocket of thumbnails, drawn on canvases; facts come as HTML from the
// server, and the order changes only while no pointer and no focus is on the wall.
const FACTS_MS = 1500;
const KINDS = ["camera", "microphone", "screen", "events"];
const DECODING_MAX = 8;
const OTHER_MS = 10_000; // how long a second camera or display waits for the first one's silence

export function start(wall) {
  connect(new Pictures(wall));
  facts(wall, () => wall.matches(":hover") || wall.contains(document.activeElement));
}

function connect(pictures) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/console/wall/live`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => {
    const bytes = new Uint8Array(event.data);
    if (bytes.length < 19) return;
    const kind = KINDS[bytes[17]];
    if (kind === "camera" || kind === "screen") pictures.take(uuid(bytes.subarray(0, 16)), kind, bytes[16], bytes.subarray(18));
  };
  socket.onclose = () => setTimeout(() => connect(pictures), 2000);
}

function uuid(bytes) {
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The newest picture of each tile's two canvases, decoded a few at a time and drawn at once. */
class Pictures {
  constructor(wall) {
    this.wall = wall;
    this.newest = new Map();
    this.decoding = new Set();
    this.sources = new Map();
    document.addEventListener("visibilitychange", () => this.next());
  }

  take(attempt, kind, index, jpeg) {
    const key = `${attempt} ${kind}`;
    const shown = this.sources.get(key);
    const now = performance.now();
    // Of two displays the first is shown; where the source changed, the one that still sends.
    if (shown && index > shown.index && now - shown.at < OTHER_MS) return;
    this.sources.set(key, { index, at: now });
    this.newest.set(key, jpeg);
    this.next();
  }

  next() {
    if (document.hidden) return;
    for (const [key, jpeg] of this.newest) {
      if (this.decoding.size >= DECODING_MAX) return;
      if (this.decoding.has(key)) continue;
      this.newest.delete(key);
      this.show(key, jpeg);
    }
  }

  async show(key, jpeg) {
    const [attempt, kind] = key.split(" ");
    const tile = this.wall.querySelector(`[data-attempt="${attempt}"]`);
    const canvas = tile && tile.querySelector(`canvas.${kind}`);
    if (!canvas) return;
    this.decoding.add(key);
    // Half a picture is no picture; the next comes in a second.
    const picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" })).catch(() => null);
    this.decoding.delete(key);
    if (picture) {
      if (canvas.width !== picture.width || canvas.height !== picture.height) {
        canvas.width = picture.width;
        canvas.height = picture.height;
      }
      canvas.getContext("2d", { alpha: false }).drawImage(picture, 0, 0);
      picture.close();
      const seen = new Set((tile.dataset.seen || "").split(" ").filter(Boolean));
      if (!seen.has(kind)) tile.dataset.seen = [...seen, kind].join(" ");
    }
    this.next();
  }
}

function facts(wall, frozen) {
  const take = async () => {
    try {
      const answer = await fetch(wall.dataset.facts, { headers: { accept: "text/html" } });
      if (answer.ok) merge(wall, await answer.text(), frozen());
      else if (answer.status === 401) location.reload();
    } catch {
      // The server is away; the tiles keep what they show, and the next round asks again.
    }
    setTimeout(take, FACTS_MS);
  };
  setTimeout(take, FACTS_MS);
}

function merge(wall, text, frozen) {
  const fresh = new DOMParser().parseFromString(text, "text/html");
  const order = [];
  for (const tile of fresh.querySelectorAll("[data-attempt]")) {
    const id = tile.dataset.attempt;
    let own = wall.querySelector(`[data-attempt="${id}"]`);
    if (!own) {
      own = document.importNode(tile, true);
      wall.append(own);
    }
    const before = own.querySelector(".facts");
    const after = tile.querySelector(".facts");
    if (before.innerHTML !== after.innerHTML) before.innerHTML = after.innerHTML;
    own.dataset.attention = tile.dataset.attention;
    order.push(own);
  }
  if (frozen) return;
  for (const own of [...wall.querySelectorAll("[data-attempt]")]) {
    if (!order.includes(own)) own.remove();
  }
  order.forEach((own, index) => {
    if (wall.children[index] !== own) wall.insertBefore(own, wall.children[index] || null);
  });
}
