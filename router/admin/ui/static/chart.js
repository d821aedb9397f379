/**
 * Values over time as SVG: a labelled axis with its unit, gaps where nothing was measured,
 * thresholds as labelled lines, events as marks, and one cursor for all charts of a group.
 *
 * The pointer or the arrow keys move the cursor (Page Up and Page Down go from mark to mark); a
 * screen reader hears a summary, and the values at the cursor.
 *
 * @typedef {{name: string, class?: string, dash?: string, stepped?: boolean,
 *   values: (number|null)[]}} Series  `class` like `role-canary`; without it by position
 * @typedef {{value: number, label: string}} Threshold
 * @typedef {{time: number, text: string}} Mark
 * @typedef {Object} Drawn
 * @property {number[]} times  seconds since 1970, rising
 * @property {Series[]} series
 * @property {Threshold[]} [thresholds]
 * @property {Mark[]} [marks]
 */

import { h, replace, s } from "./dom.js";
import { NOTHING, number, shortTime, time } from "./format.js";
import { nearest, timeTicks, valueTicks } from "./scale.js";

const TOP = 12;
const BOTTOM = 22;
const RIGHT = 14;
const SHARED_LEFT = 76;
const LETTER = 6.4; // an 11 px digit of the system fonts is not wider
const DASHES = ["", "7 4", "2 4", "9 3 2 3", "4 2", "12 4"];
/** A threshold so far above the values is told at the edge: a line there would flatten them. */
const FAR = 8;

const groups = new Map();

/**
 * @param {Drawn & {title: string, unit?: string, format?: (value: ?number) => string,
 *   height?: number, top?: number, sync?: string}} what  `format`: of ticks and values; `top`:
 *   the axis reaches at least so far; `sync`: the group that shares a cursor
 * @returns {{element: HTMLElement, update: (data: Partial<Drawn>) => void}}
 */
export function timeChart({ title, unit = "", format = number, height = 170, top = 0, sync, ...data }) {
  const chart = new Chart({ title, unit, format, height, top });
  if (sync !== undefined) chart.join(sync);
  chart.update(data);
  return { element: chart.element, update: (next) => chart.update(next) };
}

class Chart {
  constructor(how) {
    Object.assign(this, how);
    this.data = { times: [], series: [], thresholds: [], marks: [] };
    this.width = 0;
    this.at = null;
    this.keys = h("div", { class: "chart-keys" });
    this.canvas = s("g");
    this.cursor = s("g");
    this.svg = s("svg", { height: this.height, role: "img", tabindex: "0", data: { key: `chart-${this.title}` } }, this.canvas, this.cursor);
    this.tip = h("div", { class: "tip", hidden: true, "aria-hidden": "true" });
    this.said = h("p", { class: "unseen", "aria-live": "polite" });
    const head = h(
      "figcaption",
      { class: "chart-head" },
      h("span", { class: "chart-title" }, this.title),
      this.unit && h("span", { class: "chart-unit" }, this.unit),
      this.keys,
    );
    const plot = h("div", { class: "chart-plot" }, this.svg, this.tip);
    this.element = h("figure", { class: "chart" }, head, plot, this.said);
    this.listen(plot);
  }

  listen(plot) {
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerdown", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.move(null));
    this.svg.addEventListener("keydown", (event) => this.press(event));
    this.svg.addEventListener("blur", () => this.move(null));
    new ResizeObserver(() => {
      if (plot.clientWidth === this.width || plot.clientWidth === 0) return;
      this.width = plot.clientWidth;
      this.draw();
    }).observe(plot);
  }

  join(name) {
    const members = groups.get(name) ?? [];
    const alive = members.map((ref) => ref.deref()).filter((chart) => chart !== undefined);
    this.peersOf = () =>
      groups.get(name).map((ref) => ref.deref()).filter((chart) => chart?.element.isConnected);
    groups.set(name, [...alive, this].map((chart) => new WeakRef(chart)));
  }

  update(data) {
    this.data = { ...this.data, ...data };
    this.svg.setAttribute("aria-label", this.summary());
    replace(this.keys, this.data.series.map((series, index) => this.key(series, index)));
    if (this.width > 0) this.draw();
  }

  // -- drawing ----------------------------------------------------------------------------------

  draw() {
    const { times, series, thresholds, marks } = this.data;
    this.measure();
    replace(
      this.canvas,
      this.values.map((value) => this.horizontal(value)),
      this.moments(),
      marks.filter(({ time: at }) => this.isInside(at)).map((mark) => this.mark(mark)),
      series.map((one, index) => this.line(one, index)),
      thresholds.map((threshold) => this.threshold(threshold)),
      (times.length === 0 || this.isEmpty()) && this.text("nothing was measured in this time"),
    );
    this.show();
  }

