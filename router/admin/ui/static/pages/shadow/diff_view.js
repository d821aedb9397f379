/**
 * Two texts beside each other with what differs marked: by colour, by a sign in the margin, and by
 * underlining (on narrow screens one above the other).
 *
 * Equal stretches are folded, and rows come in slices, so that a megabyte stays usable.
 */

import { diffTexts, MAX_CHARS } from "../../diff.js";
import { h } from "../../dom.js";
import { count } from "../../format.js";
import { notice } from "../../ui.js";
import { visible } from "./visible.js";

const AROUND = 3; // equal rows that are shown beside a difference
const SLICE_ROWS = 200;
const SLICE_CHARS = 40_000;
const LONG = 900; // characters of an equal span that are not folded
const ENDS = 300;

const SIGNS = { same: "", changed: "≠", removed: "−", added: "+" };
const WORDS = { same: "the same", changed: "changed", removed: "only left", added: "only right" };

/**
 * @param {{left: string, right: string, leftName: string, rightName: string}} what
 * @returns {HTMLElement}
 */
export function diffView({ left, right, leftName, rightName }) {
  const { rows, cut, differing } = diffTexts(left, right);
  const said = summary(rows, differing, left);
  const grid = h("div", { class: "diff", role: "table", "aria-label": `${leftName} beside ${rightName}. ${said}` });
  grid.append(h("div", { class: "diff-row diff-head", role: "row" }, h("div", { role: "columnheader" }, leftName), h("div", { role: "columnheader" }, rightName)));
  const rest = h("div", { class: "diff-more" });
  const parts = folded(rows);
  let at = 0;
  more();

  function more() {
    let [drawn, chars] = [0, 0];
    const fresh = [];
    while (at < parts.length && drawn < SLICE_ROWS && chars < SLICE_CHARS) {
      const part = parts[at];
      fresh.push(part.rows ? fold(part.rows) : rowOf(part));
      chars += part.rows ? 0 : length(part.left) + length(part.right);
      drawn += 1;
      at += 1;
    }
    grid.append(...fresh);
    const left_ = parts.length - at;
    rest.replaceChildren(...(left_ > 0 ? [h("button", { type: "button", class: "button", on: { click: more } }, `Show more: ${count(left_)} rows are left`)] : []));
  }

  return h(
    "div",
    { class: "stack-gap" },
    cut && notice("warning", `Only the first ${count(MAX_CHARS)} characters of each side are compared here.`),
    h("p", { class: "muted", role: "status" }, said),
    rows.length > 0 && grid,
    rest,
  );
}

function summary(rows, differing, left) {
  if (rows.length === 0) return "Both are empty.";
  if (differing > 0) return `Lines that differ: ${count(differing)} of ${count(rows.filter(({ continued }) => !continued).length)}.`;
  return left.includes("[redacted]") ? "What is shown is the same; what is redacted may differ." : "Both say the same.";
}

/** Rows, with long equal stretches put together. */
function folded(rows) {
  const near = new Uint8Array(rows.length);
  rows.forEach(({ kind }, index) => {
    if (kind !== "same") near.fill(1, Math.max(0, index - AROUND), index + AROUND + 1);
  });
  const parts = [];
  for (let index = 0; index < rows.length; index += 1) {
    const start = index;
    while (index < rows.length && near[index] === 0) index += 1;
    const some = rows.slice(start, index);
    if (some.length > 2 * AROUND) parts.push({ rows: some });
    else parts.push(...some);
    if (index < rows.length) parts.push(rows[index]);
  }
  return parts;
}

function fold(rows) {
  const element = h("div", { class: "diff-fold", role: "row" });
  let at = 0;
  const button = h("button", { type: "button", class: "button quiet", on: { click: unfold } });
  element.append(h("div", { role: "cell" }, button));
  tell();
  return element;

  function unfold() {
    const some = rows.slice(at, at + SLICE_ROWS);
    at += some.length;
    element.before(...some.map(rowOf));
    if (at >= rows.length) element.remove();
    else tell();
  }

  function tell() {
    button.textContent = `${count(rows.length - at)} equal lines`;
  }
}

function rowOf({ kind, left, right, leftLine, rightLine, continued }) {
  const [numberLeft, numberRight] = continued ? ["⋮", "⋮"] : [leftLine, rightLine];
  return h("div", { class: `diff-row diff-${kind}`, role: "row" }, cell(left, numberLeft, kind, "left"), cell(right, numberRight, kind, "right"));
}

function cell(spans, line, kind, side) {
  const sign = spans === null ? "" : SIGNS[kind];
  return h(
    "div",
    { class: `diff-cell ${side}${spans === null ? " none" : ""}`, role: "cell" },
    h("span", { class: "line-number", "aria-hidden": "true" }, line ?? ""),
    h("span", { class: "sign", "aria-hidden": "true" }, sign),
    kind !== "same" && spans !== null && h("span", { class: "unseen" }, WORDS[kind]),
    h("span", { class: "line-text" }, (spans ?? []).map((span) => spanOf(span, side))),
  );
}

function spanOf({ text, changed }, side) {
  if (!changed) return text.length > LONG ? clipped(text) : visible(text);
  const shown = text.length > SLICE_CHARS ? clipped(text, SLICE_CHARS / 2) : visible(text);
  return h(side === "left" ? "del" : "ins", null, shown);
}

/** A long span: its ends, and the middle when it is asked for. */
function clipped(text, ends = ENDS) {
  const place = h("span");
  const middle = text.length - 2 * ends;
  const all = () => place.replaceChildren(visible(text));
  const button = h("button", { type: "button", class: "button quiet inline", on: { click: all } }, `… ${count(middle)} characters …`);
  place.append(visible(text.slice(0, ends)), button, visible(text.slice(-ends)));
  return place;
}

function length(spans) {
  return (spans ?? []).reduce((all, { text }) => all + text.length, 0);
}
