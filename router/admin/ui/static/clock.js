/**
 * The time of the router's host, and things that tick: a laptop's clock that is wrong must not
 * make "4 min left" wrong.
 */

const TRUSTED_MS = 2_000; // `Date` counts whole seconds, and the answer took its time

let offset = 0;
const ticking = new Map();
let timer = null;

/** Seconds since 1970, as the router's host has them. */
export function now() {
  return (Date.now() + offset) / 1000;
}

/**
 * Learn from an answer's `Date` header.
 * @param {?string} date
 */
export function learn(date) {
  const told = date === null ? NaN : Date.parse(date);
  if (Number.isNaN(told)) return;
  const seen = told + 500 - Date.now();
  offset = Math.abs(seen) > TRUSTED_MS ? seen : 0;
}

/**
 * Call `fn(now)` at once and every second, as long as the element is in the document.
 * @template {Element} T
 * @param {T} element
 * @param {(now: number) => void} fn
 * @returns {T}
 */
export function tick(element, fn) {
  ticking.set(element, { fn, seen: false });
  fn(now());
  timer ??= setInterval(beat, 1_000);
  return element;
}

function beat() {
  for (const [element, each] of ticking) {
    // Elements are made before they are shown: one that was never seen is given a second chance.
    if (element.isConnected) each.fn(now());
    else if (each.seen) ticking.delete(element);
    each.seen = true;
  }
  if (ticking.size === 0) {
    clearInterval(timer);
    timer = null;
  }
}
