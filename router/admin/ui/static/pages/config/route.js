/**
 * One route: in a line whether it runs as declared, and behind it both sides.
 */

import { h, replace } from "../../dom.js";
import { percent } from "../../format.js";
import { momentElement } from "../../moments.js";
import { badge, table, tag } from "../../ui.js";
import { visible } from "../shadow/visible.js";

/**
 * @param {Object} route  as the API tells it
 * @param {{open?: boolean}} [how]
 * @returns {HTMLElement} a list item
 */
export function routeItem({ name, declared, running, differences }, { open = false } = {}) {
  const place = h("div", { class: "stack-gap declared-more" });
  const details = h(
    "details",
    { open },
    h(
      "summary",
      { data: { key: `declared-${name}` } },
      h("span", { class: "row" }, h("span", { class: "route-name" }, name), badge(running.phase), differences.length === 0 ? tag("as declared", "good", "check") : tag(differences.length === 1 ? "1 difference" : `${differences.length} differences`, "wait", "alert")),
      differences.length > 0 && h("ul", { class: "differences" }, differences.map((text) => h("li", null, visible(text)))),
    ),
    place,
  );
  const build = () => details.open && place.childElementCount === 0 && replace(place, whole(name, declared, running));
  details.addEventListener("toggle", build);
  if (open) build();
  return h("li", null, details);
}

function whole(name, declared, running) {
  const rows = [
    ["stable", declared.release ?? "whatever is", running.stable],
    ["weights", declared.initialWeights === null ? "by the strategy" : weights(declared.initialWeights), weights(running.weights)],
    ["strategy", declared.strategy, running.phase],
    ["shadow", copies(declared.shadow), copies(running.shadow)],
    ["held by a person", "–", running.override && held(running.override)],
    ["given up", "–", running.rejected ?? "–"],
  ];
  const columns = [
    { title: "What", cell: ([what]) => h("b", null, what) },
    { title: "Declared", cell: ([, value]) => visible(value) },
    { title: "Running", cell: ([, , value]) => (typeof value === "string" ? visible(value) : value ?? "–") },
  ];
  const versions = [
    { title: "Version", cell: ([version]) => h("b", null, version) },
    { title: "Weight", class: "number", cell: ([version]) => percent(running.weights[version] ?? 0) },
    { title: "Model", cell: ([, { model }]) => (model === null ? "as asked for" : h("code", null, visible(model))) },
    { title: "Endpoints", cell: ([, { endpoints }]) => h("ul", null, endpoints.map((url) => h("li", null, h("code", null, visible(url))))) },
  ];
  return [
    table({ caption: `${name}: declared and running`, columns, rows }),
    table({ caption: `Versions of ${name}`, columns: versions, rows: Object.entries(declared.versions) }),
    h("p", { class: "row" }, h("a", { href: `#/routes/${encodeURIComponent(name)}` }, `Look at ${name}`), h("a", { href: `#/audit?route=${encodeURIComponent(name)}` }, "What happened to it")),
  ];
}

function weights(shares) {
  return Object.entries(shares).map(([version, share]) => `${version} ${percent(share)}`).join(", ") || "–";
}

function copies(shadow) {
  if (shadow === null) return "–";
  return `${percent(shadow.percent)} to ${shadow.version}${shadow.by ? ` (${shadow.by})` : ""}`;
}

function held({ holder, expires, reason }) {
  return [visible(holder), ", until ", expires === null ? "released" : momentElement(expires), `: ${visible(reason)}`];
}