  measure() {
    const { series, thresholds, times } = this.data;
    const known = series.flatMap(({ values }) => values.filter((value) => value !== null));
    const highest = known.reduce((most, value) => Math.max(most, value), this.top);
    const limits = thresholds.map(({ value }) => value).filter((value) => highest === 0 || value <= highest * FAR);
    this.values = valueTicks(Math.max(highest * 1.04, ...limits.map((value) => value * 1.08), 0), this.height < 130 ? 3 : 4);
    if (this.top > 0 && highest <= this.top) this.values = valueTicks(this.top);
    const letters = Math.max(...this.values.map((value) => this.format(value).length));
    // Charts that share a cursor stand above each other: their axes begin at the same place.
    this.left = Math.max(this.peersOf ? SHARED_LEFT : 36, Math.ceil(letters * LETTER) + 12);
    [this.from, this.to] = [times[0] ?? 0, times.at(-1) ?? 1];
  }

  isEmpty() {
    return this.data.series.every(({ values }) => values.every((value) => value === null));
  }

  isInside(at) {
    return at >= this.from && at <= this.to;
  }

  x(at) {
    const share = this.to > this.from ? (at - this.from) / (this.to - this.from) : 0.5;
    return this.left + share * (this.width - this.left - RIGHT);
  }

  y(value) {
    const bottom = this.height - BOTTOM;
    return bottom - (Math.max(0, value) / this.values.at(-1)) * (bottom - TOP);
  }

  horizontal(value) {
    const y = Math.round(this.y(value));
    return [
      s("line", { class: value === 0 ? "axis" : "grid", x1: this.left, x2: this.width - RIGHT, y1: y, y2: y }),
      s("text", { x: this.left - 7, y: y + 4, "text-anchor": "end" }, this.format(value)),
    ];
  }

  moments() {
    const { step, ticks } = timeTicks(this.from, this.to, Math.max(2, (this.width - this.left) / 90));
    const told = step < 60 ? time : shortTime;
    return ticks.map((at) => {
      const x = Math.round(this.x(at));
      const y = this.height - BOTTOM;
      return [
        s("line", { class: "axis", x1: x, x2: x, y1: y, y2: y + 4 }),
        s("text", { x, y: this.height - 5, "text-anchor": "middle" }, told(at)),
      ];
    });
  }

  line(one, index) {
    const style = { class: `line ${look(one, index)}`, "stroke-dasharray": one.dash ?? DASHES[index % DASHES.length] };
    const runs = stretches(one.values);
    return [
      runs.filter((run) => run.length > 1).map((run) => s("path", { ...style, d: this.path(run, one) })),
      runs.filter((run) => run.length === 1).map(([at]) =>
        s("circle", { class: `point ${look(one, index)}`, cx: this.x(this.data.times[at]), cy: this.y(one.values[at]), r: 2.5 }),
      ),
    ];
  }

  path(run, { values, stepped }) {
    return run
      .map((at, nth) => {
        const x = this.x(this.data.times[at]).toFixed(1);
        const y = this.y(values[at]).toFixed(1);
        if (nth === 0) return `M${x} ${y}`;
        return stepped ? `H${x}V${y}` : `L${x} ${y}`;
      })
      .join("");
  }

  threshold({ value, label }) {
    const above = value > this.values.at(-1);
    const y = above ? TOP : this.y(value);
    const text = s("text", { class: "threshold-label", x: this.width - RIGHT - 4, y: y < TOP + 14 ? y + 12 : y - 5, "text-anchor": "end" }, above ? `↑ ${label}` : label);
    return [!above && s("line", { class: "threshold", x1: this.left, x2: this.width - RIGHT, y1: y, y2: y }), text];
  }

  mark({ time: at, text }) {
    const x = Math.round(this.x(at)) + 0.5;
    return s(
      "g",
      { class: "mark" },
      s("title", null, `${time(at)} ${text}`),
      s("line", { x1: x, x2: x, y1: TOP - 4, y2: this.height - BOTTOM }),
      s("path", { d: `M${x - 4.5} ${TOP - 11}h9l-4.5 7z` }),
    );
  }

  text(words) {
    return s("text", { class: "no-data", x: (this.left + this.width) / 2, y: this.height / 2, "text-anchor": "middle" }, words);
  }

