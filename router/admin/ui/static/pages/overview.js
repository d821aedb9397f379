/**
 * Every route at a glance: who has how much traffic, whether the new version is worse, and what
 * the controller does next.
 */

import { h, replace } from "../dom.js";
import { count, percent, rate, ratio, seconds } from "../format.js";
import { icon } from "../icons.js";
import { refresher } from "../refresh.js";
import { badge, notice, pager, problemNotice, tag, versionLabel, waiting, weightBar } from "../ui.js";
import { isWorse, times } from "./overview/judge.js";
import { rolloutLine } from "./route/words.js";

const LIMIT = 100;
const TYPING_MS = 250;
const MAX_VERSIONS = 4;
const COLUMNS = [
  ["Route"],
  ["Traffic"],
  ["Version"],
  ["Weight", "number"],
  ["Requests", "number", "in the last 60 seconds"],
  ["Errors", "number", "share of the requests of the last 60 seconds"],
  ["p99", "number", "99 of 100 requests were answered faster"],
  ["TTFT p99", "number", "time to first token: 99 of 100 streams began faster"],
  ["Healthy", "number", "endpoints that every live worker holds healthy"],
];

/** @param {Object} context */
export function mount({ api, live, query }) {
  const problems = h("div");
  const facts = h("div", { class: "facts" });
  const list = h("div", { class: "card" }, waiting());
  const pages = h("div");
  const rows = new Map();
  const search = searchField(query.get("search") ?? "", (text) => {
    wanted = { search: text, after: null, before: [] };
    history.replaceState(null, "", text ? `#/?search=${encodeURIComponent(text)}` : "#/");
    fresh.soon();
  });
  const head = h("div", { class: "page-head" }, h("h1", null, "Routes"), h("span", { class: "grow" }), search.element);
  const element = h("div", { class: "page" }, head, facts, problems, list, pages);
  let wanted = { search: query.get("search") ?? "", after: null, before: [] };
  let table = null;

  const fresh = refresher({
    live,
    read: async () => {
      const asked = wanted;
      return { asked, found: await api.get("overview", { search: asked.search, after: asked.after, limit: LIMIT }) };
    },
    show({ asked, found }) {
      if (asked !== wanted) {
        fresh.soon(); // somebody has searched or turned the page meanwhile
        return;
      }
      replace(problems, found.ready ? null : notReady(found.reasons));
      replace(facts, factsOf(found));
      showRoutes(found);
      replace(pages, pagesOf(found));
    },
    onProblem: (problem, age) => {
      replace(problems, problemNotice(problem, { age }));
      if (age === null) replace(list);
    },
  });

  function showRoutes(found) {
    if (found.routes.length === 0) {
      table = null;
      replace(list, notice("info", wanted.search ? `No route's name contains “${wanted.search}”.` : "No route is configured."));
      return;
    }
    if (table === null) {
      table = emptyTable();
      replace(list, table);
    }
    const bodies = found.routes.map((route) => bodyOf(route, rows));
    for (const name of rows.keys()) {
      if (!found.routes.some((route) => route.name === name)) rows.delete(name);
    }
    arrange(table, bodies);
  }

  function pagesOf(found) {
    if (found.next === null && wanted.before.length === 0) return null;
    const first = wanted.before.length * LIMIT + 1;
    const shown = wanted;
    const turn = (next) => {
      if (shown !== wanted) return; // another list is on its way: its pages are other ones
      wanted = { ...wanted, ...next };
      fresh.now().then(() => window.scrollTo(0, 0));
    };
    return pager({
      text: `${count(first)}–${count(first + found.routes.length - 1)} of ${count(found.total)}`,
      previous: wanted.before.length > 0 ? () => turn({ after: wanted.before.at(-1), before: wanted.before.slice(0, -1) }) : null,
      next: found.next === null ? null : () => turn({ after: found.next, before: [...wanted.before, wanted.after] }),
    });
  }

  fresh.now();
  return {
    element,
    title: "Overview",
    unmount() {
      search.stop();
      fresh.stop();
    },
  };
}

function searchField(text, onText) {
  let timer;
  const typed = (event) => {
    clearTimeout(timer);
    timer = setTimeout(() => onText(event.target.value.trim()), TYPING_MS);
  };
  const element = h("input", { type: "search", value: text, placeholder: "Find a route", "aria-label": "Find a route", on: { input: typed } });
  return { element, stop: () => clearTimeout(timer) };
}

function factsOf({ generation, ready, total, workers }) {
  return [
    ready ? tag("Ready", "good", "check") : tag("Not ready", "bad", "alert"),
    fact(count(total), total === 1 ? "route" : "routes"),
    fact(count(generation), "generation"),
    workers.map((worker) => workerFact(worker, generation)),
  ];
}

function fact(value, name) {
  return h("span", { class: "fact" }, h("span", { class: "muted" }, name), h("b", null, value));
}

function workerFact({ name, live, generation, inFlight }, newest) {
  const behind = live && generation !== newest ? ` at generation ${generation}` : "";
  const said = live ? `${count(inFlight)} in flight${behind}` : "away";
  return h(
    "span",
    { class: live && !behind ? "fact" : "fact sick" },
    !live && icon("alert"),
    h("span", { class: "muted" }, `worker ${name}`),
    h("b", null, said),
  );
}

