/**
 * The limits of the newest analyses as lines in the charts.  Pure.
 *
 * Only a condition that compares one value with one number is a line, and only in the chart of
 * what the metric's name says: a name that fits no chart has its line in the analysis's own.
 */

const COMPARISON = /^\s*(?:result(?:\[0\])?|asFloat\(result(?:\[0\])?\))\s*(<=?|>=?)\s*(-?[\d.]+(?:e-?\d+)?)\s*$/i;
const NAMES = {
  errorRatio: /error/i,
  ttftP99: /ttft|first.?token/i,
  p99: /(latency|duration).*(p?99)|p?99.*(latency|duration)/i,
};

/**
 * The number that a condition compares with; null: it is no such comparison.
 * @param {?string} condition
 * @returns {?number}
 */
export function limitOf(condition) {
  const found = COMPARISON.exec(condition ?? "");
  const value = found === null ? NaN : Number(found[2]);
  return Number.isFinite(value) ? value : null;
}

/**
 * @param {Object} metric  of an analysis run
 * @returns {{value: number, label: string}[]}
 */
export function limitsOf({ failureCondition, successCondition }) {
  return [["fails", failureCondition], ["passes", successCondition]]
    .map(([word, condition]) => ({ value: limitOf(condition), label: `${word}: ${plain(condition)}` }))
    .filter(({ value }) => value !== null);
}

/**
 * @param {string} key  of a chart
 * @param {Object[]} runs  the newest first
 */
export function thresholdsFor(key, runs) {
  const pattern = NAMES[key];
  if (pattern === undefined) return [];
  const target = runs[0]?.canary;
  const metrics = runs.filter(({ canary }) => canary === target).flatMap(({ metrics: all }) => all);
  const found = metrics.filter(({ name }) => pattern.test(name)).flatMap((metric) =>
    limitsOf(metric).map(({ value, label }) => ({ value, label: `${metric.name} ${label}` })),
  );
  return [...new Map(found.map((limit) => [limit.label, limit])).values()].slice(0, 3);
}

function plain(condition) {
  return (condition ?? "").replace(/result(\[0\])?/, "").trim();
}
