/**
 * What differs between two texts.  Pure.
 *
 * Lines are compared first; lines that were replaced are compared word by word.  Equal ends are
 * cut off, words that stand once on both sides are anchors (patience), and what is left between
 * them is compared by Myers' greedy algorithm within a bound on edits.
 *
 * Promises: the left spans of all rows are the left text and the right ones the right text, as
 * far as they were read (`MAX_CHARS`); the work is about linear in their length, whatever they
 * are: a stretch that would cost more is told as replaced.
 *
 * @typedef {{kind: "same"|"removed"|"added", a: number, aEnd: number, b: number, bEnd: number}} Run
 *   tokens from `a` up to `aEnd` of the left and from `b` up to `bEnd` of the right side
 * @typedef {{text: string, changed: boolean}} Span
 * @typedef {{kind: "same"|"changed"|"removed"|"added", left: ?Span[], right: ?Span[],
 *   leftLine: ?number, rightLine: ?number, continued?: boolean}} Row  `continued`: it goes on with
 *   the line of the row before, which is in many pieces
 */

/** Characters of each side that are read. */
export const MAX_CHARS = 1_000_000;
/** Edits of one stretch that are looked for: the trace needs their square in memory. */
const MAX_EDITS = 300;
/** A longer word is compared in pieces: a body may be one word. */
const LONGEST_WORD = 64;
/** Runs of a changed line that stand in one row. */
const ROW_RUNS = 120;
/** From anchors to anchors between them; each level is shorter. */
const MAX_DEPTH = 24;

const WORDS = new RegExp(`\\s+|[\\p{L}\\p{N}_]{1,${LONGEST_WORD}}|[^\\s\\p{L}\\p{N}_]`, "gu");

/**
 * Two texts as rows that stand beside each other.
 * @param {string} left
 * @param {string} right
 * @returns {{rows: Row[], cut: boolean, differing: number}} `cut`: not all of them was read;
 *   `differing`: how many lines are not the same
 */
export function diffTexts(left, right) {
  const cut = left.length > MAX_CHARS || right.length > MAX_CHARS;
  const [a, b] = [lines(left.slice(0, MAX_CHARS)), lines(right.slice(0, MAX_CHARS))];
  const rows = rowsOf(diffTokens(a, b), a, b);
  return { rows, cut, differing: rows.filter(({ kind, continued }) => kind !== "same" && !continued).length };
}

/** A text's lines, without their ends; none of an empty text. */
export function lines(text) {
  return text === "" ? [] : text.split("\n");
}

/** A text's words, and what stands between them, as the text has them. */
export function words(text) {
  return text.match(WORDS) ?? [];
}

/**
 * Runs of equal and differing tokens, in order.
 * @param {string[]} a
 * @param {string[]} b
 * @returns {Run[]}
 */
export function diffTokens(a, b) {
  const runs = [];
  walk({ a, b, runs }, 0, a.length, 0, b.length, 0);
  return runs;
}

// -- tokens -----------------------------------------------------------------------------------

function walk(both, from, to, fromB, toB, depth) {
  const { a, b } = both;
  let [start, startB, end, endB] = [from, fromB, to, toB];
  while (start < end && startB < endB && a[start] === b[startB]) [start, startB] = [start + 1, startB + 1];
  while (end > start && endB > startB && a[end - 1] === b[endB - 1]) [end, endB] = [end - 1, endB - 1];
  push(both, "same", from, start, fromB, startB);
  if (start < end && startB < endB) between(both, start, end, startB, endB, depth);
  else replaced(both, start, end, startB, endB);
  push(both, "same", end, to, endB, toB);
}

/** A stretch whose ends differ: short ones exactly, long ones from anchor to anchor. */
function between(both, from, to, fromB, toB, depth) {
  const exact = greedy(both, from, to, fromB, toB);
  if (exact !== null) {
    for (const [kind, ...range] of exact) push(both, kind, ...range);
    return;
  }
  const anchors = depth < MAX_DEPTH ? anchorsOf(both, from, to, fromB, toB) : [];
  if (anchors.length === 0) {
    replaced(both, from, to, fromB, toB);
    return;
  }
  let [at, atB] = [from, fromB];
  for (const [anchor, anchorB] of anchors) {
    walk(both, at, anchor, atB, anchorB, depth + 1);
    push(both, "same", anchor, anchor + 1, anchorB, anchorB + 1);
    [at, atB] = [anchor + 1, anchorB + 1];
  }
  walk(both, at, to, atB, toB, depth + 1);
}

function replaced(both, from, to, fromB, toB) {
  push(both, "removed", from, to, fromB, fromB);
  push(both, "added", to, to, fromB, toB);
}

function push({ runs }, kind, a, aEnd, b, bEnd) {
  if (a === aEnd && b === bEnd) return;
  const last = runs.at(-1);
  if (last?.kind === kind) [last.aEnd, last.bEnd] = [aEnd, bEnd];
  else runs.push({ kind, a, aEnd, b, bEnd });
}

/**
 * Myers' greedy algorithm (An O(ND) Difference Algorithm, 1986); null beyond MAX_EDITS.
 * `furthest[diagonal]` is how far a path of so many edits comes on `a`.
 */
