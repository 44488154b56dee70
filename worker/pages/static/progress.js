// Brings the counts up to date while the page is looked at.
"use strict";
const EVERY_MS = 5000;

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch("/api/batches", { headers: { accept: "application/json" } });
  if (!answer.ok) return;
  for (const each of (await answer.json()).batches) {
    const line = document.querySelector(`[data-batch="${CSS.escape(each.batch)}"]`);
    if (line === null) continue;
    const total = Object.values(each.counts).reduce((sum, count) => sum + count, 0);
    const ended = total - each.counts.queued - each.counts.running;
    const bar = line.querySelector("progress");
    bar.max = total || 1;
    bar.value = ended;
    line.querySelector(".share").textContent =
      `${ended} of ${total}` + (each.intake_done ? "" : ", more to come");
    for (const cell of line.querySelectorAll("[data-status]")) {
      const count = String(each.counts[cell.dataset.status]);
      const link = cell.querySelector("a");
      (link ?? cell).textContent = count;
    }
  }
}
setInterval(() => refresh().catch(() => {}), EVERY_MS);
