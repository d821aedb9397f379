/**
 * How far the newest restart of the workers is.
 */

import { h, replace } from "../../dom.js";
import { notice, table, tag } from "../../ui.js";

/** How a stage looks and reads; docs/api.md has what each means. */
const STAGES = {
  waiting: ["waiting", "calm", "clock"],
  starting: ["starting", "busy", "play"],
  draining: ["draining", "busy", "forward"],
  done: ["done", "good", "check"],
  failed: ["failed", "bad", "cross"],
};
const COLUMNS = [
  { title: "Worker", cell: ({ worker }) => h("b", null, worker) },
  { title: "Stage", cell: ({ stage }) => tag(...(STAGES[stage] ?? [stage])) },
  { title: "Old process", class: "number", cell: ({ oldPid }) => oldPid ?? "–" },
  { title: "New process", class: "number", cell: ({ newPid }) => newPid ?? "–" },
];

/** @returns {{element: HTMLElement, show: (restarted: Object) => void}} */
export function restartPart() {
  const element = h("section", { class: "card", "aria-labelledby": "restart-title", hidden: true });
  let told = "";

  function show(restarted) {
    const next = JSON.stringify(restarted);
    if (next === told) return;
    told = next;
    element.hidden = restarted.stage === "none";
    if (!element.hidden) replace(element, whole(restarted));
  }

  return { element, show };
}

function whole({ stage, by, reason, workers, problem }) {
  const over = workers.filter((each) => each.stage === "done").length;
  return [
    h("div", { class: "card-head" }, h("h2", { id: "restart-title" }, "Restart of the workers"), tag(...(STAGES[stage] ?? [stage]))),
    h("p", { role: "status" }, `${over} of ${workers.length} workers are replaced · `, h("span", { class: "muted" }, `${by}: ${reason}`)),
    h("progress", { max: Math.max(1, workers.length), value: over, "aria-label": "Workers replaced" }),
    problem && notice("problem", problem),
    table({ caption: "The workers", columns: COLUMNS, rows: workers }),
  ];
}
