/**
 * What differs between the states before and after, place by place.  Pure.
 *
 * Values are compared as they are; only what is shown is rounded and cut, and never so that both
 * sides look the same.
 */

import { dateTime, NOTHING, percent } from "../../format.js";

const MOST = 100;
const MAX_DEPTH = 12;
const MAX_VALUE = 400;
/** Characters that are shown before a difference that comes late. */
const LEAD = 40;

/**
 * @param {*} before
 * @param {*} after
 * @returns {{changes: {path: string, before: string, after: string}[], more: boolean}}
 */
export function changesOf(before, after) {
  const [was, is] = [placesOf(before), placesOf(after)];
  const places = [...new Set([...was.keys(), ...is.keys()])].filter((place) => was.get(place)?.raw !== is.get(place)?.raw);
  return { changes: places.slice(0, MOST).map((place) => change(was.get(place), is.get(place))), more: places.length > MOST };
}

/** @returns {Map<string, {keys: string[], value: *, raw: string}>}  no place is like another one */
function placesOf(state) {
  const found = new Map();
  flatten(state, [], found);
  return found;
}

function flatten(value, keys, found) {
  if (value === null || value === undefined) return;
  const deep = typeof value === "object" && keys.length < MAX_DEPTH;
  if (!deep || isShort(value)) {
    found.set(JSON.stringify(keys), { keys, value, raw: JSON.stringify(value) });
    return;
  }
  for (const [key, each] of Object.entries(value)) flatten(each, [...keys, key], found);
}

/** Lists of plain values are read as one; everything else member by member. */
function isShort(value) {
  return Array.isArray(value) && value.every((each) => each === null || typeof each !== "object");
}

function change(was, is) {
  const path = (was ?? is).keys.join(".") || "all";
  if (!was || !is) return { path, before: was ? cut(told(was)) : NOTHING, after: is ? cut(told(is)) : NOTHING };
  const [before, after] = told(was) === told(is) ? [was.raw, is.raw] : [told(was), told(is)];
  const from = cut(before) === cut(after) ? firstDifference(before, after) - LEAD : 0;
  return { path, before: cut(before, from), after: cut(after, from) };
}

function firstDifference(one, other) {
  let at = 0;
  while (one[at] === other[at]) at += 1; // they do differ
  return at;
}

function cut(text, from = 0) {
  const end = from + MAX_VALUE;
  return `${from > 0 ? "\u2026" : ""}${text.slice(from, end)}${text.length > end ? "\u2026" : ""}`;
}

/** Names of the trail (`StateDocument`): numbers there are percent, or seconds since 1970. */
const SHARES = new Set(["weights", "wanted"]); // of versions, whose names may be any
const PERCENT = new Set(["percent", "noisePercent"]);
const TIMES = new Set(["since", "expires", "started", "finished", "until", "pausedUntil"]);

function told({ keys, value }) {
  if (typeof value === "number" && (SHARES.has(keys.at(-2)) || PERCENT.has(keys.at(-1)))) return percent(value);
  if (typeof value === "number" && TIMES.has(keys.at(-1))) return dateTime(value);
  return typeof value === "string" ? value : JSON.stringify(value);
}
