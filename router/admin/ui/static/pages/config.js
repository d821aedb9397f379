/**
 * What is declared against what runs; the last file that was refused; reload, and the restart of
 * the workers.
 */

import { h, replace } from "../dom.js";
import { count, moment } from "../format.js";
import { refresher } from "../refresh.js";
import { notice, pager, problemNotice, waiting } from "../ui.js";
import { operationsPart } from "./config/operations.js";
import { restartPart } from "./config/restart.js";
import { routeItem } from "./config/route.js";
import { serverPart } from "./config/server.js";

const LIMIT = 50;
const TYPING_MS = 250;

/** @param {Object} context */
export function mount({ api, live, may, query }) {
  let wanted = { search: query.get("search") ?? "", after: null, before: [] };
  const items = new Map();
  const problems = h("div", { role: "presentation" });
  const facts = h("div", { class: "facts" });
  const faults = h("div", { class: "stack-gap" });
  const list = h("ul", { class: "declared" });
  const said = h("div", null, waiting());
  const pagesPlace = h("div");
  const server = serverPart();
  const restart = restartPart();
  const operations = operationsPart({ api, onDone: () => fresh.soon() });
  const search = searchField(wanted.search, (text) => {
    wanted = { search: text, after: null, before: [] };
    fresh.now();
  });
  const element = h(
    "div",
    { class: "page" },
    h("div", { class: "page-head" }, h("h1", null, "Config"), h("span", { class: "grow" }), may("admin") && operations.buttons),
    operations.element,
    problems,
    faults,
    restart.element,
    facts,
    h("section", { class: "card", "aria-labelledby": "declared-title" }, h("div", { class: "card-head" }, h("h2", { id: "declared-title" }, "Declared against running"), search.element), said, list, pagesPlace),
    server.element,
  );

  const fresh = refresher({
    live,
    read: async () => {
      const asked = wanted;
      const page = { search: asked.search, after: asked.after, limit: LIMIT };
      const [config, restarted] = await Promise.all([
        api.get("config", page),
        api.get("restart").catch((problem) => ({ stage: "none", problem: "", refused: problem })), // embedded: no workers of its own
      ]);
      return { asked, config, restarted };
    },
    show({ asked, config, restarted }) {
      if (asked !== wanted) {
        fresh.soon();
        return;
      }
      replace(problems);
      replace(facts, factsOf(config));
      replace(faults, faultsOf(config));
      restart.show(restarted);
      operations.show(restarted);
      server.show(config.server);
      showRoutes(config);
    },
    onProblem(problem, age) {
      replace(problems, problemNotice(problem, { age }));
      if (age === null) replace(said);
    },
  });

  function showRoutes({ routes, next, total }) {
    const shown = routes.map((route) => known(route));
    for (const name of items.keys()) if (!routes.some((route) => route.name === name)) items.delete(name);
    if (shown.length !== list.children.length || shown.some((item, index) => item !== list.children[index])) replace(list, shown);
    replace(said, routes.length === 0 && notice("info", wanted.search ? `No route's name contains “${wanted.search}”.` : "No route is declared."));
    replace(pagesPlace, pagesOf(routes, next, total));
  }

  /** Built anew only where something has changed: what is open stays open. */
  function known(route) {
    const told = JSON.stringify(route);
    const item = items.get(route.name);
    if (item?.told === told) return item.element;
    const element_ = routeItem(route, { open: item?.element.querySelector("details")?.open ?? false });
    items.set(route.name, { told, element: element_ });
    return element_;
  }

  function pagesOf(routes, next, total) {
    if (next === null && wanted.before.length === 0) return null;
    const turn = (change) => {
      wanted = { ...wanted, ...change };
      fresh.now().then(() => list.scrollIntoView({ block: "start" }));
    };
    const first = wanted.before.length * LIMIT + 1;
    return pager({
      text: `${count(first)}–${count(first + routes.length - 1)} of ${count(total)}`,
      previous: wanted.before.length > 0 ? () => turn({ after: wanted.before.at(-1), before: wanted.before.slice(0, -1) }) : null,
      next: next === null ? null : () => turn({ after: next, before: [...wanted.before, wanted.after] }),
    });
  }

  fresh.now();
  return {
    element,
    title: "Config",
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
  const element = h("input", { type: "search", value: text, placeholder: "Find a route", "aria-label": "Find a route", maxlength: 255, on: { input: typed } });
  return { element, stop: () => clearTimeout(timer) };
}

function factsOf({ file, loadedAt, generation, total, server }) {
  const fact = (name, value) => h("span", { class: "fact" }, h("span", { class: "muted" }, name), value);
  return [
    fact("file", file === null ? "none: embedded in another program" : h("code", null, file)),
    fact("loaded", h("b", null, moment(loadedAt))),
    fact("generation", h("a", { class: "strong", href: `#/audit?generation=${generation}` }, count(generation))),
    fact("routes", h("b", null, count(total))),
    fact("tokens", h("b", null, count(server.tokens))),
  ];
}

function faultsOf({ lastProblem, restartNeeded }) {
  return [
    lastProblem !== null && notice("problem", `The file was refused at ${moment(lastProblem.time)}; what was loaded before keeps serving.`, h("pre", null, lastProblem.text)),
    restartNeeded.length > 0 && notice("warning", `These have changed and need a restart of the whole router: ${restartNeeded.join(", ")}.`),
  ];
}