function notReady(reasons) {
  const said = h("ul", null, reasons.map((reason) => h("li", null, reason)));
  return notice("warning", "The router is not ready for traffic:", said);
}

// -- the table ---------------------------------------------------------------------------------

function emptyTable() {
  const head = COLUMNS.map(([title, more, hint]) => h("th", { scope: "col", class: more, title: hint }, title));
  return h("table", { class: "routes-table" }, h("caption", { class: "unseen" }, "Routes and their versions"), h("thead", null, h("tr", null, head)));
}

/** The route's part of the table, built again only where something has changed. */
function bodyOf(route, rows) {
  const told = JSON.stringify(route);
  const known = rows.get(route.name);
  if (known?.told === told) return known.body;
  const body = known?.body ?? h("tbody");
  body.className = needsLook(route) ? "needs-look" : "";
  renew(body, rowsOf(route));
  rows.set(route.name, { told, body });
  return body;
}

/** Put only those cells in place that are other ones: a table of 100 routes is laid out in parts. */
function renew(body, rows) {
  const old = [...body.rows];
  const same = old.length === rows.length && rows.every((row, index) => row.cells.length === old[index].cells.length);
  if (!same) {
    replace(body, rows);
    return;
  }
  rows.forEach((row, nth) => {
    [...row.cells].forEach((cell, index) => {
      const known = old[nth].cells[index];
      if (!cell.isEqualNode(known)) replaceCell(known, cell);
    });
  });
}

function replaceCell(known, cell) {
  const key = known.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  known.replaceWith(cell);
  if (key) cell.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

function arrange(table, bodies) {
  const shown = [...table.tBodies];
  if (shown.length === bodies.length && shown.every((body, index) => body === bodies[index])) return;
  for (const body of shown) if (!bodies.includes(body)) body.remove();
  table.append(...bodies);
}

function needsLook({ phase, versions }) {
  const stable = versions.find(({ role }) => role === "stable");
  return phase === "Degraded" || versions.some((version) => version.tripped || isSick(version) || isWorse("errorRatio", version, stable));
}

function isSick({ weight, healthyEndpoints, endpoints }) {
  return weight > 0 && healthyEndpoints < endpoints;
}

function rowsOf(route) {
  const shown = worthShowing(route);
  const stable = route.versions.find(({ role }) => role === "stable");
  return shown.map((version, index) =>
    h(
      "tr",
      null,
      index === 0 && [routeCell(route, shown.length), trafficCell(route, shown.length)],
      h("td", { class: "version-cell" }, versionLabel(version), version.tripped && h("div", { class: "sick small" }, icon("alert"), ` taken out: ${version.tripped}`)),
      numberCell("Weight", percent(version.weight), version.weight > 0 ? "strong" : "muted"),
      numberCell("Requests", rate(version.requestRate)),
      measuredCell("Errors", "errorRatio", ratio, version, stable),
      measuredCell("p99", "p99", seconds, version, stable),
      measuredCell("TTFT p99", "ttftP99", seconds, version, stable),
      healthCell(version),
    ),
  );
}

/** Who has traffic or is about to; others are on the route's own page. */
function worthShowing({ versions, target, stable }) {
  const matters = versions.filter(({ name, role, weight, inFlight }) => weight > 0 || inFlight > 0 || name === target || name === stable || role === "shadow");
  const ranked = [...matters].sort((a, b) => rank(a) - rank(b));
  return (ranked.length > 0 ? ranked : versions).slice(0, MAX_VERSIONS);
}

function rank({ role }) {
  const at = ["stable", "canary", "preview", "shadow"].indexOf(role);
  return at < 0 ? 9 : at;
}

function routeCell(route, rowspan) {
  const href = `#/routes/${encodeURIComponent(route.name)}`;
  return h(
    "td",
    { class: "route-cell", rowspan },
    h("div", { class: "row" }, h("a", { class: "route-name", href, data: { key: `route-${route.name}` } }, route.name), badge(route.phase)),
    rolloutLine(route, "route-says"),
  );
}

function trafficCell({ versions }, rowspan) {
  const serving = versions.filter(({ weight }) => weight > 0).sort((a, b) => rank(a) - rank(b));
  return h("td", { class: "traffic-cell", rowspan }, weightBar(serving, { legend: false }));
}

function numberCell(label, text, more = "") {
  return h("td", { class: `number ${more}`.trim(), data: { label } }, text);
}

function measuredCell(label, key, format, version, stable) {
  const worse = isWorse(key, version, stable);
  const mark = worse && h("span", { class: "worse-mark", title: `stable: ${format(stable[key])}` }, `▲ ${times(version[key], stable[key])}`);
  return h("td", { class: worse ? "number worse" : "number", data: { label } }, format(version[key]), mark);
}

function healthCell(version) {
  const { healthyEndpoints: healthy, endpoints } = version;
  const text = `${count(healthy)} of ${count(endpoints)}`;
  const sick = isSick(version);
  return h("td", { class: sick ? "number sick" : "number", data: { label: "Healthy" } }, sick && icon("alert"), sick && " ", text);
}
