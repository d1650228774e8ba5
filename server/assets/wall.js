// The proctor's wall: one WebSocket of thumbnails, drawn on canvases; facts come as HTML from the
// server, and the order changes only while no pointer and no focus is on the wall.
const FACTS_MS = 1500;
const KINDS = ["camera", "microphone", "screen", "events"];

export function start(wall) {
  const newest = new Map();
  connect(newest);
  draw(wall, newest);
  facts(wall, () => wall.matches(":hover") || wall.contains(document.activeElement));
}

function connect(newest) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/console/wall/live`);
  socket.binaryType = "arraybuffer";
  socket.onmessage = (event) => {
    const bytes = new Uint8Array(event.data);
    if (bytes.length < 19) return;
    const attempt = uuid(bytes.subarray(0, 16));
    const kind = KINDS[bytes[17]];
    if (bytes[16] !== 0 || (kind !== "camera" && kind !== "screen")) return;
    newest.set(`${attempt} ${kind}`, bytes.slice(18));
  };
  socket.onclose = () => setTimeout(() => connect(newest), 2000);
}

function uuid(bytes) {
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function draw(wall, newest) {
  const frame = async () => {
    for (const [key, jpeg] of [...newest]) {
      newest.delete(key);
      const [attempt, kind] = key.split(" ");
      const tile = wall.querySelector(`[data-attempt="${attempt}"]`);
      const canvas = tile && tile.querySelector(`canvas.${kind}`);
      if (!canvas) continue;
      let picture;
      try {
        picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
      } catch {
        continue; // half a picture is no picture; the next comes in a second
      }
      canvas.width = picture.width;
      canvas.height = picture.height;
      canvas.getContext("2d").drawImage(picture, 0, 0);
      picture.close();
      const seen = new Set((tile.dataset.seen || "").split(" ").filter(Boolean));
      if (!seen.has(kind)) tile.dataset.seen = [...seen, kind].join(" ");
    }
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
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
