/**
 * What a rollout does, waits for and does next, in the words of the docs.
 */

import { tick } from "../../clock.js";
import { h, replace } from "../../dom.js";
import { duration, moment, percent } from "../../format.js";

/** What a blue-green rollout waits for, in order; the names are those of the API. */
export const STAGES = [
  ["health", "healthy endpoints of {}"],
  ["warmUp", "every endpoint of {} is warmed up"],
  ["prePromotionAnalysis", "{} is measured before it gets the traffic"],
  ["promotion", "{} is promoted"],
  ["switch", "{} gets the traffic"],
  ["served", "every worker has heard of it"],
  ["postPromotionAnalysis", "{} is measured once more"],
];

/**
 * One step of a strategy.
 * @param {Object} step  as `GET …/rollout` tells it
 */
export function stepText(step) {
  const [[kind, content] = ["", null]] = Object.entries(step ?? {});
  switch (kind) {
    case "setWeight":
      return `set weight to ${percent(content)}`;
    case "pause":
      return content?.seconds ? `pause for ${duration(content.seconds)}` : "pause until a person resumes";
    case "analysis":
      return `analysis ${content?.templates?.join(", ") ?? ""}`;
    case "setHeaderRoute":
      return `send requests with ${content?.headers?.join(", ") ?? "certain headers"} to it`;
    case "setShadow":
      return `copy ${percent(content?.percent)} of the requests to ${content?.version}`;
    default:
      return kind || "unknown step";
  }
}

/**
 * A countdown that runs by itself: "4 min 12 s left".
 * @param {number} until  seconds since 1970
 * @param {string} [over]  said when it has passed
 */
export function countdown(until, over = "any moment") {
  const element = h("span", { class: "left" });
  return tick(element, (now) => replace(element, until > now ? `${duration(until - now)} left` : over));
}

/**
 * How far a route's rollout is, in one line.
 * @param {{phase: string, text: string, step: ?number, steps: number, until: ?number,
 *   override: ?Object}} route  as the overview tells it
 * @param {string} [more]  class
 */
export function rolloutLine({ phase, text, step, steps, until, override }, more = "") {
  const busy = phase === "Progressing" || phase === "Paused";
  const parts = [
    busy && step !== null && `step ${step} of ${steps}`,
    busy && until !== null && countdown(until),
    text,
  ].filter(Boolean);
  const joined = parts.flatMap((part, index) => (index === 0 ? [part] : [" · ", part]));
  return [
    parts.length > 0 && h("p", { class: `${more} ${phase === "Degraded" ? "loud" : ""}`.trim() }, joined),
    override && h("p", { class: `${more} loud`.trim() }, heldText(override)),
  ];
}

/**
 * Who holds the weights by hand.
 * @param {{holder: string, reason: string, since: number, expires: ?number}} override
 */
export function heldText({ holder, reason, expires }) {
  const end = expires === null ? "until released" : `until ${moment(expires)}`;
  return `held by ${holder} ${end}: ${reason}`;
}
