// Starts what a page needs; every page works as plain HTML without it, but for moving pictures.
const wall = document.querySelector("[data-facts]");
if (wall) import("./wall.js").then((module) => module.start(wall));
if (document.querySelector("canvas[data-live]")) import("./live.js").then((module) => module.start(document));
const stage = document.querySelector("[data-review]");
if (stage) import("./review.js").then((module) => module.start(stage));

// What loses something is asked for once more, in the words of the button's own form.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const words = form.dataset.ask;
  if (!words || form.dataset.sure) return;
  event.preventDefault();
  const dialog = document.querySelector("#ask");
  dialog.querySelector("p").textContent = words;
  dialog.returnValue = "";
  dialog.showModal();
  dialog.addEventListener("close", () => {
    if (dialog.returnValue !== "yes") return;
    form.dataset.sure = "yes";
    form.requestSubmit(event.submitter);
  }, { once: true });
});

// What takes its time says so and is sent once.
document.addEventListener("submit", (event) => {
  const form = event.target;
  const words = form.dataset.busy;
  if (!words || event.defaultPrevented) return;
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  const said = document.createElement("p");
  said.className = "quiet";
  said.setAttribute("role", "status");
  form.append(said);
  // A reader tells what changes in a place that it knows already.
  setTimeout(() => { said.textContent = words; });
});

// A page that is gone back to was sent, and may be sent again.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  for (const form of document.querySelectorAll("form[data-busy]")) {
    for (const button of form.querySelectorAll("button")) button.disabled = false;
    form.querySelector("p[role=status]")?.remove();
  }
});
