/**
 * The weight over time above what the versions did with it, on one time axis.
 */

import { timeChart } from "../../chart.js";
import { h, replace } from "../../dom.js";
import { percent, rate, ratio, seconds, tokens } from "../../format.js";
import { problemNotice, roleClass } from "../../ui.js";
import { thresholdsFor } from "./thresholds.js";

const SPANS = [
  [900, "15 min"],
  [3_600, "1 h"],
  [21_600, "6 h"],
];
const POINTS = 180;
const DASHES = { stable: "", canary: "7 3", preview: "2 4", shadow: "9 3 2 3" };
const MAX_VERSIONS = 6;
const CHARTS = [
  { key: "weight", title: "Weight", unit: "share of the traffic", format: percent, top: 100, stepped: true },
  { key: "errorRatio", title: "Error ratio", unit: "share of the requests", format: ratio },
  { key: "p99", title: "Latency p99", unit: "time to the whole answer", format: seconds },
  { key: "ttftP99", title: "TTFT p99", unit: "time to the first token", format: seconds },
  { key: "requestRate", title: "Requests", unit: "a second", format: rate },
  { key: "tokensPerSecond", title: "Tokens", unit: "a second, all requests together", format: tokens },
];

/**
 * @returns {{element: HTMLElement, show: (found: Object) => void, wanted: () => Object,
 *   onSpan: (fn: () => void) => void}}
 */
export function chartsPart() {
  let span = SPANS[1][0];
  let chosen = false;
  let tell = () => {};
  const spans = h("div", { class: "segmented", role: "group", "aria-label": "Time that the charts show" });
  const problems = h("div");
  const drawn = CHARTS.map((how) => ({ how, chart: timeChart({ ...how, sync: "route", times: [], series: [], thresholds: [], marks: [] }) }));
  const grid = h("div", { class: "charts" }, drawn.map(({ chart }) => chart.element));
  const title = h("div", { class: "card-head" }, h("h2", { id: "charts-title" }, "Stable against canary"), spans);
  const element = h("section", { class: "card", "aria-labelledby": "charts-title" }, title, problems, grid);
  drawSpans();

  function drawSpans() {
    replace(spans, SPANS.map(([size, text]) =>
      h("button", { type: "button", "aria-pressed": String(size === span), data: { key: `span-${size}` }, on: { click: () => choose(size) } }, text),
    ));
  }

  function choose(size) {
    if (size === span && chosen) return;
    chosen = true;
    span = size;
    drawSpans();
    tell();
  }

  function show({ history, runs, rollout }) {
    if (!chosen) choose(spanFor(rollout, history));
    grid.hidden = history.problem !== undefined;
    replace(problems, history.problem && problemNotice(history.problem));
    if (history.problem) return;
    const marks = (history.marks ?? []).map(({ time, text }) => ({ time, text }));
    for (const { how, chart } of drawn) {
      chart.update({ times: history.times, series: seriesOf(history, how, rollout.target), marks, thresholds: thresholdsFor(how.key, runs) });
    }
  }

  return { element, show, wanted: () => ({ seconds: span, points: POINTS }), onSpan: (fn) => (tell = fn) };
}

/** Until somebody chooses: a rollout that has just begun is seen better in a short time. */
function spanFor({ started, finished }, { now }) {
  const age = started === null || finished !== null ? Infinity : now - started;
  return age < SPANS[0][0] ? SPANS[0][0] : SPANS[1][0];
}

/** Versions that had something to tell, stable first; more than six nobody can tell apart. */
function seriesOf({ versions }, { key, stepped }, target) {
  return Object.entries(versions)
    .map(([name, version]) => ({ name, role: roleOf(name, version, target), values: version[key] ?? [] }))
    .filter(({ values, role }) => role === "stable" || values.some((value) => value !== null && (key !== "weight" || value > 0)))
    .sort((a, b) => (b.role === "stable") - (a.role === "stable"))
    .slice(0, MAX_VERSIONS)
    .map(({ name, role, values }, index) => ({ name: `${name} ${role}`, values, stepped, ...styleOf(role, index) }));
}

/** A release that was given up is "preview" now; here it is compared as the canary that it was. */
function roleOf(name, { role }, target) {
  return name === target && role === "preview" ? "canary" : role;
}

function styleOf(role, index) {
  return index < 2 && role in DASHES ? { class: roleClass(role), dash: DASHES[role] } : {};
}
