/**
 * The steps of the rollout: which are done, which one is under way and for how long, what follows.
 */

import { tick } from "../../clock.js";
import { h, replace } from "../../dom.js";
import { dateTime } from "../../format.js";
import { countdown, STAGES, stepText } from "./words.js";

/** @returns {{element: HTMLElement, show: (found: Object) => void}} */
export function timelinePart() {
  const place = h("div");
  const element = h("section", { class: "card", "aria-labelledby": "steps-title" }, h("h2", { id: "steps-title" }, "Rollout"), place);
  return { element, show: ({ rollout, entries }) => replace(place, facts(rollout), steps(rollout, givenUpAt(rollout, entries))) };
}

function facts({ target, started, finished, number, attempt, release }) {
  if (number === null) return h("p", { class: "muted" }, release ? `Release ${release}; no rollout yet.` : "No rollout yet.");
  const again = attempt > 1 ? `, attempt ${attempt}` : "";
  const end = finished === null ? "" : `, ended ${dateTime(finished)}`;
  return h("p", { class: "muted small" }, `Number ${number}${again} to ${target}, begun ${dateTime(started)}${end}`);
}

function steps(rollout, failed) {
  if (rollout.stage) return stages(rollout);
  if (rollout.steps.length === 0) return h("p", { class: "muted" }, "The strategy has no steps.");
  return h("ol", { class: "steps" }, rollout.steps.map((step, index) => item(rollout, step, index + 1, failed)));
}

/** What a blue-green rollout waits for, one after the other. */
function stages({ stage, target, pausedUntil }) {
  const here = STAGES.findIndex(([name]) => name === stage);
  const items = STAGES.map(([, text], index) => {
    const state = index < here ? "done" : index === here ? "here" : "ahead";
    return line(state, index + 1, text.replace("{}", target), told({ pausedUntil }, state));
  });
  return h("ol", { class: "steps" }, items);
}

function item(rollout, step, number, failed) {
  const state = stateOf(rollout, number, failed);
  return line(state, number, stepText(step), told(rollout, state), state === "here" && bar(rollout, step));
}

function line(state, number, text, said, more) {
  return h(
    "li",
    { class: `step ${state}`, "aria-current": state === "here" ? "step" : null },
    h("span", { class: "step-mark", "aria-hidden": "true" }, { done: "✓", failed: "✗" }[state] ?? number),
    h("span", { class: "step-text" }, text),
    h("span", { class: "step-state" }, said),
    more,
  );
}

function stateOf({ phase, step }, number, failed) {
  const here = step ?? failed;
  if (here === null || phase === "Healthy") return "ahead";
  if (number < here) return "done";
  if (number > here) return "ahead";
  return step === null ? "failed" : "here";
}

/** The step, from 1, at which the newest rollout was given up: its trail knows; null: it was not. */
function givenUpAt({ phase, number }, entries) {
  if (phase !== "Degraded") return null;
  const last = entries.find(({ before }) => before?.rollout?.number === number && isUnderWay(before.rollout.phase));
  return typeof last?.before.rollout.step === "number" ? last.before.rollout.step + 1 : null;
}

function isUnderWay(phase) {
  return phase === "Progressing" || phase === "Paused";
}

function told({ pausedUntil }, state) {
  if (state === "here") return pausedUntil === null ? "now" : countdown(pausedUntil);
  return { done: "done", failed: "given up" }[state] ?? null;
}

function bar({ pausedUntil }, step) {
  const whole = step.pause?.seconds;
  if (!whole || pausedUntil === null) return null;
  const inner = h("span");
  const draw = (now) => {
    const share = 1 - Math.max(0, pausedUntil - now) / whole;
    inner.style.setProperty("--done", `${Math.min(100, Math.max(0, share * 100)).toFixed(1)}%`);
  };
  return tick(h("div", { class: "progress", "aria-hidden": "true" }, inner), draw);
}
