/**
 * Whether the trail is as it was written: asked for by hand, as it reads every entry.
 */

import { h, replace } from "../../dom.js";
import { count } from "../../format.js";
import { icon } from "../../icons.js";
import { copyable, notice, problemNotice, waiting } from "../../ui.js";

/** @returns {{button: HTMLElement, element: HTMLElement}} */
export function chainPart({ api }) {
  const element = h("div", { role: "presentation" });
  const button = h("button", { type: "button", class: "button", on: { click: verify } }, icon("shield"), "Verify the chain");

  async function verify() {
    button.disabled = true;
    replace(element, waiting("Reading every entry…"));
    try {
      replace(element, told(await api.get("audit/verify")));
    } catch (problem) {
      replace(element, problemNotice(problem), h("p", { class: "hint" }, "A very long trail: inference-router audit verify has more patience."));
    } finally {
      button.disabled = false;
    }
  }

  return { button, element };
}

function told({ ok, entries, head, firstBad }) {
  const end = head && h("p", { class: "row" }, `The last one is entry ${count(head.sequence)},`, copyable(head.hash, `${head.hash.slice(0, 16)}…`));
  if (ok) return notice("good", `${count(entries)} entries are as they were written.`, end);
  const said = firstBad ? ` Entry ${count(firstBad.sequence)}: ${firstBad.problem} (${firstBad.kind}).` : "";
  const link = firstBad && h("a", { href: `#/audit?sequence=${firstBad.sequence}` }, `Entry ${count(firstBad.sequence)}`);
  return notice("problem", `The trail was changed after it was written.${said} ${count(entries)} entries before it are as they were.`, end, link && h("p", null, link));
}
