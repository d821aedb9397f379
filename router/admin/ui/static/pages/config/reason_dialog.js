/**
 * A command that has no dry run: what it does, and why it is given.
 */

import { h, replace } from "../../dom.js";
import { icon } from "../../icons.js";
import { dialog, problemNotice } from "../../ui.js";

const MAX_REASON = 500;

/**
 * @param {{title: string, label: string, icon: string, says: string,
 *   send: (reason: string) => Promise<Object>, onDone: (answer: Object) => void}} what
 */
export function askReason({ title, label, icon: picture, says, send, onDone }) {
  const refused = h("div", { role: "presentation" });
  const reason = h("input", { id: "reason", required: true, maxlength: MAX_REASON, autocomplete: "off", placeholder: "for whoever reads the audit trail", "aria-describedby": "reason-hint" });
  const confirm = h("button", { type: "submit", class: "button primary" }, icon(picture), label);
  const cancel = h("button", { type: "button", class: "button", on: { click: () => box.close() } }, "Cancel");
  const form = h(
    "form",
    { class: "stack-gap", on: { submit } },
    h("p", null, says),
    h("div", { class: "field" }, h("label", { for: "reason" }, "Reason"), reason, h("span", { class: "hint", id: "reason-hint" }, "Required; one line.")),
    refused,
    h("div", { class: "dialog-actions" }, cancel, confirm),
  );
  const box = dialog({ title, content: form });

  async function submit(event) {
    event.preventDefault();
    const text = reason.value.trim();
    if (text === "") {
      reason.focus();
      return;
    }
    confirm.disabled = true;
    replace(refused);
    try {
      const answer = await send(text);
      box.close();
      onDone(answer);
    } catch (problem) {
      // The text of a refused configuration has lines.
      const lines = problem.detail?.includes("\n") && h("pre", { class: "text-block" }, problem.detail);
      replace(refused, problemNotice(problem), lines);
      confirm.disabled = false;
    }
  }

  box.open();
  reason.focus();
}
