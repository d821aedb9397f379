/**
 * What the route does at this moment, what comes next, and why: the first thing to read.
 */

import { h, replace } from "../../dom.js";
import { moment } from "../../format.js";
import { icon } from "../../icons.js";
import { badge, notice, weightBar } from "../../ui.js";
import { countdown, heldText, STAGES, stepText } from "./words.js";

/** @returns {{element: HTMLElement, show: (found: Object) => void}} */
export function nowPart() {
  const element = h("div", { class: "now" });
  const show = ({ route, rollout, runs, entries }) => {
    const versions = route.versions.filter(({ weight, inFlight }) => weight > 0 || inFlight > 0);
    replace(
      element,
      h("div", { class: "now-line" }, badge(rollout.phase), sentence(rollout, runs)),
      reason(rollout, runs, entries),
      route.override && notice("warning", `Weights are ${heldText(route.override)}`),
      h("div", { class: "big" }, weightBar(stableFirst(versions))),
    );
  };
  return { element, show };
}

/** In the order of the bar. */
export function stableFirst(versions) {
  return [...versions].sort((a, b) => (b.role === "stable") - (a.role === "stable"));
}

function sentence({ phase, stable, target, step, steps, stage, pausedUntil }) {
  if (phase !== "Progressing" && phase !== "Paused") {
    return h("span", { class: "what" }, phase === "Degraded" ? `${target ?? "The release"} was given up; ${stable} has the traffic.` : `${stable} is stable; nothing is under way.`);
  }
  const here = step === null ? stageText(stage, target) : `Step ${step} of ${steps.length}: ${stepText(steps[step - 1])}`;
  const after = step === null ? null : (steps[step] ? `then ${stepText(steps[step])}` : `then ${target} is stable`);
  const parts = [here ?? `${target} is on its way`, pausedUntil !== null && countdown(pausedUntil), after];
  return h("span", { class: "what" }, join(parts));
}

function stageText(stage, target) {
  const text = STAGES.find(([name]) => name === stage)?.[1];
  return text ? `Waiting until: ${text.replace("{}", target)}` : null;
}

function join(parts) {
  return parts.filter(Boolean).flatMap((part, index) => (index === 0 ? [part] : [", ", part]));
}

/** The reason that the rollout gives, and the measurement that has led to it. */
function reason({ message, reason: why, pausedUntil, finished }, runs, entries) {
  if (why === "CanaryPauseStep" && pausedUntil !== null) return null; // said above, with what is left
  const decided = why === "AnalysisFailed" ? decisive(runs, entries, finished) : null;
  const when = entries.find(({ reason: said }) => said === message)?.time;
  const text = [message, when && `at ${moment(when)}`].filter(Boolean).join(" ");
  return [
    text && h("p", { class: "why-now" }, text),
    decided && h("p", { class: "why-now worse" }, icon("cross"), ` ${decided}`),
  ];
}

/**
 * "error-rate: 0.083, not result[0] < 0.05, at 02:13:20" of the run that the abort's entry names:
 * a run of an earlier attempt has not led to it, nor has a metric that is only tried.
 */
function decisive(runs, entries, finished) {
  const abort = entries.find(({ action, time }) => action === "rollout.aborted" && time >= finished);
  const run = runs.find(({ id }) => id === abort?.evidence?.run);
  const metric = run?.metrics.find(({ phase, dryRun }) => phase === run.phase && !dryRun);
  if (!metric) return null;
  const bad = metric.measurements.findLast(({ phase }) => phase === metric.phase);
  const condition = metric.failureCondition ?? (metric.successCondition && `not ${metric.successCondition}`);
  const value = bad ? `${readable(bad.value) || bad.message}` : metric.message;
  return [`${metric.name}: ${value}`, condition, bad && `at ${moment(bad.finished_s)}`].filter(Boolean).join(", ");
}

/** A measurement's text without the brackets of a list of one, with four digits. */
export function readable(text) {
  const inner = /^\[([^,[\]]*)\]$/.exec(text)?.[1] ?? text;
  const value = inner === "" ? NaN : Number(inner);
  return Number.isFinite(value) ? String(Number(value.toPrecision(4))) : inner;
}
