/**
 * Small pictures beside words, never in their place: they are hidden from screen readers.
 */

import { s } from "./dom.js";

/** Strokes on a field of 16 by 16. */
const PATHS = {
  check: "M3 8.5l3.2 3.2L13 4.8",
  cross: "M4 4l8 8M12 4l-8 8",
  play: "M5 3.2v9.6L12.6 8z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  alert: "M8 2.2L14.6 13.6H1.4zM8 6.5v3.2M8 11.6v.2",
  question: "M5.6 5.8a2.4 2.4 0 1 1 3.4 2.2c-.7.4-1 .8-1 1.6M8 12.2v.2",
  clock: "M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 1 0 8 1.8M8 4.6V8l2.4 1.6",
  forward: "M3 8h9.4M8.6 4.2L12.4 8l-3.8 3.8",
  skip: "M3 3.5L9 8l-6 4.5zM12.5 3.5v9",
  back: "M6.4 3.4L2.8 7l3.6 3.6M3 7h6.4a3.6 3.6 0 0 1 0 7.2H6",
  swap: "M2.6 5.4h10M9.8 2.6l2.8 2.8-2.8 2.8M13.4 10.8h-10M6.2 8l-2.8 2.8 2.8 2.8",
  sliders: "M3 2.5v4M3 9.5v4M8 2.5v7M8 12.5v1M13 2.5v2M13 7.5v6M1.4 9.5h3.2M6.4 12.5h3.2M11.4 4.5h3.2",
  stop: "M5.2 1.8h5.6l3.4 3.4v5.6l-3.4 3.4H5.2l-3.4-3.4V5.2zM5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8",
  retry: "M13.2 8a5.2 5.2 0 1 1-1.6-3.8M13.4 1.8v3h-3",
  hand: "M8 1.8a2.4 2.4 0 1 0 0 4.8 2.4 2.4 0 1 0 0-4.8M3 14c.4-3 2.4-4.8 5-4.8s4.6 1.8 5 4.8",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 1 0 0-6M8 1v1.6M8 13.4V15M1 8h1.6M13.4 8H15M3 3l1.2 1.2M11.8 11.8L13 13M13 3l-1.2 1.2M4.2 11.8L3 13",
  moon: "M13.4 9.8A5.8 5.8 0 0 1 6.2 2.6a5.8 5.8 0 1 0 7.2 7.2z",
  copy: "M5.6 5.6h7.8v7.8H5.6zM3.6 10.4H2.6V2.6h7.8v1",
  shield: "M8 1.8l5.2 1.8v4c0 3.4-2.2 5.6-5.2 6.6-3-1-5.2-3.2-5.2-6.6v-4z",
  dot: "M8 5.4a2.6 2.6 0 1 0 0 5.2 2.6 2.6 0 1 0 0-5.2",
};

/**
 * @param {keyof PATHS} name
 * @param {string} [more]  classes beside `icon`
 */
export function icon(name, more = "") {
  const how = { class: `icon icon-${name} ${more}`.trim(), viewBox: "0 0 16 16" };
  return s("svg", { ...how, "aria-hidden": "true", focusable: "false" }, s("path", { d: PATHS[name] }));
}
