/**
 * Every version of the route with what stands behind it: weight, streams that drain, endpoints.
 */

import { h, replace } from "../../dom.js";
import { count, moment, percent } from "../../format.js";
import { icon } from "../../icons.js";
import { table, tag, versionLabel } from "../../ui.js";

const COLUMNS = [
  { title: "Version", cell: (version) => [versionLabel(version), notes(version)] },
  { title: "Weight", class: "number", cell: weight },
  { title: "In flight", class: "number", cell: ({ inFlight }) => count(inFlight) },
  { title: "Endpoints", cell: ({ endpoints }) => h("ul", null, endpoints.map(endpoint)) },
];

/** @returns {{element: HTMLElement, show: (found: Object) => void}} */
export function versionsPart() {
  const place = h("div");
  const title = h("h2", { id: "versions-title" }, "Versions");
  const element = h("section", { class: "card", "aria-labelledby": "versions-title" }, title, place);
  const show = ({ route }) => replace(place, table({ caption: "Versions", columns: COLUMNS, rows: [...route.versions].sort((a, b) => (b.role === "stable") - (a.role === "stable")) }));
  return { element, show };
}

function weight({ weight: now, wanted }) {
  const differs = wanted !== null && wanted !== now;
  return [h("b", null, percent(now)), differs && h("div", { class: "muted small" }, `controller: ${percent(wanted)}`)];
}

function notes({ model, tripped, drainUntil, warmUntil, lineage }) {
  const said = [
    model && `model ${model}`,
    warmUntil && `warm until ${moment(warmUntil)}`,
    drainUntil && `drains until ${moment(drainUntil)}`,
    ...Object.entries(lineage ?? {}).map(([key, value]) => `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`),
  ].filter(Boolean);
  return [
    tripped && h("div", { class: "sick small" }, icon("alert"), ` taken out of the split: ${tripped}`),
    said.map((text) => h("div", { class: "muted small" }, text)),
  ];
}

function endpoint({ url, healthy, healthyWorkers, workers, reasons }) {
  const state = healthy ? tag("healthy", "good", "check") : tag(`${count(healthyWorkers)} of ${count(workers)} workers`, "bad", "cross");
  return h(
    "li",
    { class: "endpoint" },
    h("div", { class: "row" }, h("code", null, url), state),
    reasons.map((reason) => h("div", { class: "sick small" }, reason)),
  );
}
