/**
 * What differs between the states before and after, place by place.  Pure.
 */

import { dateTime, NOTHING, percent } from "../../format.js";

const MOST = 100;
const MAX_DEPTH = 12;
const MAX_VALUE = 400;

/**
 * @param {*} before
 * @param {*} after
 * @returns {{changes: {path: string, before: string, after: string}[], more: boolean}}
 */
export function changesOf(before, after) {
  const [was, is] = [new Map(), new Map()];
  flatten(before, "", was, 0);
  flatten(after, "", is, 0);
  const paths = [...new Set([...was.keys(), ...is.keys()])].filter((path) => was.get(path) !== is.get(path));
  const changes = paths.slice(0, MOST).map((path) => ({ path: path || "all", before: was.get(path) ?? NOTHING, after: is.get(path) ?? NOTHING }));
  return { changes, more: paths.length > MOST };
}

function flatten(value, path, found, depth) {
  if (value === null || value === undefined) return;
  const deep = typeof value === "object" && depth < MAX_DEPTH;
  if (!deep || isShort(value)) {
    found.set(path, told(value, path));
    return;
  }
  for (const [key, each] of Object.entries(value)) flatten(each, path ? `${path}.${key}` : key, found, depth + 1);
}

/** Lists of plain values are read as one; everything else member by member. */
function isShort(value) {
  return Array.isArray(value) && value.every((each) => each === null || typeof each !== "object");
}

/** Names of the trail (`StateDocument`): numbers below them are percent, or seconds since 1970. */
const PERCENT = /(^|\.)(weights|wanted)\.[^.]+$|(^|\.)(percent|noisePercent)$/;
const TIME = /(^|\.)(since|expires|started|finished|until|pausedUntil)$/;

function told(value, path) {
  if (typeof value === "number" && PERCENT.test(path)) return percent(value);
  if (typeof value === "number" && TIME.test(path)) return dateTime(value);
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}\u2026` : text;
}
