/**
 * Where two JSON documents differ.  Pure; lists are compared place by place.
 */

const MOST = 200;
const MAX_DEPTH = 80;
const MAX_VALUE = 300;

/**
 * @param {*} left
 * @param {*} right
 * @returns {{paths: {path: string, left: string, right: string}[], more: boolean}} at most 200
 */
export function differingPaths(left, right) {
  const paths = [];
  walk(left, right, "$", paths, 0);
  return { paths: paths.slice(0, MOST), more: paths.length > MOST };
}

function walk(left, right, path, paths, depth) {
  if (paths.length > MOST || left === right) return;
  if (depth >= MAX_DEPTH || kind(left) !== kind(right) || kind(left) === "value") {
    if (depth < MAX_DEPTH || JSON.stringify(left) !== JSON.stringify(right)) paths.push({ path, left: told(left), right: told(right) });
    return;
  }
  if (kind(left) === "list") {
    for (let at = 0; at < Math.max(left.length, right.length); at += 1) walk(left[at], right[at], `${path}[${at}]`, paths, depth + 1);
    return;
  }
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    walk(own(left, key), own(right, key), path + step(key), paths, depth + 1);
  }
}

function own(object, key) {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function kind(value) {
  if (Array.isArray(value)) return "list";
  return value !== null && typeof value === "object" ? "object" : "value";
}

function step(key) {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}

function told(value) {
  if (value === undefined) return "(absent)";
  const text = JSON.stringify(value);
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}\u2026` : text;
}
