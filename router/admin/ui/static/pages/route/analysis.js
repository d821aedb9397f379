/**
 * Analysis runs: each metric with its condition, its values and its verdict.
 */

import { timeChart } from "../../chart.js";
import { h, replace } from "../../dom.js";
import { count, dateTime, duration, number } from "../../format.js";
import { icon } from "../../icons.js";
import { momentElement } from "../../moments.js";
import { badge, tag } from "../../ui.js";
import { readable } from "./now.js";
import { limitsOf } from "./thresholds.js";

const OPEN = 2;
const VALUES = 12;
const TONES = {
  Successful: ["good", "check"],
  Failed: ["bad", "cross"],
  Error: ["bad", "alert"],
  Inconclusive: ["wait", "question"],
};

/** @returns {{element: HTMLElement, show: (found: Object) => void}} */
export function analysisPart() {
  const place = h("div");
  const opened = new Map();
  const shown = new Map();
  const element = h("section", { class: "card", "aria-labelledby": "analysis-title" }, h("h2", { id: "analysis-title" }, "Analysis"), place);

  /** A run that is as it was keeps its elements: nobody who reads it is disturbed. */
  function elementOf(run, index) {
    const told = JSON.stringify(run);
    const known = shown.get(run.id);
    if (known?.told === told) return known.element;
    const made = runElement(run, opened.get(run.id) ?? index < OPEN, (open) => opened.set(run.id, open));
    shown.set(run.id, { told, element: made });
    return made;
  }

  function show({ runs }) {
    for (const id of shown.keys()) if (!runs.some((run) => run.id === id)) shown.delete(id);
    const elements = runs.map(elementOf);
    const same = elements.length > 0 && place.children.length === elements.length && elements.every((each, index) => each === place.children[index]);
    if (!same) replace(place, elements.length > 0 ? elements : h("p", { class: "muted" }, "No analysis has run."));
  }

  return { element, show };
}

function runElement(run, open, onToggle) {
  const { id, phase, canary, started, finished, message, metrics } = run;
  const span = [finished === null && "since ", momentElement(started), finished !== null && `, ${duration(finished - started)} long`];
  const summary = h("summary", { data: { key: `run-${id}` } }, h("span", { class: "row run-head" }, badge(phase), h("b", null, id), h("span", { class: "muted small" }, `${canary} · `, span)));
  const element = h("details", { class: "run", open }, summary, message && h("p", { class: "why-now" }, message), h("div", { class: "metrics" }, metrics.map(metricElement)));
  element.addEventListener("toggle", () => onToggle(element.open));
  return element;
}

function metricElement(metric) {
  const { name, phase, message, dryRun, provider, measurements } = metric;
  const bad = !dryRun && (phase === "Failed" || phase === "Error");
  return h(
    "article",
    { class: bad ? "metric decisive" : "metric" },
    h("div", { class: "metric-head" }, h("h3", null, name), dryRun && tag("dry run", "calm"), badge(phase)),
    conditions(metric),
    chartOf(metric),
    h("div", { class: "readings", role: "group", "aria-label": `Newest values of ${name}` }, measurements.slice(-VALUES).map(reading)),
    h("p", { class: "muted small" }, counts(metric), ` · ${provider}`),
    message && h("p", { class: "small" }, message),
  );
}

function conditions({ successCondition, failureCondition }) {
  const rows = [["passes if", successCondition], ["fails if", failureCondition]].filter(([, condition]) => condition);
  if (rows.length === 0) return h("p", { class: "muted small" }, "No condition: any value passes.");
  return h("dl", { class: "conditions" }, rows.map(([word, condition]) => [h("dt", null, word), h("dd", null, h("code", null, condition))]));
}

function chartOf(metric) {
  const known = metric.measurements.filter(({ finished_s: at }) => at !== null);
  const values = known.map(({ value }) => numeric(value));
  if (values.filter((value) => value !== null).length < 2) return null;
  const times = known.map(({ finished_s: at }) => at);
  const format = (value) => number(value, 4);
  const chart = timeChart({ title: "Value", format, height: 120, times, series: [{ name: metric.name, values }], thresholds: limitsOf(metric), marks: [] });
  return chart.element;
}

function numeric(text) {
  const value = text === "" ? NaN : Number(readable(text));
  return Number.isFinite(value) ? value : null;
}

function reading({ phase, value, message, finished_s: at, samples }) {
  const [tone, picture] = TONES[phase] ?? ["calm", "dot"];
  const told = phase === "NoData" ? "no data" : readable(value) || message || "–";
  const title = [dateTime(at), phase, samples !== null && samples !== undefined && `${count(samples)} samples`, message].filter(Boolean).join(" · ");
  return h("span", { class: `reading tone-${tone}`, title }, icon(picture), told, h("span", { class: "unseen" }, ` ${phase}`));
}

function counts({ measured, successful, failed, inconclusive, errors, noData, interval, count: wanted }) {
  const parts = [
    `${count(measured)}${wanted === null ? "" : ` of ${count(wanted)}`} measured`,
    successful > 0 && `${count(successful)} passed`,
    failed > 0 && `${count(failed)} failed`,
    inconclusive > 0 && `${count(inconclusive)} inconclusive`,
    errors > 0 && `${count(errors)} errors`,
    noData > 0 && `${count(noData)} without data`,
    interval !== null && `every ${duration(interval)}`,
  ];
  return parts.filter(Boolean).join(", ");
}
