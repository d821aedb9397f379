/**
 * One entry of the trail: a line, and behind it everything that is written.
 */

import { h, replace } from "../../dom.js";
import { count, dateTime } from "../../format.js";
import { momentElement } from "../../moments.js";
import { copyable, table, tag } from "../../ui.js";
import { textBlock, visible } from "../shadow/visible.js";
import { changesOf } from "./changes.js";

const LOOKS = [
  [/failed|abort|rolledBack|rollback|tripped|refused|notRestarted/i, "bad", "alert"],
  [/pause|held|set|override/i, "wait", "hand"],
  [/promot|completed|resumed|switch|started|released|cleared/i, "busy", "forward"],
];

/**
 * @param {Object} entry  as the API tells it
 * @param {{open?: boolean}} [how]
 * @returns {HTMLElement} a list item
 */
export function entryItem(entry, { open = false } = {}) {
  const { sequence, time, actor, action, route, reason } = entry;
  const place = h("div", { class: "entry-more" });
  const summary = h(
    "summary",
    { data: { key: `entry-${sequence}` } },
    h("span", { class: "entry-line" },
      h("span", { class: "entry-number muted" }, `#${count(sequence)}`),
      momentElement(time),
      tag(action, ...look(action)),
      h("span", { class: "entry-route" }, route ?? "–"),
      h("span", { class: "entry-actor" }, visible(actor.name)),
      h("span", { class: "entry-reason" }, visible(reason))),
  );
  const details = h("details", { open }, summary, place);
  // What nobody has opened is not built: a page has 100 entries.
  const build = () => details.open && place.childElementCount === 0 && replace(place, more(entry));
  details.addEventListener("toggle", build);
  if (open) build();
  return h("li", { class: "entry" }, details);
}

function look(action) {
  const found = LOOKS.find(([pattern]) => pattern.test(action));
  return found ? found.slice(1) : ["calm", "dot"];
}

function more(entry) {
  const { sequence, time, actor, route, generation, before, after, evidence, previous, hash } = entry;
  return [
    h(
      "dl",
      { class: "fields" },
      field("when", dateTime(time)),
      field("who", visible(`${actor.name} (${actor.role}) from ${actor.address || "this host"}`)),
      route && field("route", h("a", { href: `#/routes/${encodeURIComponent(route)}` }, route)),
      field("generation", generation === null ? "the routing table stayed the same" : h("a", { href: `#/audit?generation=${generation}` }, `made generation ${count(generation)}`)),
      field("link", h("a", { href: `#/audit?sequence=${sequence}` }, `to entry ${count(sequence)}`)),
    ),
    changesTable(before, after),
    evidence !== null && evidence !== undefined && [h("h3", null, "Evidence"), textBlock(JSON.stringify(evidence, null, 2), "Evidence")],
    h("dl", { class: "fields" }, field("hash", copyable(hash, `${hash.slice(0, 16)}…`)), field("previous", copyable(previous, `${previous.slice(0, 16)}…`))),
  ];
}

function field(name, value) {
  return [h("dt", null, name), h("dd", null, value)];
}

function changesTable(before, after) {
  const { changes, more: cut } = changesOf(before, after);
  if (changes.length === 0) return h("p", { class: "muted" }, "It changed nothing of the state.");
  const columns = [
    { title: "What", cell: ({ path }) => h("code", null, visible(path)) },
    { title: "Before", cell: ({ before: value }) => visible(value) },
    { title: "After", cell: ({ after: value }) => h("b", null, visible(value)) },
  ];
  return [table({ caption: "What it changed", columns, rows: changes }), cut && h("p", { class: "hint" }, "There is more that changed; the API has all of it.")];
}
