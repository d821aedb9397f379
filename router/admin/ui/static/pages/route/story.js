/**
 * Why the controller, or a person, did what was done: the newest entries of the route's trail.
 */

import { h, replace } from "../../dom.js";
import { percent } from "../../format.js";
import { momentElement } from "../../moments.js";

const SHOWN = 20;

/**
 * @param {string} name  the route's
 * @returns {{element: HTMLElement, show: (found: Object) => void}}
 */
export function storyPart(name) {
  const place = h("div");
  const all = h("a", { href: `#/audit?route=${encodeURIComponent(name)}` }, "All of it");
  const head = h("div", { class: "card-head" }, h("h2", { id: "story-title" }, "What happened, and why"), all);
  const element = h("section", { class: "card", "aria-labelledby": "story-title" }, head, place);
  let newest = null;

  function show({ entries }) {
    if (entries[0]?.sequence === newest) return;
    newest = entries[0]?.sequence ?? null;
    replace(place, entries.length > 0 ? h("ol", { class: "story" }, entries.slice(0, SHOWN).map((entry) => item(entry, name))) : h("p", { class: "muted" }, "Nothing yet."));
  }

  return { element, show };
}

function item({ sequence, time, action, actor, reason, before, after, evidence }, route) {
  const href = `#/audit?route=${encodeURIComponent(route)}&sequence=${sequence}`;
  const measured = measurements(evidence);
  return h(
    "li",
    null,
    momentElement(time),
    h(
      "div",
      { class: "what" },
      h("div", null, reason || action),
      h(
        "div",
        { class: "moved" },
        h("a", { href, data: { key: `entry-${sequence}` } }, action),
        h("span", null, `by ${actor.name}`),
        moves(before?.weights, after?.weights).map((text) => h("span", null, text)),
        measured.map((text) => h("span", null, text)),
      ),
    ),
  );
}

function moves(before = {}, after = {}) {
  return Object.keys({ ...before, ...after })
    .filter((version) => (before[version] ?? 0) !== (after[version] ?? 0))
    .map((version) => `${version} ${percent(before[version] ?? 0)} → ${percent(after[version] ?? 0)}`);
}

/** What was measured, where the entry tells it in plain numbers. */
function measurements(evidence) {
  if (evidence === null || typeof evidence !== "object") return [];
  return Object.entries(evidence)
    .filter(([key, value]) => ["number", "string"].includes(typeof value) && !key.endsWith("_bp") && String(value).length < 80)
    .slice(0, 5)
    .map(([key, value]) => `${key}: ${value}`);
}
