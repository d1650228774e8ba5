// What a testing centre and a proctor do in the console, in order; each step builds on those before.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { jpeg, recording, thumbnail } from "./media.mjs";
import { TREE, totp } from "./server.mjs";

const EXAM = join(TREE, "tests", "data", "exam");
const secrets = {};
let ids = {};
let sitting = "";

export const steps = [
  ["a wrong password is told with its remedy", wrongPassword],
  ["staff replace the one-time code and set up the second factor", firstSignIn],
  ["a list with faults changes nothing and tells each line", badPeople],
  ["people are imported after a preview", goodPeople],
  ["an exam is made and a bad test told item by item", badTest],
  ["a test is imported in two languages", goodTest],
  ["a sitting gets its times", makeSitting],
  ["a bad admission sheet is told by line and column", badAdmission],
  ["the admission sheet admits and refuses", goodAdmission],
  ["the board shows phases, and who is late", board],
  ["the console speaks Russian and English", languages],
  ["the testing centre sees no wall", roles],
  ["a form without its token is refused", csrf],
  ["the wall draws thumbnails and sorts by attention", wall],
  ["the wall keeps its order while the pointer is over it", frozen],
  ["the wall is dark where the system is", darkWall],
  ["one candidate is shown large, live", candidate],
  ["the candidate's sound is heard when asked for", sound],
  ["a still stands where no picture came yet", stillBefore],
  ["a message reaches the candidate's record", message],
  ["an attempt without incidents is reviewed", quietReview],
  ["review plays in step, and keys judge", review],
  ["a moved candidate's parts are one timeline", reviewParts],
  ["a picture of a screen that stands still lasts", stillScreen],
  ["nothing passes against a confirmed moment", contradiction],
  ["an act is made, downloaded and verified", act],
  ["pages work without scripts", noScripts],
];

async function newPage(world, options = {}) {
  if (world.context) await world.context.close();
  world.context = await world.browser.newContext({
    ignoreHTTPSErrors: true, baseURL: world.server.origin, locale: "kk-KZ", viewport: { width: 1366, height: 860 }, ...options,
  });
  world.page = await world.context.newPage();
  world.broken = [];
  world.page.on("pageerror", (error) => world.broken.push(String(error)));
  world.page.on("console", (line) => { if (/Content Security Policy/.test(line.text())) world.broken.push(line.text()); });
  return world.page;
}

async function signIn(world, login, password, options) {
  const page = await newPage(world, options);
  await page.goto("/console/sign-in");
  await page.fill("#login", login);
  await page.fill("#password", password);
  if (secrets[login]) {
    // A code counts once: wait for one that was not used.
    while (totp(secrets[login].secret) === secrets[login].used) await page.waitForTimeout(500);
    secrets[login].used = totp(secrets[login].secret);
    await page.fill("#code", secrets[login].used);
  }
  await page.click("main button.primary");
  return page;
}

async function clean(world, name, options = {}) {
  await world.page.screenshot({ path: join(world.shots, `${name}.png`), fullPage: options.fullPage ?? true });
  await world.page.evaluate(readFileSync(world.axe, "utf8"));
  const found = await world.page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const words = found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
  assert.deepEqual(words, [], `axe on ${name}`);
  assert.deepEqual(world.broken, [], `scripts on ${name}`);
}

async function wrongPassword(world) {
  const page = await signIn(world, "admin", "not this one");
  await page.waitForSelector("[role=alert]");
  assert.equal(await page.inputValue("#login"), "admin");
  await clean(world, "sign-in-wrong");
}

async function first(world, login, code, password) {
  const page = await signIn(world, login, code);
  await page.waitForURL("**/console/password");
  await page.fill("#old", code);
  await page.fill("#new", password);
  await page.fill("#again", password);
  if (login === "proctor") await clean(world, "password");
  await page.click("main button.primary");
  await page.waitForURL("**/console/totp");
  const secret = (await page.textContent("#secret")).trim();
  const used = totp(secret);
  secrets[login] = { secret, used };
  if (login === "proctor") await clean(world, "totp");
  await page.fill("#code", used);
  await page.click("main button.primary");
  await page.waitForURL("**/console/");
}