function greedy({ a, b }, from, to, fromB, toB) {
  const [length, lengthB] = [to - from, toB - fromB];
  const most = Math.min(MAX_EDITS, length + lengthB);
  const furthest = new Int32Array(2 * most + 3);
  const middle = most + 1;
  const trace = [];
  for (let edits = 0; edits <= most; edits += 1) {
    trace.push(furthest.slice(middle - edits - 1, middle + edits + 2));
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      const down = diagonal === -edits || (diagonal !== edits && furthest[middle + diagonal - 1] < furthest[middle + diagonal + 1]);
      let x = down ? furthest[middle + diagonal + 1] : furthest[middle + diagonal - 1] + 1;
      while (x < length && x - diagonal < lengthB && a[from + x] === b[fromB + x - diagonal]) x += 1;
      furthest[middle + diagonal] = x;
      if (x >= length && x - diagonal >= lengthB) return way(trace, edits, from, to, fromB, toB);
    }
  }
  return null;
}

/** The way back through the trace, told from its beginning. */
function way(trace, edits, from, to, fromB, toB) {
  const steps = [];
  let [x, y] = [to - from, toB - fromB];
  for (let left = edits; left > 0; left -= 1) {
    const reached = (diagonal) => trace[left][left + 1 + diagonal];
    const diagonal = x - y;
    const down = diagonal === -left || (diagonal !== left && reached(diagonal - 1) < reached(diagonal + 1));
    const before = down ? diagonal + 1 : diagonal - 1;
    const [wasX, wasY] = [reached(before), reached(before) - before];
    const [startX, startY] = down ? [wasX, wasY + 1] : [wasX + 1, wasY];
    steps.push(["same", from + startX, from + x, fromB + startY, fromB + y]);
    steps.push([down ? "added" : "removed", from + wasX, from + startX, fromB + wasY, fromB + startY]);
    [x, y] = [wasX, wasY];
  }
  steps.push(["same", from, from + x, fromB, fromB + y]);
  return steps.reverse();
}

/** Pairs of tokens that stand once on each side, as many as rise on both sides. */
function anchorsOf({ a, b }, from, to, fromB, toB) {
  const [once, onceB] = [singles(a, from, to), singles(b, fromB, toB)];
  const pairs = [];
  for (const [token, at] of once) {
    const atB = at < 0 ? -1 : (onceB.get(token) ?? -1);
    if (atB >= 0) pairs.push([at, atB]);
  }
  return rising(pairs);
}

function singles(tokens, from, to) {
  const found = new Map();
  for (let at = from; at < to; at += 1) found.set(tokens[at], found.has(tokens[at]) ? -1 : at);
  return found;
}

/** The longest part of the pairs whose second members rise (patience sorting). */
function rising(pairs) {
  const tops = [];
  const before = new Int32Array(pairs.length).fill(-1);
  pairs.forEach(([, atB], index) => {
    let [low, high] = [0, tops.length];
    while (low < high) {
      const half = (low + high) >> 1;
      if (pairs[tops[half]][1] < atB) low = half + 1;
      else high = half;
    }
    if (low > 0) before[index] = tops[low - 1];
    tops[low] = index;
  });
  const chain = [];
  for (let at = tops.at(-1) ?? -1; at >= 0; at = before[at]) chain.push(pairs[at]);
  return chain.reverse();
}

// -- rows -------------------------------------------------------------------------------------

function rowsOf(runs, a, b) {
  const rows = [];
  for (let index = 0; index < runs.length; index += 1) {
    const run = runs[index];
    const beside = runs[index + 1];
    if (run.kind === "same") {
      for (let at = 0; at < run.aEnd - run.a; at += 1) rows.push(same(a[run.a + at], run.a + at, run.b + at));
    } else if (beside !== undefined && beside.kind !== "same") {
      const [gone, come] = run.kind === "removed" ? [run, beside] : [beside, run];
      paired(rows, a, b, gone, come);
      index += 1;
    } else paired(rows, a, b, run, run);
  }
  return rows;
}

function same(text, at, atB) {
  const spans = [{ text, changed: false }];
  return { kind: "same", left: spans, right: spans, leftLine: at + 1, rightLine: atB + 1 };
}

function paired(rows, a, b, { a: from, aEnd: to }, { b: fromB, bEnd: toB }) {
  for (let at = 0; at < Math.max(to - from, toB - fromB); at += 1) {
    const [left, right] = [from + at, fromB + at];
    if (left < to && right < toB) rows.push(...changed(a[left], b[right], left + 1, right + 1));
    else if (left < to) rows.push({ kind: "removed", left: whole(a[left]), right: null, leftLine: left + 1, rightLine: null });
    else rows.push({ kind: "added", left: null, right: whole(b[right]), leftLine: null, rightLine: right + 1 });
  }
}

function whole(text) {
  return [{ text, changed: true }];
}

/** Two lines word by word; very long ones in several rows, each beginning at the same place. */
function changed(leftText, rightText, leftLine, rightLine) {
  const [a, b] = [words(leftText), words(rightText)];
  const runs = diffTokens(a, b);
  const rows = [];
  for (let at = 0; at < runs.length; ) {
    let end = Math.min(at + ROW_RUNS, runs.length);
    // Not between what was removed and what stands in its place.
    while (end < runs.length && runs[end].kind !== "same") end += 1;
    const some = runs.slice(at, end);
    const numbers = at === 0 ? { leftLine, rightLine } : { leftLine: null, rightLine: null, continued: true };
    rows.push({ kind: "changed", left: spans(some, a, "a", "aEnd"), right: spans(some, b, "b", "bEnd"), ...numbers });
    at = end;
  }
  return rows;
}

function spans(runs, tokens, from, to) {
  return runs
    .filter((run) => run[to] > run[from])
    .map((run) => ({ text: tokens.slice(run[from], run[to]).join(""), changed: run.kind !== "same" }));
}
