/**
 * Numbers and times as people read them.  Everything takes null and says "–": it is not known.
 * Times are seconds since 1970, shown in the browser's zone; lengths of time are seconds.
 */

import { now as present } from "./clock.js";

export const NOTHING = "–";

const known = (value) => typeof value === "number" && Number.isFinite(value);
const numbers = new Map();

/** A number with at most so many decimals, none for nothing: 4.2, 1,234. */
export function number(value, decimals = 2) {
  if (!known(value)) return NOTHING;
  if (!numbers.has(decimals)) {
    const how = { maximumFractionDigits: decimals };
    numbers.set(decimals, new Intl.NumberFormat("en", how));
  }
  return numbers.get(decimals).format(value);
}

/** Percent, given in percent: "5 %", "0.25 %". */
export function percent(value) {
  return known(value) ? `${number(value, 2)} %` : NOTHING;
}

/** A ratio from 0 to 1, told in percent with two significant digits: "0.83 %", "12 %". */
export function ratio(value) {
  if (!known(value)) return NOTHING;
  const share = value * 100;
  const size = Math.abs(share);
  const decimals = size === 0 || size >= 1 ? 1 : size >= 0.1 ? 2 : 3;
  return `${number(share, decimals)} %`;
}

/** A measured time: "850 µs", "12.3 ms", "1.24 s", "3 min 20 s". */
export function seconds(value) {
  if (!known(value)) return NOTHING;
  const size = Math.abs(value);
  if (size === 0) return "0 s";
  if (size < 0.001) return `${number(value * 1e6, 0)} µs`;
  if (size < 1) return `${number(value * 1e3, size < 0.1 ? 1 : 0)} ms`;
  return size < 120 ? `${number(value, size < 10 ? 2 : 1)} s` : duration(value);
}

/** A span that somebody waits for: "12 s", "4 min 12 s", "2 h 5 min", "3 d 4 h". */
export function duration(value) {
  if (!known(value)) return NOTHING;
  const all = Math.max(0, Math.round(value));
  const units = [[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]];
  const first = units.findIndex(([size]) => all >= size);
  if (first < 0) return "0 s";
  const parts = units.slice(first, first + 2).map(([size, name], at) => {
    const count = at === 0 ? Math.floor(all / size) : Math.floor((all % units[first][0]) / size);
    return at > 0 && count === 0 ? null : `${count} ${name}`;
  });
  return parts.filter(Boolean).join(" ");
}

/** How often a second: "12.4 /s". */
export function rate(value) {
  if (!known(value)) return NOTHING;
  return `${number(value, value >= 100 ? 0 : value >= 10 ? 1 : 2)} /s`;
}

/** How many: "1,234". */
export function count(value) {
  return known(value) ? number(value, 0) : NOTHING;
}

/** Tokens a second: "85 tok/s". */
export function tokens(value) {
  return known(value) ? `${number(value, value >= 10 ? 0 : 1)} tok/s` : NOTHING;
}

/** A size: "12 B", "3.4 kB", "1.2 MB". */
export function bytes(value) {
  if (!known(value)) return NOTHING;
  const [size, unit] = value < 1e3 ? [1, "B"] : value < 1e6 ? [1e3, "kB"] : [1e6, "MB"];
  return `${number(value / size, 1)} ${unit}`;
}

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const brief = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const day = new Intl.DateTimeFormat("en-CA", { dateStyle: "short" });

/** "02:13:20". */
export function time(value) {
  return known(value) ? clock.format(value * 1000) : NOTHING;
}

/** "02:13". */
export function shortTime(value) {
  return known(value) ? brief.format(value * 1000) : NOTHING;
}

/** "2026-05-04 02:13:20". */
export function dateTime(value) {
  return known(value) ? `${day.format(value * 1000)} ${time(value)}` : NOTHING;
}

/** The time of a moment of today, the whole date of another day's. */
export function moment(value, now = present()) {
  if (!known(value)) return NOTHING;
  const today = day.format(now * 1000) === day.format(value * 1000);
  return today ? time(value) : dateTime(value);
}

/** "just now", "3 min ago", "in 20 s". */
export function age(value, now = present()) {
  if (!known(value)) return NOTHING;
  const ago = now - value;
  if (Math.abs(ago) < 2) return "just now";
  const span = rough(Math.abs(ago));
  return ago < 0 ? `in ${span}` : `${span} ago`;
}

function rough(span) {
  if (span < 60) return `${Math.round(span)} s`;
  if (span < 3_600) return `${Math.round(span / 60)} min`;
  return span < 172_800 ? `${Math.round(span / 3_600)} h` : `${Math.round(span / 86_400)} d`;
}