async function firstSignIn(world) {
  const code = (login, role) => {
    const said = world.server.command("staff", "add", "--login", login, "--role", role, "--name", role === "proctor" ? "Серікұлы Ерлан" : "Ахметова Айгүл");
    return said.trim().split(/\s+/).at(-1);
  };
  await first(world, "proctor", code("proctor", "proctor"), "proctor-password-1");
  await clean(world, "home-proctor");
  await first(world, "centre", code("centre", "test_centre"), "centre-password-1");
  await clean(world, "home-centre");
}

async function upload(page, selector, file) {
  await page.setInputFiles(selector, file);
  await page.click(`form:has(${selector}) button.primary`);
}

async function badPeople(world) {
  const { page } = world;
  await page.goto("/console/people");
  await clean(world, "people-empty");
  await upload(page, "#file", join(EXAM, "bad", "candidates.csv"));
  await page.waitForSelector("#faults");
  const lines = await page.$$eval("#faults tbody tr td:nth-child(2)", (cells) => cells.map((cell) => cell.textContent));
  assert.deepEqual([...new Set(lines)], ["3", "4", "5", "6", "7"]);
  await clean(world, "people-faults");
  await page.goto("/console/people");
  assert.equal(await page.locator("tbody tr").filter({ hasText: "aruzhan" }).count(), 0);
}

async function goodPeople(world) {
  const { page } = world;
  await page.goto("/console/people");
  await upload(page, "#file", join(EXAM, "candidates.csv"));
  await page.waitForSelector("#preview");
  assert.equal(await page.locator("#preview tbody tr").count(), 12);
  await clean(world, "people-preview");
  await page.click("main form button.primary");
  await page.waitForSelector("[role=status]");
  await page.goto("/console/people?q=бекова");
  assert.equal(await page.locator("tbody tr").count(), 1);
  await page.goto("/console/people");
  await clean(world, "people");
}

function zip(world, name) {
  const file = join(world.server.folder, `${name.replace("/", "-")}.zip`);
  execFileSync("python3", ["-m", "zipfile", "-c", file, "."], { cwd: join(EXAM, name) });
  const all = execFileSync("python3", ["-c", "import sys,zipfile,os\nz=zipfile.ZipFile(sys.argv[1],'w',zipfile.ZIP_DEFLATED)\nfor d,_,fs in os.walk('.'):\n  [z.write(os.path.join(d,f)) for f in fs]\nz.close()", file], { cwd: join(EXAM, name) });
  assert.equal(all.length, 0);
  return file;
}

async function badTest(world) {
  const { page } = world;
  await page.goto("/console/exams");
  await clean(world, "exams-empty");
  await page.fill("#title", "Қалыпты физиология");
  await page.fill("#discipline", "Физиология");
  await page.fill("#discipline_code", "KF2201");
  await page.click("main form button.primary");
  await page.waitForURL("**/console/exams/*");
  world.exam = page.url();
  await upload(page, "#package", zip(world, "bad/qti"));
  await page.waitForSelector("#faults");
  const files = await page.$$eval("#faults tbody tr td:nth-child(1)", (cells) => cells.map((cell) => cell.textContent));
  for (const item of ["bad-01", "bad-02", "bad-03", "bad-04", "bad-05", "bad-06"]) assert.ok(files.includes(`${item}.xml`), item);
  await clean(world, "test-faults");
}

async function goodTest(world) {
  const { page } = world;
  for (const language of ["kk", "ru"]) {
    await page.goto(world.exam);
    await page.selectOption("#language", language);
    await page.fill("#items", "20");
    await upload(page, "#package", zip(world, language));
    await page.waitForSelector("#preview");
    assert.equal(await page.locator("#preview tbody tr").count(), 20);
    if (language === "kk") await clean(world, "test-preview");
    await page.click("main form button.primary");
    await page.waitForURL("**/console/exams/*");
  }
}

