/**
 * Moments on a page that stays open: the time alone is today's, so what is still shown when the
 * day is over gets its date.
 */

import { h, setText } from "./dom.js";
import { dateTime, moment, NOTHING } from "./format.js";

const RENEW_MS = 60_000;

/**
 * @param {?number} value  seconds since 1970
 * @returns {HTMLElement|string} a `time`; its title is the whole date
 */
export function momentElement(value) {
  if (typeof value !== "number") return NOTHING;
  return h("time", { datetime: new Date(value * 1000).toISOString(), title: dateTime(value), data: { moment: value } }, moment(value));
}

function renew() {
  for (const element of document.querySelectorAll("time[data-moment]")) {
    setText(element, moment(Number(element.dataset.moment)));
  }
}

setInterval(renew, RENEW_MS);
