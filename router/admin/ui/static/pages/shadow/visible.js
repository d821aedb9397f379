/**
 * Texts from outside as they can be read safely: signs that nobody sees, or that turn the reading
 * direction, are told by their number.
 */

import { h, replace } from "../../dom.js";
import { count } from "../../format.js";

// Bidirectional controls and marks, zero-width signs, line separators, C0 and C1 but tab and LF.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;
const FIRST = 4_000;

/** @param {string} text */
export function visible(text) {
  return String(text).replace(UNSEEN, (sign) => `\u27e8U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}\u27e9`);
}

/**
 * A text in a box of its own; of a long one the beginning, and the rest when it is asked for.
 * @param {string} text
 * @param {string} label
 * @returns {HTMLElement}
 */
export function textBlock(text, label) {
  const block = h("pre", { class: "text-block", tabindex: "0", "aria-label": label });
  let shown = FIRST;
  draw();
  return block;

  function draw() {
    const rest = text.length - shown;
    const more = h("button", { type: "button", class: "button quiet", on: { click: () => ((shown *= 8), draw()) } }, `${count(rest)} more characters`);
    replace(block, visible(text.slice(0, shown)), rest > 0 && ["\u2026\n", more]);
  }
}
