/**
 * What all pairs tell: in sentences, and each measure with its interval against the noise floor.
 */

import { h, replace } from "../../dom.js";
import { count, number, ratio, seconds, moment } from "../../format.js";
import { icon } from "../../icons.js";
import { notice, table, tag } from "../../ui.js";
import { intervalPlot, plotKey } from "./intervals.js";

/** How a conclusion looks and reads. */
export const CONCLUSIONS = {
  differs: ["differs", "bad", "alert"],
  within_noise: ["within noise", "good", "check"],
  not_enough: ["not enough pairs", "wait", "clock"],
  no_noise_floor: ["no noise floor", "wait", "question"],
};

/** How a pair's verdict looks and reads. */
export const VERDICTS = {
  match: ["match", "good", "check"],
  within_noise: ["within noise", "calm", "dot"],
  mismatch: ["mismatch", "bad", "alert"],
  error: ["error", "bad", "cross"],
};

/** @returns {{element: HTMLElement, show: (report: Object) => void}} */
export function reportPart() {
  const place = h("div", { class: "stack-gap" });
  const element = h("section", { class: "card", "aria-labelledby": "report-title" }, place);
  let told = "";

  function show(report) {
    const next = JSON.stringify(report);
    if (next === told) return;
    told = next;
    replace(place, report.none !== undefined ? nothing(report.none) : whole(report));
  }

  return { element, show };
}

function nothing(why) {
  return [h("h2", { id: "report-title" }, "Report"), notice("info", `Nothing was compared yet: ${why.replace(/^.*nothing was compared yet; /, "")}.`)];
}

function whole(report) {
  return [
    h("div", { class: "card-head" }, h("h2", { id: "report-title" }, `${report.shadow} beside ${report.stable}`), tag(...(CONCLUSIONS[report.conclusion] ?? [report.conclusion]))),
    h("ul", { class: "sentences" }, report.summary.map((sentence) => h("li", null, sentence))),
    facts(report),
    verdictBar(report.verdicts),
    measures(report),
    times(report),
    failures(report.errors),
  ];
}

function facts({ pairs, compared, twins, twinsFailed, since, tokens, smallestDetectable }) {
  const fact = (name, value, hint) => h("span", { class: "fact", title: hint }, h("span", { class: "muted" }, name), h("b", null, value));
  return h(
    "div",
    { class: "facts" },
    fact("since", moment(since)),
    fact("pairs", count(pairs)),
    fact("compared", count(compared)),
    fact("twins", count(twins), "pairs that stable has answered a second time"),
    twinsFailed > 0 && fact("twins that failed", count(twinsFailed)),
    smallestDetectable !== null && fact("detectable", `from ${ratio(smallestDetectable)}`, "the difference that so many twins find with a chance of 80 %"),
    tokens.ratio !== null && fact("completion tokens", `${number(tokens.ratio, 2)}×`, `${tokens.shadow} against ${tokens.primary}`),
  );
}

// -- verdicts ---------------------------------------------------------------------------------

function verdictBar(verdicts) {
  const found = Object.entries(VERDICTS)
    .map(([name, look]) => ({ name, look, number: verdicts[name] ?? 0 }))
    .filter((each) => each.number > 0);
  const all = found.reduce((sum, each) => sum + each.number, 0);
  if (all === 0) return null;
  const said = found.map(({ look: [text], number: some }) => `${text} ${count(some)}`).join(", ");
  const parts = found.map(({ name, look: [text], number: some }) =>
    h("span", { class: `part verdict-${name}`, css: { "--share": String(some) }, title: `${text}: ${count(some)} (${ratio(some / all)})` }));
  const legend = found.map(({ name, look: [text, , picture], number: some }) =>
    h("li", { class: `verdict-word-${name}` }, h("span", { class: `swatch verdict-${name}`, "aria-hidden": "true" }), icon(picture), text, h("span", { class: "share" }, count(some)), h("span", { class: "muted" }, ratio(some / all))));
  return h("div", { class: "weights" }, h("div", { class: "bar", role: "img", "aria-label": `Verdicts of the pairs: ${said}` }, parts), h("ul", { class: "bar-legend" }, legend));
}

