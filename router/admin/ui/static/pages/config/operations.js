/**
 * Reload the configuration and replace the workers: for admins, each with a reason.
 */

import { h, replace } from "../../dom.js";
import { count } from "../../format.js";
import { icon } from "../../icons.js";
import { notice } from "../../ui.js";
import { askReason } from "./reason_dialog.js";

const RELOAD = {
  title: "Reload the configuration",
  label: "Reload",
  icon: "retry",
  says: "The file is read again. One that cannot be used changes nothing; inference-router check FILE says beforehand what is wrong with it.",
  path: "reload",
};
const RESTART = {
  title: "Restart the workers",
  label: "Restart",
  icon: "swap",
  says: "Each worker is replaced by a new process, one after the other: the new one serves before the old one ends, and no request is lost.",
  path: "restart",
};
const UNDER_WAY = ["waiting", "starting", "draining"];

/**
 * @param {{api: Object, onDone: () => void}} how
 * @returns {{buttons: HTMLElement, element: HTMLElement, show: (restarted: Object) => void}}
 */
export function operationsPart({ api, onDone }) {
  const element = h("div", { role: "presentation" });
  const [reload, restart] = [RELOAD, RESTART].map((command) =>
    h("button", { type: "button", class: "button", on: { click: () => ask(command) } }, icon(command.icon), command === RELOAD ? "Reload" : "Restart the workers"));
  const buttons = h("div", { class: "row", role: "group", "aria-label": "Actions" }, reload, restart);

  function ask(command) {
    const send = (reason) => api.send("POST", command.path, { reason });
    askReason({ ...command, send, onDone: (answer) => done(command, answer) });
  }

  function done(command, answer) {
    replace(element, command === RELOAD ? reloaded(answer) : notice("info", "The restart has begun; its progress is below."));
    onDone();
  }

  /** An embedded router has no workers of its own; two restarts at once are refused anyway. */
  function show({ refused, stage }) {
    restart.hidden = refused?.status === 409;
    restart.disabled = UNDER_WAY.includes(stage);
  }

  return { buttons, element, show };
}

function reloaded({ generation, applied }) {
  const missing = applied?.missing ?? [];
  if (missing.length > 0) return notice("warning", `The configuration is in force in generation ${count(generation)}. Not served yet by ${missing.join(", ")}; they get it as soon as they can.`);
  return notice("good", `The configuration is in force: every live worker serves generation ${count(generation)}.`);
}
