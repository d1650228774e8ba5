// Starts a server of its own for the browser tests, seeds it by its command line, and stops it.
import { execFileSync, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const TREE = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const TARGET = process.env.CARGO_TARGET_DIR ?? join(TREE, "target");
const PROGRAMS = [process.env.QORGAN_BIN ?? join(TARGET, "qorgan-bin"), join(TARGET, "debug")];
const START_MS = 30_000;

function program(name) {
  const found = PROGRAMS.map((folder) => join(folder, name)).find(existsSync);
  if (!found) throw new Error(`${name} is not built; looked in ${PROGRAMS.join(", ")}`);
  return found;
}

export class Server {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "qorgan-browser-"));
    this.data = join(this.folder, "data");
    this.config = join(this.folder, "config.toml");
    writeFileSync(this.config, [
      "[institution]",
      'name_kk = "С.Ж. Асфендияров атындағы ҚазҰМУ"',
      'name_ru = "КазНМУ имени С.Д. Асфендиярова"',
      'name_en = "Asfendiyarov KazNMU"',
      "[passwords]",
      "memory_kib = 7168",
      "passes = 5",
    ].join("\n"));
  }

  /** Runs one of the server's commands on the data folder. */
  command(...words) {
    const all = [...words, "--data", this.data, "--config", this.config];
    return execFileSync(program("qorgan-server"), all, { encoding: "utf8" }).trim();
  }

  async start() {
    const ready = join(this.folder, "ready.json");
    const assets = process.env.QORGAN_ASSETS ?? join(TARGET, "qorgan-assets");
    this.log = "";
    this.child = spawn(program("qorgan-server"), [
      "serve", "--listen", "127.0.0.1:0", "--ready-file", ready, "--data", this.data, "--config", this.config,
    ], { env: { ...process.env, QORGAN_ASSETS: assets } });
    this.child.stdout.on("data", (bytes) => { this.log += bytes; });
    this.child.stderr.on("data", (bytes) => { this.log += bytes; });
    const end = Date.now() + START_MS;
    while (!existsSync(ready)) {
      if (Date.now() > end || this.child.exitCode !== null) throw new Error(`the server does not listen:\n${this.log}`);
      await new Promise((done) => setTimeout(done, 100));
    }
    this.ready = JSON.parse(readFileSync(ready, "utf8"));
    this.origin = this.ready.origin;
  }

  /** Writes rows that only a running exam would leave behind; never part of the product. */
  fixture(name) {
    return JSON.parse(execFileSync("python3", [join(TREE, "tests", "browser", "fixture.py"), join(this.data, "qorgan.db"), name], { encoding: "utf8" }));
  }

  stop() {
    if (this.child) this.child.kill("SIGTERM");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Returns the six digits that an authenticator app shows for a base-32 secret. */
export function totp(secret, steps = 0) {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  let bits = "";
  for (const letter of secret.replace(/[\s=]/g, "")) bits += letters.indexOf(letter).toString(2).padStart(5, "0");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps));
  const tag = createHmac("sha1", key).update(counter).digest();
  const at = tag[19] & 15;
  return String((tag.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}
