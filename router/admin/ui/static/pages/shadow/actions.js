/**
 * Set and clear the shadow: with the dialog of the route's commands, so with a dry run and a
 * reason.
 */

import { h, replace } from "../../dom.js";
import { count } from "../../format.js";
import { icon } from "../../icons.js";
import { notice } from "../../ui.js";
import { openCommand } from "../route/command_dialog.js";

const SET = {
  name: "set-shadow",
  label: "Set the shadow",
  icon: "copy",
  look: "primary",
  says: "The version gets copies of stable's requests, whatever configuration and rollout say, until this is cleared. No client sees its answers.",
  method: "PUT",
  path: "shadow",
  chooser: shadowChooser,
};
const CLEAR = {
  name: "clear-shadow",
  label: "Clear the shadow",
  icon: "back",
  look: "",
  says: "Configuration and rollout say again what is copied.",
  method: "DELETE",
  path: "shadow",
};

/**
 * @param {{api: Object, name: string, path: string, onDone: () => void}} how
 * @returns {{element: HTMLElement, show: (found: Object) => void}}
 */
export function shadowActions({ api, name, path, onDone }) {
  const buttons = h("div", { class: "row", role: "group", "aria-label": "Actions" });
  const outcome = h("div", { role: "presentation" });
  const element = h("div", { class: "stack-gap" }, buttons, outcome);
  let found = null;
  let offered = null;

  function show(next) {
    found = next;
    const possible = [candidates(found.route).length > 0 && SET, found.shadow.override !== null && CLEAR].filter(Boolean);
    const names = possible.map((command) => command.name).join();
    if (names === offered) return;
    offered = names;
    replace(buttons, possible.map(button));
  }

  function button(command) {
    const start = () => openCommand({ api, name, path, command, found: () => found, onDone: done });
    const look = ["button", command.look].filter(Boolean).join(" ");
    return h("button", { type: "button", class: look, data: { key: command.name }, on: { click: start } }, icon(command.icon), command.label);
  }

  function done(command, { generation, applied }) {
    const missing = applied?.missing ?? [];
    const late = missing.length > 0 ? ` Not served yet by ${missing.join(", ")}; they get it as soon as they can.` : "";
    replace(outcome, notice(late ? "warning" : "good", `${command.label}: done in generation ${count(generation)}.${late}`));
    onDone();
  }

  return { element, show };
}

/** Versions that may be a shadow: those without weight. */
function candidates({ versions, stable }) {
  return versions.filter(({ name, weight }) => name !== stable && weight === 0).map(({ name }) => name);
}

function shadowChooser({ route, shadow }, onChange) {
  const names = candidates(route);
  const now = shadow.shadow ?? { version: names[0], percent: 10 };
  const version = h("select", { id: "shadow-version", on: { change: onChange } }, names.map((name) => h("option", { value: name, selected: name === now.version }, name)));
  const share = numberField("shadow-percent", now.percent, onChange, true);
  const noise = numberField("shadow-noise", shadow.override?.noisePercent ?? "", onChange, false);
  const element = h(
    "div",
    { class: "stack-gap" },
    h("div", { class: "field" }, h("label", { for: "shadow-version" }, "Version"), version),
    h("div", { class: "field" }, h("label", { for: "shadow-percent" }, "Percent of stable's requests"), share, h("span", { class: "hint" }, "0: nothing is copied.")),
    h("div", { class: "field" }, h("label", { for: "shadow-noise" }, "Percent of the copies that stable answers a second time"), noise, h("span", { class: "hint" }, "Only that tells differences from the model's own noise. Empty: as configured.")),
  );
  return {
    element,
    first: version,
    body: () => ({ version: version.value, percent: Number(share.value), ...(noise.value !== "" && { noisePercent: Number(noise.value) }) }),
    problem: () => [share, noise].map(wrong).find(Boolean) ?? null,
  };
}

function numberField(id, value, onInput, required) {
  return h("input", { id, type: "number", min: 0, max: 100, step: 0.01, value, required, on: { input: onInput } });
}

function wrong(input) {
  return input.validity.valid ? null : "A percentage is from 0 to 100, with at most two decimals.";
}
