/**
 * The buttons of a route: only what its phase allows and the session's role may do.
 */

import { h, replace } from "../../dom.js";
import { count } from "../../format.js";
import { icon } from "../../icons.js";
import { notice } from "../../ui.js";
import { COMMANDS } from "./commands.js";
import { openCommand } from "./command_dialog.js";

/**
 * @param {{api: Object, name: string, path: string, onDone: () => void}} how
 * @returns {{element: HTMLElement, show: (found: Object) => void}}
 */
export function actionButtons({ api, name, path, onDone }) {
  const buttons = h("div", { class: "actions", role: "group", "aria-label": "Actions" });
  const outcome = h("div");
  const element = h("div", { class: "stack-gap" }, buttons, outcome);
  let found = null;
  let offered = "";

  function show(next) {
    found = next;
    const possible = COMMANDS.filter(({ isPossible }) => isPossible(found));
    const names = possible.map((command) => command.name).join();
    if (names === offered) return;
    offered = names;
    replace(buttons, possible.map(button));
  }

  function button(command) {
    const start = () => openCommand({ api, name, path, command, found: () => found, onDone: done });
    const look = ["button", "large", command.look].filter(Boolean).join(" ");
    return h("button", { type: "button", class: look, data: { key: `action-${command.name}` }, on: { click: start } }, icon(command.icon), command.label);
  }

  function done(command, answer) {
    replace(outcome, told(command, answer, () => replace(outcome)));
    onDone();
  }

  return { element, show };
}

function told(command, { generation, applied, message }, forget) {
  const missing = applied?.missing ?? [];
  const close = h("button", { type: "button", class: "button quiet", on: { click: forget } }, "Dismiss");
  if (missing.length > 0) {
    const late = `${command.label}: made in generation ${count(generation)}. Not served yet by ${missing.join(", ")}; they get it as soon as they can. Do not repeat it.`;
    return notice("warning", late, close);
  }
  return notice("good", message ?? `${command.label}: done. Every live worker serves generation ${count(generation)}.`, close);
}
