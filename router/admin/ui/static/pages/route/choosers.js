/**
 * What a command asks beside the reason: a version, or how the traffic is shared out.
 *
 * @typedef {{element: ?HTMLElement, first: ?HTMLElement, body: () => Object,
 *   problem: () => ?string}} Chooser  `problem`: why it cannot be asked yet
 */

import { h } from "../../dom.js";
import { percent } from "../../format.js";
import { versionLabel } from "../../ui.js";
import { others } from "./commands.js";
import { stableFirst } from "./now.js";

const EXPIRIES = [[600, "in 10 minutes"], [3_600, "in 1 hour"], [28_800, "in 8 hours"], [null, "when they are released"]];

/**
 * @param {Object} command
 * @param {Object} found  route and rollout as they are
 * @param {() => void} onChange
 * @returns {Chooser}
 */
export function chooserFor(command, found, onChange) {
  if (command.chooser) return command.chooser(found, onChange);
  if (command.asks === "version") return versionChooser(others(found), found.rollout.target, onChange);
  if (command.asks === "target") return versionChooser(others(found), found.rollout.release, onChange);
  if (command.asks === "weights") return weightsChooser(found.route, onChange);
  return { element: null, first: null, body: () => ({}), problem: () => null };
}

function versionChooser(names, proposed, onChange) {
  const options = names.map((name) => h("option", { value: name, selected: name === proposed }, name));
  const select = h("select", { id: "to", on: { change: onChange } }, options);
  const element = h("div", { class: "field" }, h("label", { for: "to" }, "Version"), select);
  return { element, first: select, body: () => ({ to: select.value }), problem: () => null };
}

function weightsChooser({ versions }, onChange) {
  const fields = stableFirst(versions).map((version, index) => shareField(version, index, changed));
  const total = h("p", { class: "hint", role: "status" });
  const expiry = h("select", { id: "expires", on: { change: onChange } }, EXPIRIES.map(([value, text]) => h("option", { value: value ?? "" }, text)));
  const element = h(
    "div",
    { class: "stack-gap" },
    h("fieldset", { class: "shares" }, h("legend", null, "Percent of the traffic"), fields.map(({ element: row }) => row), total),
    h("div", { class: "field" }, h("label", { for: "expires" }, "The controller takes over again"), expiry),
  );
  tellTotal();

  function changed(index) {
    // Of two versions the other one gets the rest: what else could be meant?
    if (fields.length === 2) fields[1 - index].set(round(100 - fields[index].get()));
    tellTotal();
    onChange();
  }

  function sum() {
    return round(fields.reduce((all, field) => all + field.get(), 0));
  }

  function tellTotal() {
    total.textContent = sum() === 100 ? "Together 100 %." : `Together ${percent(sum())}: it must be 100 %.`;
  }

  function body() {
    const weights = Object.fromEntries(fields.map((field) => [field.name, field.get()]));
    return { weights, ...(expiry.value && { expiresSeconds: Number(expiry.value) }) };
  }

  return { element, first: fields[0].input, body, problem: () => (sum() === 100 ? null : "The weights are not 100 % together yet.") };
}

function shareField(version, index, onChange) {
  const id = `share-${index}`;
  const range = h("input", { type: "range", min: 0, max: 100, step: 1, value: version.weight, "aria-hidden": "true", tabindex: "-1" });
  const input = h("input", { id, type: "number", min: 0, max: 100, step: 0.01, value: version.weight, required: true });
  range.addEventListener("input", () => (input.value = range.value, onChange(index)));
  input.addEventListener("input", () => (range.value = input.value, onChange(index)));
  return {
    name: version.name,
    element: h("div", { class: "share-row" }, h("label", { for: id }, versionLabel(version), range), input),
    input,
    get: () => round(Math.min(100, Math.max(0, Number(input.value) || 0))),
    set: (value) => (input.value = range.value = String(Math.max(0, value))),
  };
}

function round(value) {
  return Math.round(value * 100) / 100;
}
