/**
 * What a dry run has found: the weights before and after, and what else would be another.
 */

import { h } from "../../dom.js";
import { percent } from "../../format.js";
import { table, weightBar } from "../../ui.js";

const COLUMNS = [
  { title: "Version", cell: ({ version }) => version },
  { title: "Now", class: "number", cell: ({ before }) => percent(before) },
  { title: "Then", class: "number", cell: ({ after }) => h("b", null, percent(after)) },
];

/**
 * @param {Object} answer  of `?dryRun=true`
 * @param {Object} route  as it is, for the roles
 * @returns {*[]}
 */
export function previewOf({ changes, before, after }, route) {
  const said = sentences(before, after);
  return [
    h("h3", null, "What it changes"),
    changes.length > 0
      ? [
          h("div", { class: "compare" },
            h("span", { class: "muted" }, "now"), bar(before, "Traffic now"),
            h("span", { class: "muted" }, "then"), bar(after, "Traffic then"),
          ),
          table({ caption: "Weights now and then", columns: COLUMNS, rows: changes, stack: false }),
        ]
      : h("p", null, "The weights stay as they are."),
    said.length > 0 && h("ul", null, said.map((text) => h("li", null, text))),
  ];

  function bar({ weights, stable }, label) {
    const versions = Object.entries(weights).map(([name, weight]) => ({ name, weight, role: roleOf(name, stable, route) }));
    versions.sort((a, b) => (b.name === before.stable) - (a.name === before.stable));
    return weightBar(versions, { legend: false, label });
  }
}

function roleOf(name, stable, route) {
  if (name === stable) return "stable";
  const role = route.versions.find((version) => version.name === name)?.role ?? "canary";
  return role === "stable" ? "canary" : role;
}

function sentences(before, after) {
  return [
    before.stable !== after.stable && `stable: ${before.stable} → ${after.stable}`,
    moved("rollout", phaseOf(before), phaseOf(after)),
    moved("release given up", before.rejected, after.rejected),
    moved("weights held by", before.override?.holder, after.override?.holder),
    moved("shadow", copiesOf(before), copiesOf(after)),
  ].filter(Boolean);
}

function moved(name, before, after) {
  const [was, is] = [before ?? "none", after ?? "none"];
  return was === is ? null : `${name}: ${was} → ${is}`;
}

function copiesOf({ shadow }) {
  return shadow ? `${percent(shadow.percent)} to ${shadow.version}` : null;
}

function phaseOf({ rollout }) {
  if (!rollout) return null;
  const walking = ["Progressing", "Paused"].includes(rollout.phase) && typeof rollout.step === "number";
  const step = walking ? `, step ${rollout.step + 1}` : "";
  return `${rollout.phase}${step} (${rollout.target})`;
}
