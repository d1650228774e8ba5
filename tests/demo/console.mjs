// The proctor in a headless browser: signs in, looks at the wall, at one candidate, at a review.
//
// Told by QORGAN_WORDS: origin, login, password, newPassword, and of `wall`, `candidate` and
// `review` those pictures that are to be taken, with `attempt` for the last; `approveMove` has the
// first candidate's move to another machine approved, `identity` has their identity approved or
// refused. Ends with JSON.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const words = JSON.parse(process.env.QORGAN_WORDS);
const playwright = join(process.env.QORGAN_NODE_MODULES, "playwright-core", "index.mjs");
const { chromium } = await import(pathToFileURL(playwright));
const profile = mkdtempSync(join(tmpdir(), "qorgan-browser-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.QORGAN_CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--autoplay-policy=no-user-gesture-required"],
  ignoreHTTPSErrors: true,
  viewport: { width: 1440, height: 900 },
});

async function enter(page, password) {
  await page.goto(`${words.origin}/console/sign-in`);
  await page.fill("#login", words.login);
  await page.fill("#password", password);
  await page.click("form[action='/console/sign-in'] button");
  await page.waitForLoadState();
  return !page.url().endsWith("/sign-in");
}

async function signIn(page) {
  if (!(await enter(page, words.password)) && !(await enter(page, words.newPassword))) {
    throw new Error(`the console does not let ${words.login} in: ${await page.innerText("main")}`);
  }
  if (page.url().includes("/console/password")) {
    await page.fill("#old", words.password);
    await page.fill("#new", words.newPassword);
    await page.fill("#again", words.newPassword);
    await page.click("form[action='/console/password'] button");
    await page.waitForLoadState();
  }
}

/** Waits until every canvas or video of the page has a picture in it that is not one colour. */
async function pictures(page, selector) {
  await page.waitForFunction((selector) => {
    const probe = document.createElement("canvas");
    probe.width = probe.height = 16;
    const context = probe.getContext("2d", { willReadFrequently: true });
    const drawn = (element) => {
      context.clearRect(0, 0, 16, 16);
      context.drawImage(element, 0, 0, 16, 16);
      return new Set(new Uint32Array(context.getImageData(0, 0, 16, 16).data.buffer)).size > 4;
    };
    const all = [...document.querySelectorAll(selector)];
    return all.length > 0 && all.every(drawn);
  }, selector, { timeout: 30000, polling: 250 });
}

const seen = {};
try {
  const page = browser.pages()[0] ?? (await browser.newPage());
  await signIn(page);
  if (words.wall) {
    await page.goto(`${words.origin}/console/wall`);
    await page.waitForSelector("li.tile", { timeout: 20000 });
    await pictures(page, "li.tile canvas");
    await page.screenshot({ path: words.wall });
    seen.tiles = await page.locator("li.tile").count();
  }
  if (words.candidate) {
    await page.click("li.tile a.open");
    await pictures(page, "canvas[data-live]");
    // A still stands there at once; what is live comes with the agent's next key frame.
    await page.waitForFunction(() => [...document.querySelectorAll("[data-state]")].every((one) => one.classList.contains("live")), null, { timeout: 30000 });
    await page.screenshot({ path: words.candidate });
    seen.incidents = await page.locator("#now li.incident").count();
  }
  if (words.approveMove) {
    await page.goto(`${words.origin}/console/wall`);
    await page.click("li.tile a.open");
    await page.click("form[action$='/move'] button[value='yes']");
    await page.waitForLoadState();
  }
  if (words.identity) {
    await page.goto(`${words.origin}/console/wall`);
    await page.click("li.tile a.open");
    if (words.identity === "refuse") {
      await page.locator("details", { has: page.locator("#identity-reason") }).locator("summary").click();
      await page.fill("#identity-reason", "лица не видно");
    }
    await page.click(`form[action$='/identity'] button[value='${words.identity}']`);
    await page.waitForLoadState();
  }
  if (words.review) {
    await page.goto(`${words.origin}/console/attempts/${words.attempt}/review`);
    await pictures(page, "video[data-recording]");
    await page.screenshot({ path: words.review });
    seen.marks = await page.locator(".timeline .mark").count();
  }
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
console.log(JSON.stringify(seen));