async function makeSitting(world) {
  const { page } = world;
  await page.goto(world.exam);
  const local = (minutes) => new Date(Date.now() + minutes * 60_000 + 5 * 3_600_000).toISOString().slice(0, 16);
  await page.fill("#opens", local(-25));
  await page.fill("#closes", local(120));
  await page.fill("#minutes", "0");
  await clean(world, "exam");
  for (const group of await page.locator("details.group > summary").all()) await group.click();
  await clean(world, "exam-settings");
  await page.fill("#deny", "zoom\n/usr/bin/obs");
  await page.fill("#credit_moving", "601");
  await page.$eval("form.settings", (form) => { form.noValidate = true; });
  await page.click("form[action$=sittings] button.primary");
  await page.waitForSelector("#minutes-wrong");
  assert.equal(await page.inputValue("#minutes"), "0");
  assert.match(await page.textContent("#deny-wrong"), /\/usr\/bin\/obs/);
  assert.match(await page.textContent("#credit_moving-wrong"), /600/);
  await clean(world, "exam-wrong");
  await page.fill("#minutes", "60");
  await page.fill("#deny", "zoom\nobs");
  await page.fill("#credit_moving", "45");
  await page.click("details.group:has(#monitor_microphone) > summary");
  await page.selectOption("#monitor_microphone", "proctor_decides");
  await page.click("details.group:has(#watch_looking_away) > summary");
  await page.selectOption("#watch_looking_away", "low");
  assert.deepEqual(await page.$$eval("#watch_impersonation option", (all) => all.map((one) => one.value)), ["", "low", "normal", "high"]);
  await page.click("form[action$=sittings] button.primary");
  await page.waitForURL("**/console/sittings/*");
  sitting = page.url();
  await page.locator("details.settings-in-force > summary").click();
  assert.match(await page.textContent("details.settings-in-force"), /zoom, obs/);
  assert.match(await page.textContent("details.settings-in-force"), /Төмен/);
  assert.match(await page.textContent("details.settings-in-force"), /Басқа компьютерге көшу: 45/);
  await clean(world, "sitting-settings");
}

async function badAdmission(world) {
  const { page } = world;
  await page.goto(sitting);
  await upload(page, "#file", join(EXAM, "bad", "admission.csv"));
  await page.waitForSelector("#faults");
  assert.ok(await page.locator("#faults tbody tr").count() >= 3);
  await clean(world, "admission-faults");
}

async function goodAdmission(world) {
  const { page } = world;
  await page.goto(sitting);
  await upload(page, "#file", join(EXAM, "admission.csv"));
  await page.waitForSelector("#preview");
  await clean(world, "admission-preview");
  await page.click("main form button.primary");
  await page.waitForURL("**/console/sittings/*");
  assert.equal(await page.locator("#board tbody tr").count(), 11);
  const refused = page.locator("[data-row='alisher.qasymov']");
  assert.match(await refused.textContent(), /жіберілмеген/);
  await page.selectOption("#granted-login", "aruzhan.bekova");
  await page.check("#granted input[name=helper]");
  await page.click("#granted form button");
  await page.waitForSelector("#granted dl");
  assert.match(await page.textContent("#granted dl"), /көмекші/);
  await page.selectOption("#proctor-login", "proctor");
  await page.click("form:has(#proctor-login) button");
  await page.waitForSelector("#proctors li");
  await clean(world, "granted");
}

async function board(world) {
  ids = world.server.fixture("running");
  const { page } = world;
  await page.goto(sitting);
  await page.waitForSelector(".state.running");
  assert.equal(await page.locator(".state.running").count(), 4);
  assert.ok(await page.locator(".badge.late").count() > 0);
  await clean(world, "board");
}

async function languages(world) {
  const { page } = world;
  await page.click(".languages a[hreflang=ru]");
  assert.equal(await page.getAttribute("html", "lang"), "ru");
  assert.match(await page.textContent("h1"), /табло/);
  await page.click(".languages a[hreflang=en]");
  assert.match(await page.textContent("h1"), /board/);
  await clean(world, "board-en");
  await page.click(".languages a[hreflang=kk]");
}

async function roles(world) {
  const answer = await world.page.goto("/console/wall");
  assert.equal(answer.status(), 403);
  await clean(world, "forbidden");
}

async function csrf(world) {
  const answer = await world.context.request.post("/console/exams", { form: { title: "x", discipline: "y", csrf: "wrong" }, maxRedirects: 0 });
  assert.equal(answer.status(), 403);
}

async function proctor(world, options) {
  const page = await signIn(world, "proctor", "proctor-password-1", options);
  await page.waitForURL("**/console/");
  return page;
}

async function feedWall(page) {
  const camera = jpeg("testsrc", 320, 240);
  const screen = jpeg("smptebars", 320, 180);
  await page.routeWebSocket(/\/console\/wall\/live$/, (socket) => {
    for (const attempt of Object.values(ids)) {
      socket.send(thumbnail(attempt, 0, camera));
      socket.send(thumbnail(attempt, 2, screen));
    }
  });
}

