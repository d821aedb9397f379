/**
 * An estimate with its 95 % interval, drawn above the noise floor: the shadow's as a disc on a
 * line, the twin's as a diamond on a broken line with a band behind both.  Places are percent of
 * the width, so nothing is drawn again when the window changes.
 *
 * @typedef {{value: number, low: number, high: number}} Estimate
 */

import { h, s } from "../../dom.js";

const HEIGHT = 50;
const AXIS = 34;
/** Room for half a label on both sides, in percent. */
const MARGIN = 7;

/**
 * @param {Object} what
 * @param {string} what.label
 * @param {number} what.low  where the axis begins
 * @param {number} what.high  where it ends
 * @param {(value: number) => string} what.format
 * @param {?Estimate} what.shadow
 * @param {?Estimate} what.twin
 * @returns {SVGElement}
 */
export function intervalPlot({ label, low, high, format, shadow, twin }) {
  const x = (value) => {
    const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
    return `${(MARGIN + share * (100 - 2 * MARGIN)).toFixed(2)}%`;
  };
  const said = [told("shadow", shadow, format), told("noise", twin, format)].join("; ");
  return s(
    "svg",
    { class: "intervals", height: HEIGHT, width: "100%", role: "img", "aria-label": `${label}: ${said}` },
    s("title", null, said),
    twin && s("rect", { class: "floor", x: x(twin.low), y: 2, width: `${(parseFloat(x(twin.high)) - parseFloat(x(twin.low))).toFixed(2)}%`, height: AXIS - 2 }),
    ticks(low, high).map((value) => [
      s("line", { class: value === 0 ? "zero" : "grid", x1: x(value), x2: x(value), y1: 2, y2: AXIS }),
      s("text", { x: x(value), y: HEIGHT - 3, "text-anchor": "middle" }, format(value)),
    ]),
    s("line", { class: "axis", x1: x(low), x2: x(high), y1: AXIS, y2: AXIS }),
    twin && [
      s("line", { class: "interval twin", x1: x(twin.low), x2: x(twin.high), y1: 24, y2: 24 }),
      // A nested picture moves to a place in percent, which a path cannot.
      s("svg", { x: x(twin.value), y: 24, overflow: "visible" }, s("path", { class: "dot twin", d: "M0-5.5L5.5 0L0 5.5L-5.5 0z" })),
    ],
    shadow && [
      s("line", { class: "interval shadow", x1: x(shadow.low), x2: x(shadow.high), y1: 11, y2: 11 }),
      s("circle", { class: "dot shadow", cx: x(shadow.value), cy: 11, r: 5 }),
    ],
  );
}

/** What disc and diamond mean. */
export function plotKey() {
  const sample = (kind, ...drawn) => s("svg", { class: "intervals", width: 34, height: 14, "aria-hidden": "true" }, s("line", { class: `interval ${kind}`, x1: 2, x2: 32, y1: 7, y2: 7 }), drawn);
  return h(
    "p",
    { class: "plot-key" },
    h("span", null, sample("shadow", s("circle", { class: "dot shadow", cx: 17, cy: 7, r: 5 })), "the shadow, with its 95 % interval"),
    h("span", null, sample("twin", s("path", { class: "dot twin", d: "M17 1.5L22.5 7L17 12.5L11.5 7z" })), "stable beside itself: the noise floor"),
  );
}

function ticks(low, high) {
  return low < 0 ? [low, 0, high] : [low, (low + high) / 2, high];
}

function told(name, estimate, format) {
  if (!estimate) return `${name} not measured`;
  return `${name} ${format(estimate.value)}, ${format(estimate.low)} to ${format(estimate.high)}`;
}
