/**
 * Where a chart's ticks stand.  Pure.
 */

const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400];

/**
 * Round values from 0 up to at least `top`.
 * @param {number} top
 * @param {number} [wanted]  about how many steps
 * @returns {number[]}
 */
export function valueTicks(top, wanted = 4) {
  if (!(top > 0)) return [0, 1];
  const rough = top / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const steps = Math.ceil(top / step - 1e-9);
  return Array.from({ length: steps + 1 }, (_, index) => Number((index * step).toPrecision(12)));
}

/**
 * Round moments of the local clock.
 * @param {number} from  seconds since 1970
 * @param {number} to
 * @param {number} wanted  at most so many
 * @returns {{step: number, ticks: number[]}}
 */
export function timeTicks(from, to, wanted) {
  const step = STEPS_S.find((size) => (to - from) / size <= wanted) ?? STEPS_S.at(-1);
  const zone = -new Date(from * 1000).getTimezoneOffset() * 60;
  const ticks = [];
  for (let at = Math.ceil((from + zone) / step) * step - zone; at <= to; at += step) ticks.push(at);
  return { step, ticks };
}

/**
 * The index of the value that is nearest to `wanted` in a rising list; -1 in an empty one.
 * @param {number[]} values
 * @param {number} wanted
 */
export function nearest(values, wanted) {
  let low = 0;
  let high = values.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  const before = low > 0 && wanted - values[low - 1] < values[low] - wanted;
  return values.length === 0 ? -1 : before ? low - 1 : low;
}