async function wall(world) {
  const page = await proctor(world);
  await feedWall(page);
  await page.goto("/console/wall");
  await page.waitForSelector(".tile[data-seen~=camera][data-seen~=screen]");
  const grades = await page.$$eval(".tile", (tiles) => tiles.map((tile) => Number(tile.dataset.attention)));
  assert.equal(grades.length, 6);
  assert.deepEqual(grades, [...grades].sort((a, b) => b - a));
  assert.equal(grades[0], 3);
  await clean(world, "wall-light");
  const name = (await page.textContent(".tile .name")).trim();
  await page.fill("#q", name.slice(0, 6).toUpperCase());
  await page.click("form:has(#q) button");
  await page.waitForSelector(".tile[data-seen~=camera]");
  assert.ok((await page.locator(".tile").count()) < 6);
  assert.equal((await page.textContent(".tile .name")).trim(), name);
  await page.waitForTimeout(2000);
  assert.ok((await page.locator(".tile").count()) < 6, "the facts that come later keep to the search");
  await page.goto("/console/wall");
  await page.waitForSelector(".tile[data-seen~=camera]");
}

async function frozen(world) {
  const { page } = world;
  const order = () => page.$$eval(".tile", (tiles) => tiles.map((tile) => tile.dataset.attempt));
  const before = await order();
  await page.hover(".tile:last-child");
  await page.evaluate(() => { document.querySelector(".wall").append(document.querySelector(".tile")); });
  const moved = await order();
  await page.waitForTimeout(2500);
  assert.deepEqual(await order(), moved);
  await page.mouse.move(2, 2);
  await page.waitForFunction((first) => document.querySelector(".tile").dataset.attempt === first, before[0]);
}

async function darkWall(world) {
  const { page } = world;
  await page.emulateMedia({ colorScheme: "dark" });
  await page.reload();
  await page.waitForSelector(".tile[data-seen~=camera]");
  await clean(world, "wall-dark");
  await page.emulateMedia({ colorScheme: "light" });
}

async function candidate(world) {
  const { page } = world;
  const camera = recording("camera", "testsrc", true);
  const screen = recording("screen", "smptebars", false);
  await page.routeWebSocket(/\/console\/live\//, (socket) => {
    const media = socket.url().includes("camera") ? camera : screen;
    socket.send(media.init);
    // A group of pictures at once, as whoever comes second gets it, then one after the other.
    media.chunks.slice(0, 4).forEach((chunk) => socket.send(chunk));
    let next = 4;
    setInterval(() => socket.send(media.chunks[next++ % media.chunks.length]), 500).unref();
  });
  const attempt = Object.values(ids)[1];
  await page.goto(`/console/attempts/${attempt}`);
  await page.waitForSelector(".source.live[data-state]");
  await page.waitForFunction(() => [...document.querySelectorAll("canvas[data-live]")].every((canvas) => canvas.height === 480));
  const dark = await page.evaluate(() => {
    const canvas = document.querySelector("canvas[data-live]");
    const pixels = canvas.getContext("2d").getImageData(0, 0, 640, 480).data;
    return pixels.every((value, at) => at % 4 === 3 || value < 24);
  });
  assert.equal(dark, false, "the camera's picture is on the canvas");
  await clean(world, "candidate");
}

async function sound(world) {
  const { page } = world;
  // What is heard is what is given to the loudspeaker.
  await page.evaluate(() => {
    window.loudest = 0;
    const start = AudioBufferSourceNode.prototype.start;
    AudioBufferSourceNode.prototype.start = function (...when) {
      for (const value of this.buffer.getChannelData(0)) window.loudest = Math.max(window.loudest, Math.abs(value));
      return start.apply(this, when);
    };
  });
  await page.waitForFunction(() => document.querySelector("meter").value > 5);
  assert.equal(await page.evaluate(() => window.loudest), 0, "nobody listens before the press");
  await page.click("[data-listen]");
  await page.waitForFunction(() => window.loudest > 0.05);
  await page.click("[data-listen]");
  assert.equal(await page.getAttribute("[data-listen]", "aria-pressed"), "false");
}

