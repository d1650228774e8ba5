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
