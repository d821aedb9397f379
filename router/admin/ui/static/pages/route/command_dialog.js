/**
 * One command, before it is given: what it would change (a dry run), why it is given, and then the
 * command itself, under the condition that the route is still what the dry run has shown.
 */

import { h, replace } from "../../dom.js";
import { icon } from "../../icons.js";
import { dialog, problemNotice, waiting } from "../../ui.js";
import { chooserFor } from "./choosers.js";
import { previewOf } from "./preview.js";

const TYPING_MS = 300;
const MAX_REASON = 500;
/** What a dry run says where no reason is typed yet; it is written nowhere. */
const NO_REASON = "dry run in the console";

/**
 * @param {{api: Object, name: string, path: string, command: Object, found: () => Object,
 *   onDone: (command: Object, answer: Object) => void}} how
 */
export function openCommand({ api, name, path, command, found, onDone }) {
  let seen = null;
  let asked = 0;
  let timer;
  const preview = h("div", { class: "preview", "aria-live": "polite" });
  const refused = h("div");
  const reason = h("input", { id: "reason", required: true, maxlength: MAX_REASON, autocomplete: "off", placeholder: "for whoever reads the audit trail", "aria-describedby": "reason-hint" });
  const look = command.look === "danger" ? "button danger primary" : "button primary";
  const confirm = h("button", { type: "submit", class: look, disabled: true }, icon(command.icon), command.label);
  const cancel = h("button", { type: "button", class: "button", on: { click: () => box.close() } }, "Cancel");
  const again = h("button", { type: "button", class: "button", on: { click: look_ }, hidden: true }, "Look again");
  const chooser = chooserFor(command, found(), () => {
    forget();
    clearTimeout(timer);
    timer = setTimeout(look_, TYPING_MS);
  });
  const form = h(
    "form",
    { class: "stack-gap", on: { submit } },
    h("p", null, command.says),
    chooser.element,
    h("div", { class: "field" }, h("label", { for: "reason" }, "Reason"), reason, h("span", { class: "hint", id: "reason-hint" }, "Required; one line.")),
    preview,
    refused,
    h("div", { class: "dialog-actions" }, cancel, again, confirm),
  );
  const box = dialog({ title: `${command.label}: ${name}`, content: form, onClose: () => clearTimeout(timer) });

  function forget() {
    asked += 1;
    seen = null;
    confirm.disabled = true;
  }

  function call(how) {
    const body = { ...chooser.body(), reason: reason.value.trim() || NO_REASON };
    // DELETE takes its reason in the query: proxies drop bodies of a DELETE.
    const inQuery = command.method === "DELETE";
    const params = inQuery ? { reason: body.reason } : {};
    return api.send(command.method, `${path}/${command.path}`, inQuery ? null : body, { ...how, params });
  }

  async function look_() {
    forget();
    const mine = asked;
    again.hidden = true;
    const problem = chooser.problem();
    replace(refused);
    if (problem !== null) {
      replace(preview, h("p", { class: "muted" }, problem));
      return;
    }
    replace(preview, waiting("Looking what it would change…"));
    try {
      const answer = await call({ dryRun: true });
      if (mine !== asked) return;
      seen = answer.tag;
      confirm.disabled = false;
      replace(preview, previewOf(answer, found().route));
    } catch (refusal) {
      if (mine === asked) refuse(refusal, whatWouldBe(refusal));
    }
  }

  function refuse(refusal, said) {
    forget();
    replace(preview, said && h("p", { class: "muted" }, said));
    replace(refused, problemNotice(refusal));
    again.hidden = false;
  }

  async function submit(event) {
    event.preventDefault();
    if (seen === null) return;
    if (reason.value.trim() === "") {
      reason.focus();
      return;
    }
    const tag = seen;
    confirm.disabled = true;
    try {
      const answer = await call({ ifMatch: tag });
      box.close();
      onDone(command, answer);
    } catch (refusal) {
      refuse(refusal, whatWasMade(refusal));
    }
  }

  box.open();
  (chooser.first ?? reason).focus();
  look_();
}

/** What is certain after a look at what a command would do that has failed. */
function whatWouldBe({ status }) {
  return status === 0 || status >= 500 ? "Nobody can tell what it would change." : "It would be refused.";
}

/** What is certain after a command that has failed; a 404 says itself what is not there. */
function whatWasMade({ status }) {
  if (status === 0 || status >= 500) return "Nobody can tell whether it was made: look before you repeat it.";
  return status === 404 ? null : "It was refused; nothing was changed.";
}