async function stillBefore(world) {
  const { page } = world;
  const screen = recording("screen", "smptebars", false);
  let server;
  await page.routeWebSocket(/\/console\/live\/.*screen/, (socket) => {
    server = socket;
    socket.send(jpeg("smptebars", 160, 90));
    socket.send(screen.init);
  });
  await page.reload();
  await page.waitForFunction(() => document.querySelectorAll("canvas[data-live]")[1].height === 90);
  const state = page.locator("[data-state]").nth(1);
  assert.doesNotMatch(await state.getAttribute("class"), /live/, "a still is not called live");
  server.send(screen.chunks[0]);
  await page.waitForFunction(() => document.querySelectorAll("canvas[data-live]")[1].height === 480);
  assert.match(await state.getAttribute("class"), /live/);
}

async function message(world) {
  const { page } = world;
  await page.click("summary:has-text('Хабарлама')");
  await page.fill("#text", "Камераңызды түзетіңізші.");
  await page.click("form[action$=message] button");
  await page.waitForSelector(".talk li:has-text('Камераңызды')");
}

async function quietReview(world) {
  const { page } = world;
  await page.goto("/console/reviews");
  await page.waitForSelector("tbody tr");
  assert.equal(await page.locator("tbody tr").count(), 2);
  const first = await page.textContent("tbody tr:first-child");
  assert.match(first, /Камера|Екінші дисплей/, "the attempt with grave moments comes first");
  await clean(world, "reviews");
  await page.selectOption("#verdict", "violation");
  await page.click("form:has(#q) button");
  await page.waitForSelector(".empty");
  await page.goto("/console/reviews");
  await page.fill("#q", "жоқ адам");
  await page.click("form:has(#q) button");
  await page.waitForSelector(".empty");
  await clean(world, "reviews-none");
  await page.goto(`/console/attempts/${Object.values(ids)[7]}/review`);
  await page.check("input[value=passed]");
  await page.click("form[action$='/review'] button.primary");
  await page.waitForSelector(".badge.good");
}

/** Puts a recording of two parts where the server has none: its candidate never was. */
async function recorded(page, attempt) {
  const media = { "camera-0": recording("camera", "testsrc", true), "screen-0": recording("screen", "smptebars", false) };
  const files = {};
  for (const [name, { init, chunks }] of Object.entries(media)) {
    let at = init.length;
    const places = chunks.map((chunk, index) => { const place = [index * 2_000_000, at, chunk.length, 1]; at += chunk.length; return place; });
    files[`${name}.json`] = { init: init.length, len: at, end_us: 20_000_000, chunks: places };
    files[`${name}.mp4`] = Buffer.concat([init, ...chunks]);
  }
  await page.route(/\/recording\/[12]\//, (route) => {
    const name = route.request().url().split("/").at(-1);
    if (name.endsWith(".json")) return route.fulfill({ json: files[name] });
    const [from, to] = route.request().headers().range.slice(6).split("-").map(Number);
    return route.fulfill({ status: 206, contentType: "video/mp4", body: files[name].subarray(from, to + 1) });
  });
  await page.route(`**/console/attempts/${attempt}/review*`, async (route) => {
    if (route.request().method() !== "GET") return route.continue();
    const answer = await route.fetch();
    const figure = (part, name) => `<figure class="view" data-epoch="${part}" data-began="${part === 1 ? 0 : 30}" ${part === 1 ? "" : "hidden"}><video data-recording="/console/attempts/${attempt}/recording/${part}/${name}-0" playsinline muted aria-label="${name}"></video><p class="gap-note" hidden>Жазылмаған</p><figcaption>${name}</figcaption></figure>`;
    const picker = (part) => `<button type="button" data-part="${part}" aria-pressed="${part === 1}">${part}-бөлік · 10:0${part}:00</button>`;
    const body = (await answer.text())
      .replace(/<div class="panel below"><p class="quiet">[^<]*<\/p><\/div>/, figure(1, "camera") + figure(1, "screen") + figure(2, "camera") + figure(2, "screen"))
      .replace('<div class="timeline"', `<div class="row parts" role="group" aria-label="Жазба бөліктері">${picker(1)}${picker(2)}</div><div class="timeline"`);
    return route.fulfill({ response: answer, body });
  });
}

const READY = "[data-review][data-ready='4']";