  key(series, index) {
    const dash = series.dash ?? DASHES[index % DASHES.length];
    const sample = s("svg", { "aria-hidden": "true" }, s("line", { class: `line ${look(series, index)}`, "stroke-dasharray": dash, x1: 1, x2: 25, y1: 4, y2: 4 }));
    return h("span", { class: "chart-key" }, sample, series.name);
  }

  summary() {
    const { times, series, thresholds } = this.data;
    const span = times.length > 0 ? `${shortTime(times[0])} to ${shortTime(times.at(-1))}` : "no time";
    const said = series.map(({ name, values }) => {
      const known = values.filter((value) => value !== null);
      if (known.length === 0) return `${name}: no values`;
      const low = known.reduce((least, value) => Math.min(least, value));
      const high = known.reduce((most, value) => Math.max(most, value));
      return `${name}: last ${this.format(known.at(-1))}, from ${this.format(low)} to ${this.format(high)}`;
    });
    const limits = thresholds.map(({ label }) => label);
    return [`${this.title}, ${span}`, ...said, ...limits, "arrow keys read the values"].join(". ");
  }

  // -- the cursor -------------------------------------------------------------------------------

  point(event) {
    const x = event.clientX - this.svg.getBoundingClientRect().left;
    const share = (x - this.left) / (this.width - this.left - RIGHT);
    this.move(nearest(this.data.times, this.from + share * (this.to - this.from)));
  }

  press(event) {
    const last = this.data.times.length - 1;
    const here = this.at ?? last + 1;
    const target = {
      ArrowLeft: here - 1,
      ArrowRight: here + 1,
      Home: 0,
      End: last,
      PageUp: this.markBeside(here, -1),
      PageDown: this.markBeside(here, 1),
    }[event.key];
    if (event.key === "Escape") this.move(null);
    if (target === undefined || last < 0) return;
    event.preventDefault();
    this.move(Math.min(last, Math.max(0, target)));
    this.said.textContent = this.read().join(", ");
  }

  markBeside(here, direction) {
    const places = this.data.marks
      .filter(({ time: at }) => this.isInside(at))
      .map(({ time: at }) => nearest(this.data.times, at))
      .sort((a, b) => (a - b) * direction);
    return places.find((place) => (place - here) * direction > 0);
  }

  move(index) {
    const at = index === null || index < 0 ? null : this.data.times[index];
    for (const chart of this.peersOf?.() ?? [this]) {
      chart.at = at === null ? null : nearest(chart.data.times, at);
      chart.show(chart === this);
    }
  }

  show(own = false) {
    const at = this.data.times[this.at];
    this.tip.hidden = at === undefined;
    if (at === undefined) {
      replace(this.cursor);
      return;
    }
    const x = Math.round(this.x(at)) + 0.5;
    replace(this.cursor, s("line", { class: "cursor", x1: x, x2: x, y1: TOP - 4, y2: this.height - BOTTOM }));
    replace(this.tip, this.tipContent(at, own));
    const left = x > this.width / 2;
    this.tip.style.left = left ? "auto" : `${x + 10}px`;
    this.tip.style.right = left ? `${this.width - x + 10}px` : "auto";
  }

  tipContent(at, own) {
    const rows = this.data.series.map((series, index) =>
      h("tr", null, h("td", null, this.key(series, index)), h("td", null, this.format(series.values[this.at] ?? null))),
    );
    const told = own ? this.marksAt(this.at).map(({ text }) => h("p", { class: "mark-text" }, text)) : [];
    return [h("div", { class: "muted" }, time(at)), h("table", null, h("tbody", null, rows)), told];
  }

  read() {
    const values = this.data.series.map(({ name, values: all }) => {
      const value = this.format(all[this.at] ?? null);
      return `${name} ${value === NOTHING ? "not measured" : value}`;
    });
    return [time(this.data.times[this.at]), ...values, ...this.marksAt(this.at).map(({ text }) => text)];
  }

  marksAt(index) {
    return this.data.marks.filter(({ time: at }) => this.isInside(at) && nearest(this.data.times, at) === index).slice(0, 4);
  }
}

function look(series, index) {
  return series.class ?? `series-${index % 6}`;
}

/** The indices of values that stand beside each other without a gap. */
function stretches(values) {
  const runs = [];
  let run = [];
  values.forEach((value, index) => {
    if (value !== null && value !== undefined) run.push(index);
    else if (run.length > 0) runs.push(run.splice(0));
  });
  if (run.length > 0) runs.push(run);
  return runs;
}
