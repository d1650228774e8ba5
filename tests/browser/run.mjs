// Browser tests of the console: `node tests/browser/run.mjs` prints `N passed, N failed`.
// QORGAN_NODE_MODULES names playwright-core and axe-core, QORGAN_SHOTS a folder for screenshots.
import { mkdirSync, mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Server, TREE } from "./server.mjs";
import { steps } from "./steps.mjs";

const modules = process.env.QORGAN_NODE_MODULES ?? join(process.env.CARGO_TARGET_DIR ?? join(TREE, "target"), "qorgan-node", "node_modules");
const load = createRequire(join(modules, "x.js"));
const { chromium } = load("playwright-core");
const axe = load.resolve("axe-core/axe.min.js");
const shots = process.env.QORGAN_SHOTS ?? mkdtempSync(join(tmpdir(), "qorgan-shots-"));
mkdirSync(shots, { recursive: true });

const server = new Server();
let browser;
const counts = { passed: 0, failed: 0 };
try {
  server.command("init");
  await server.start();
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  const world = { server, browser, shots, axe, context: null, page: null };
  for (const [name, step] of steps) {
    try {
      await step(world);
      counts.passed += 1;
      console.log(`ok ${name}`);
    } catch (error) {
      counts.failed += 1;
      console.log(`FAILED ${name}\n${error.stack}`);
      if (world.page) await world.page.screenshot({ path: join(shots, `failed-${counts.failed}.png`) }).catch(() => {});
    }
  }
} finally {
  if (browser) await browser.close();
  if (counts.failed > 0) console.log(server.log.slice(-4000));
  server.stop();
}
console.log(`screenshots in ${shots}`);
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exitCode = counts.failed > 0 ? 1 : 0;
