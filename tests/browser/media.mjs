// Moving pictures for the pages that show them: fragmented MP4 made by ffmpeg, split into its
// initialisation segment and its chunks.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const folder = mkdtempSync(join(tmpdir(), "qorgan-media-"));

/** Returns {init, chunks} of twenty seconds of a test picture, with sound where asked. */
export function recording(name, picture, sound) {
  const file = join(folder, `${name}.mp4`);
  const input = ["-f", "lavfi", "-i", `${picture}=size=640x480:rate=10:duration=20`];
  const tone = sound ? ["-f", "lavfi", "-i", "sine=frequency=440:duration=20:sample_rate=48000", "-c:a", "libopus", "-b:a", "24k"] : [];
  execFileSync("ffmpeg", ["-y", "-v", "error", ...input, ...tone, "-c:v", "libx264", "-profile:v", "baseline", "-pix_fmt", "yuv420p", "-g", "20", "-bf", "0",
    "-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-strict", "-2", file]);
  return split(readFileSync(file));
}

function split(bytes) {
  const boxes = [];
  let at = 0;
  while (at + 8 <= bytes.length) {
    const size = bytes.readUInt32BE(at);
    boxes.push({ type: bytes.toString("latin1", at + 4, at + 8), at, size });
    at += size;
  }
  const first = boxes.find((box) => box.type === "moof");
  const moofs = boxes.filter((box) => box.type === "moof");
  const chunks = moofs.map((box) => {
    const mdat = boxes.find((other) => other.type === "mdat" && other.at > box.at);
    return bytes.subarray(box.at, mdat.at + mdat.size);
  });
  return { init: bytes.subarray(0, first.at), chunks };
}

/** Returns a JPEG for the wall. */
export function jpeg(picture, width, height) {
  const out = ["-frames:v", "1", "-f", "image2", "-c:v", "mjpeg", "pipe:1"];
  return execFileSync("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", `${picture}=size=${width}x${height}:rate=1`, ...out]);
}

/** Returns the eighteen bytes before a JPEG on the wall's WebSocket, with it. */
export function thumbnail(attempt, kind, picture) {
  const id = Buffer.from(attempt.replaceAll("-", ""), "hex");
  return Buffer.concat([id, Buffer.from([0, kind]), picture]);
}
