/**
 * Which numbers of a version draw the eye.  Pure, and no verdict: that is the analysis's, which
 * knows how many requests stand behind a number.
 */

/** So much more than stable's stands out; below `floor` it is nothing to anybody. */
const STANDS_OUT = {
  errorRatio: { factor: 1.5, floor: 0.01 },
  p99: { factor: 1.3, floor: 0.02 },
  ttftP99: { factor: 1.3, floor: 0.02 },
};

/**
 * @param {keyof STANDS_OUT} key
 * @param {Object} version
 * @param {?Object} stable
 */
export function isWorse(key, version, stable) {
  if (!stable || version.name === stable.name) return false;
  const [mine, theirs] = [version[key], stable[key]];
  const { factor, floor } = STANDS_OUT[key];
  if (typeof mine !== "number" || typeof theirs !== "number") return false;
  return mine >= floor && mine > theirs * factor;
}

/**
 * How many times as much, in words: "2.3×"; without anything to compare with "stable 0".
 * @param {number} mine
 * @param {number} theirs
 */
export function times(mine, theirs) {
  if (!(theirs > 0)) return "stable 0";
  const factor = mine / theirs;
  return `${factor >= 10 ? Math.round(factor) : factor.toFixed(1)}×`;
}