// -- measures ---------------------------------------------------------------------------------

function measures(report) {
  const rows = [
    { name: "anything", ...report.any },
    ...Object.entries(report.fields).map(([name, field]) => ({ name: name.replaceAll("_", " "), ...field })),
    report.errorRatio && { name: "no answer", pairs: report.errorRatio.samples, shadow: report.errorRatio, twin: null, beyondNoise: null, conclusion: null },
  ].filter(Boolean);
  const top = niceTop(Math.max(...rows.flatMap(({ shadow, twin }) => [shadow?.high ?? 0, twin?.high ?? 0])));
  const columns = [
    { title: "Differs in", cell: ({ name }) => h("b", null, name) },
    { title: "Conclusion", cell: ({ conclusion }) => (conclusion ? tag(...(CONCLUSIONS[conclusion] ?? [conclusion])) : "–") },
    { title: "Pairs", class: "number", cell: ({ pairs }) => count(pairs) },
    { title: "Shadow", class: "number", cell: ({ shadow }) => estimate(shadow, ratio), hint: "share of the pairs in which the shadow differs from stable" },
    { title: "Noise", class: "number", cell: ({ twin }) => estimate(twin, ratio), hint: "share of the twins in which stable differs from itself" },
    { title: "Beyond noise", class: "number", cell: ({ beyondNoise }) => estimate(beyondNoise, ratio), hint: "what is left of the shadow's share without the noise" },
    { title: "Share of the pairs", class: "plot-cell", cell: ({ name, shadow, twin }) => intervalPlot({ label: name, low: 0, high: top, format: ratio, shadow, twin }) },
  ];
  return h("div", { class: "report-table" }, table({ caption: "How often answers differ, with 95 % intervals", columns, rows }), plotKey());
}

function times({ latency, firstToken }) {
  const rows = [
    { name: "whole answer", ...latency },
    { name: "first token", ...firstToken },
  ].filter(({ shadow }) => shadow !== null);
  if (rows.length === 0) return null;
  const far = Math.max(...rows.flatMap(({ shadow, twin }) => [shadow, twin].flatMap((each) => (each ? [Math.abs(each.median.low), Math.abs(each.median.high)] : [0]))));
  const edge = niceTop(far);
  const columns = [
    { title: "Later than stable", cell: ({ name }) => h("b", null, name) },
    { title: "Pairs", class: "number", cell: ({ shadow }) => count(shadow.seen) },
    { title: "Shadow", class: "number", cell: ({ shadow }) => estimate(shadow.median, seconds), hint: "median of the differences in time" },
    { title: "p95", class: "number", cell: ({ shadow }) => seconds(shadow.p95), hint: "95 of 100 answers are later by less" },
    { title: "Noise", class: "number", cell: ({ twin }) => estimate(twin?.median, seconds), hint: "how much later stable's second answer comes" },
    { title: "Median difference", class: "plot-cell", cell: ({ name, shadow, twin }) => intervalPlot({ label: `${name} later`, low: -edge, high: edge, format: seconds, shadow: shadow.median, twin: twin?.median ?? null }) },
  ];
  return h("div", { class: "report-table" }, table({ caption: "How much later the shadow answers, with 95 % intervals", columns, rows }));
}

function estimate(found, format) {
  if (!found) return "–";
  const samples = `from ${count(found.samples)} samples`;
  return h("span", { title: samples }, h("b", null, format(found.value)), h("span", { class: "range" }, `${format(found.low)} to ${format(found.high)}`));
}

/** The next of 1, 2, 5 times a power of ten. */
function niceTop(value) {
  if (!(value > 0)) return 0.01;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= value * 0.999);
  return step * power;
}

// -- errors -----------------------------------------------------------------------------------

function failures(errors) {
  const rows = Object.entries(errors).sort(([, a], [, b]) => b - a);
  if (rows.length === 0) return null;
  const columns = [
    { title: "No two answers, because", cell: ([why]) => why },
    { title: "Pairs", class: "number", cell: ([, some]) => count(some) },
  ];
  return table({ caption: "Why there was nothing to compare", columns, rows, stack: false });
}
