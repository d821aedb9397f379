/**
 * One generation of the routing table: which weights it moved, and the entries that made it.
 */

import { h, replace } from "../../dom.js";
import { count, dateTime, percent } from "../../format.js";
import { problemNotice, table, waiting } from "../../ui.js";
import { entryItem } from "./entry.js";

/**
 * @param {{api: Object, number: number}} how
 * @returns {HTMLElement}
 */
export function generationPart({ api, number }) {
  const place = h("div", { class: "stack-gap" }, waiting());
  const head = h("div", { class: "card-head" }, h("h2", null, `Generation ${count(number)}`), number > 1 && h("a", { href: `#/audit?generation=${number - 1}` }, `← ${count(number - 1)}`), h("a", { href: `#/audit?generation=${number + 1}` }, `${count(number + 1)} →`), h("a", { href: "#/audit" }, "All entries"));
  api.get(`generations/${number}`).then(
    (found) => replace(place, whole(found)),
    (problem) => replace(place, problemNotice(problem)),
  );
  return h("section", { class: "card found", "aria-label": `Generation ${number}` }, head, place);
}

function whole({ time, routesChanged, routes, entries }) {
  const columns = [
    { title: "Route", cell: ({ route }) => h("a", { href: `#/routes/${encodeURIComponent(route)}` }, route) },
    { title: "Before", cell: ({ before }) => weights(before) },
    { title: "After", cell: ({ after }) => h("b", null, weights(after)) },
  ];
  const some = routes.length < routesChanged ? `, ${count(routes.length)} of them here` : "";
  return [
    h("p", { class: "muted" }, `${dateTime(time)} · ${count(routesChanged)} ${routesChanged === 1 ? "route" : "routes"} changed${some}`),
    table({ caption: "Weights that it moved", columns, rows: routes, empty: "No weight moved." }),
    entries.length > 0 && h("ol", { class: "entries" }, entries.map((entry) => entryItem(entry, { open: entries.length === 1 }))),
  ];
}

function weights(found) {
  if (found === null) return "the route was not there";
  return Object.entries(found).map(([version, share]) => `${version} ${percent(share)}`).join(", ");
}