async function review(world) {
  const { page } = world;
  const attempt = Object.values(ids)[6];
  await recorded(page, attempt);
  await page.goto(`/console/attempts/${attempt}/review`);
  await page.waitForSelector(READY);
  await page.keyboard.press("j");
  await page.waitForFunction(() => document.querySelector("video").currentTime > 1.2);
  await page.selectOption("#rate", "4");
  await page.waitForTimeout(600);
  const apart = await page.$$eval("figure[data-epoch='1'] video", ([a, b]) => Math.abs(a.currentTime - b.currentTime));
  assert.ok(apart < 1, `in step within a second at 4×, apart ${apart}`);
  await clean(world, "review");
  await judging(page);
  await sifting(page);
  await clean(world, "review-judged");
  await page.reload();
  await page.waitForSelector(READY);
  assert.equal(await page.locator("button[aria-pressed=true][value]").count(), 3);
  assert.equal(await page.inputValue("[data-incident][data-kind=second_display] input[name=note]"), "екінші экран");
}

/** By key alone: judge, go on with the next, note, and see what an act would state. */
async function judging(page) {
  const current = () => page.getAttribute("[data-incident][aria-current=true]", "data-kind");
  const judged = (kind, verdict) => page.waitForSelector(`[data-incident][data-kind=${kind}][data-verdict=${verdict}]`);
  const address = page.url();
  assert.equal(await current(), "window_switch");
  assert.match(await page.textContent("[data-fresh=act]"), /ештеңе расталған жоқ/);
  await page.keyboard.press("c");
  await judged("window_switch", "confirmed");
  assert.equal(await current(), "camera_covered", "the next unjudged one follows");
  assert.equal(await page.locator("[data-mark].confirmed").count(), 1);
  assert.match(await page.textContent("[data-fresh=act]"), /Басқа терезеге ауысу/);
  await page.keyboard.press("d");
  await judged("camera_covered", "dismissed");
  assert.equal(await current(), "second_display");
  await page.keyboard.press("n");
  await page.keyboard.type("екінші экран");
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("[data-incident][data-verdict='']").count(), 1, "a note judges nothing");
  await page.keyboard.press("c");
  await judged("second_display", "confirmed");
  assert.match(await page.textContent("[data-fresh=act]"), /басқа компьютер экранынан/);
  assert.match(await page.textContent("[data-told]"), /бағаланды/);
  assert.equal(page.url(), address, "nothing was loaded anew");
  assert.equal(await page.$eval("figure[data-epoch='1'] video", (video) => video.currentTime > 0), true);
}

/** The list is sifted by kind, verdict and severity, and keys step through what is left. */
async function sifting(page) {
  const shown = () => page.$$eval("[data-incident]", (items) => items.filter((one) => !one.hidden).map((one) => one.dataset.kind));
  await page.selectOption("#filter-verdict", "dismissed");
  await page.keyboard.press("Escape");
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("k");
  assert.deepEqual(await shown(), ["camera_covered"]);
  assert.match(await page.textContent("[data-filter] output"), /3 ішінен 1/);
  assert.equal(await page.locator("[data-mark]:not([hidden])").count(), 1);
  await page.selectOption("#filter-verdict", "");
  await page.selectOption("#filter-grade", "3");
  assert.deepEqual(await shown(), ["camera_covered", "second_display"]);
  await page.selectOption("#filter-kind", "second_display");
  await page.evaluate(() => document.activeElement.blur());
  await page.keyboard.press("j");
  assert.deepEqual(await shown(), ["second_display"]);
  await page.selectOption("#filter-kind", "");
  await page.selectOption("#filter-grade", "1");
}

async function reviewParts(world) {
  const { page } = world;
  await page.goto(`/console/attempts/${Object.values(ids)[6]}/review`);
  await page.waitForSelector(READY);
  const shown = () => page.$$eval("figure[data-epoch]", (figures) => figures.filter((one) => !one.hidden).map((one) => one.dataset.epoch));
  assert.deepEqual(await shown(), ["1", "1"]);
  assert.equal(await page.locator(".timeline .gap").count(), 1, "the time between the parts is marked");
  assert.match(await page.textContent(".player output"), /\/ 00:00:50/);
  await page.click("[data-part='2']");
  assert.deepEqual(await shown(), ["2", "2"]);
  assert.match(await page.textContent(".player output"), /^00:00:30/);
  await page.click("[data-part='1']");
  await page.locator("#seek").evaluate((bar) => { bar.value = "18.5"; bar.dispatchEvent(new Event("input")); });
  await page.click("[data-play]");
  await page.waitForFunction(() => {
    const [one] = document.querySelectorAll("figure[data-epoch='2'] video");
    return !one.closest("figure").hidden && one.currentTime > 0.5;
  });
  assert.deepEqual(await shown(), ["2", "2"], "playing goes on with the next part");
  await clean(world, "review-parts");
}

