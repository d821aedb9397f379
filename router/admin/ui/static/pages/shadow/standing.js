/**
 * Which shadow is in force, who wants one, and what became of the copies.
 */

import { h, replace } from "../../dom.js";
import { count, moment, percent } from "../../format.js";
import { table, tag, versionLabel } from "../../ui.js";

const BY = { person: "set by a person", rollout: "by a step of the rollout", configuration: "by the configuration" };

const COPIES = [
  { title: "Copies to", cell: ({ version, role }) => versionLabel({ name: version, role }) },
  { title: "Sampled", class: "number", cell: ({ sampled }) => count(sampled), hint: "requests that were chosen to be copied" },
  { title: "Answered", class: "number", cell: ({ answered }) => count(answered), hint: "with a whole answer, status below 500" },
  { title: "Error", class: "number", cell: ({ error }) => count(error), hint: "refused, reset, cut off, or status 5xx" },
  { title: "Timeout", class: "number", cell: ({ timeout }) => count(timeout) },
  { title: "Dropped", class: "number", cell: ({ dropped }) => count(sum(dropped)), hint: "beyond a bound: no client notices" },
  { title: "Why dropped", cell: ({ dropped }) => reasons(dropped) },
  { title: "On their way", class: "number", cell: ({ inFlight }) => count(inFlight) },
];

/** @returns {{element: HTMLElement, show: (found: Object) => void}} */
export function standingPart() {
  const now = h("div", { class: "stack-gap" });
  const copies = h("div");
  const element = h("div", { class: "stack-gap" }, now, copies);
  let told = "";

  function show({ shadow, route }) {
    const next = JSON.stringify(shadow);
    if (next === told) return;
    told = next;
    replace(now, inForce(shadow), wishes(shadow));
    const rows = (shadow.copies ?? []).map((each) => ({ ...each, role: roleOf(each.version, route) }));
    replace(copies, rows.length > 0 && table({ caption: "What became of the copies", columns: COPIES, rows }));
  }

  return { element, show };
}

function inForce({ shadow, why, limits }) {
  if (shadow === null) {
    return h("div", { class: "now-line" }, tag("Nothing is copied", "calm", "stop"), h("span", { class: "what" }, why));
  }
  const twins = limits.noisePercent > 0 ? `stable answers ${percent(limits.noisePercent)} of them a second time` : "stable answers none a second time: noise is not known";
  return h(
    "div",
    { class: "now-line" },
    tag("Copying", "busy", "copy"),
    h("span", { class: "what" }, `${percent(shadow.percent)} of stable's requests to `, h("b", null, shadow.version), ` · ${BY[shadow.by] ?? shadow.by} · ${twins}`),
  );
}

function wishes({ override, step, configured }) {
  const said = [
    override && `${override.holder} set ${copying(override)} at ${moment(override.since)}: ${override.reason}`,
    step && `the rollout's step wants ${copying(step)}`,
    configured && `the configuration wants ${copying(configured)}`,
  ].filter(Boolean);
  // With one voice there is nothing to weigh; a person's reason is always worth its line.
  if (said.length < 2 && !override) return null;
  return h("ol", { class: "wishes" }, said.map((text, index) => h("li", { class: index === 0 ? "strong" : "muted" }, text, index === 0 ? " (this one is heard)" : "")));
}

function copying({ version, percent: share }) {
  return share > 0 ? `${percent(share)} to ${version}` : "no copies";
}

function roleOf(version, route) {
  const role = route.versions.find(({ name }) => name === version)?.role ?? "shadow";
  return role === "stable" ? "stable" : role;
}

function sum(dropped) {
  return Object.values(dropped).reduce((all, number) => all + number, 0);
}

function reasons(dropped) {
  const said = Object.entries(dropped).filter(([, number]) => number > 0);
  return said.length > 0 ? said.map(([reason, number]) => `${reason} ${count(number)}`).join(", ") : "–";
}