/** A screen that stands still sends nothing for a while, and what then changes must be seen. */
async function stillScreen(world) {
  const data = join(TREE, "protocol", "src", "media", "data");
  const media = ["camera-init.mp4", "camera-chunk.m4s"].map((name) => [...readFileSync(join(data, name))]);
  const seen = await world.page.evaluate(async ([head, body]) => {
    const { mime, samples, stretch, tracks } = await import("/console/assets/cmaf.js");
    const [init, chunk] = [new Uint8Array(head), new Uint8Array(body)];
    const known = tracks(init);
    const before = samples(chunk, known).filter((one) => one.track.kind === "video").at(-1);
    stretch(chunk, known, before.time + 9_000_000);
    const after = samples(chunk, known).filter((one) => one.track.kind === "video").at(-1);
    const video = document.createElement("video");
    const source = new MediaSource();
    video.src = URL.createObjectURL(source);
    await new Promise((done) => source.addEventListener("sourceopen", done, { once: true }));
    const buffer = source.addSourceBuffer(mime(known));
    let problem = "";
    for (const bytes of [init, chunk]) {
      await new Promise((done) => {
        buffer.addEventListener("updateend", done, { once: true });
        buffer.addEventListener("error", () => { problem = "refused"; }, { once: true });
        buffer.appendBuffer(bytes);
      });
    }
    return { from: before.duration, to: after.duration, ranges: buffer.buffered.length, problem };
  }, media);
  assert.ok(seen.from <= 500_000 && Math.abs(seen.to - 9_000_000) < 1000, JSON.stringify(seen));
  assert.deepEqual([seen.ranges, seen.problem], [1, ""], JSON.stringify(seen));
}

async function contradiction(world) {
  const { page } = world;
  await page.check("input[value=passed]");
  await page.click("form[action$='/review'] button.primary");
  await page.waitForSelector("[role=alert]");
  assert.match(await page.textContent("[role=alert]"), /Расталған сәт бар/);
  await page.check("input[value=violation]");
  await page.click("form[action$='/review'] button.primary");
  await page.waitForSelector(".badge.person");
}

async function act(world) {
  const { page } = world;
  const end = Date.now() + 20_000;
  for (;;) {
    await page.click("form[action$='/act'] button");
    await page.click("#ask button[value=yes]");
    await page.waitForSelector("[role=alert], .note[role=status]");
    if (await page.locator(".note[role=status]").count() > 0) break;
    assert.match(await page.textContent("[role=alert]"), /мөрленбеді/);
    assert.ok(Date.now() < end, "the recording is sealed in time");
    await page.waitForTimeout(1000);
  }
  await clean(world, "act-made");
  await page.goto("/console/acts");
  await clean(world, "acts");
  const href = await page.getAttribute("tbody a[href^='/console/acts/']", "href");
  const answer = await world.context.request.get(href);
  const pdf = await answer.body();
  assert.equal(pdf.subarray(0, 5).toString(), "%PDF-");
  const verify = await page.getAttribute("a[href^='/verify/']", "href");
  const open = await newPage(world);
  await open.goto(verify);
  const text = await open.textContent("main");
  assert.ok(text.includes(createHash("sha256").update(pdf).digest("hex")), "the page tells the PDF's hash");
  assert.ok(text.includes("1-"), "and its number");
  assert.ok(!text.includes("Мадина") && !text.includes("Олжас"), "and no name");
  await clean(world, "verify");
}

async function noScripts(world) {
  const page = await signIn(world, "centre", "centre-password-1", { javaScriptEnabled: false });
  await page.goto("/console/people");
  await page.setInputFiles("#file", join(EXAM, "candidates.csv"));
  await page.click("form:has(#file) button.primary");
  assert.equal(await page.locator("#preview tbody tr").count(), 12);
}
